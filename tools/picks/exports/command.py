"""`tools/export`: prints papers in a format that another program reads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from picks.ending import ended
from picks.exports import FORMATS, Citation, cite
from picks.lookup import find_paper
from picks.papers import load_papers, load_tags
from picks.parser import Parser
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

PROGRAM = "tools/export"
ROOT = Path(__file__).resolve().parents[3]

EXAMPLES = """\
examples:
  tools/export bibtex 2412.11965
  tools/export bibtex --tag circuits > circuits.bib
  tools/export json > papers.json

exit codes: 0 printed; 2 bad input
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return ended(PROGRAM, lambda: _export(root, options))


def _export(root: Path, options: argparse.Namespace) -> int:
    chosen = _chosen(root, cite(load_papers(root).values()), options)
    print(FORMATS[options.format](chosen), end="")
    return 0


def _parser() -> Parser:
    description = "Print papers of the collection for another program; all of them, or those asked for."
    parser = Parser(PROGRAM, description, EXAMPLES)
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("ids", nargs="*", metavar="ID", help="id, address or DOI of a paper, or words of its title")
    parser.add_argument("--tag", metavar="TAG", help="only papers with this tag")
    return parser


def _chosen(root: Path, citations: Mapping[str, Citation], options: argparse.Namespace) -> list[Citation]:
    """The citations asked for; those asked for by id come in that order."""
    if options.tag is not None and options.tag not in (tags := load_tags(root)):
        raise UserError(f"there is no tag {shown(options.tag)}{did_you_mean(options.tag, tags)}")
    asked = [citations[find_paper(root, text).id] for text in options.ids] or list(citations.values())
    return [citation for citation in asked if options.tag is None or options.tag in citation.paper.tags]
