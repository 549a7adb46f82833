"""`tools/pick`: adds an entry, leads through what is to be written, then shows its page and prints the day's post."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from picks.add.checklist import checklist
from picks.add.command import add
from picks.check.checker import check
from picks.check.reporters import errors, text
from picks.ending import ended
from picks.identifiers import paper_id
from picks.ids import slug_of
from picks.parser import Parser
from reproductions.common.errors import UserError

PROGRAM = "tools/pick"
ROOT = Path(__file__).resolve().parents[3]
READY, TO_DO = 0, 1

DESCRIPTION = "Today's pick: start its entry, see what is to be written, and in the end its page and the day's post."
EXAMPLES = """\
examples:
  tools/pick 2507.21509                    # again and again, until nothing is left to do
  tools/pick 2507.21509 --bibtex entry.bib # without a network
  tools/pick 2404.03646 2404.05971         # two papers of one edition

exit codes: 0 ready; 1 something is to be written or mended; 2 bad input, or no answer from the network
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return ended(PROGRAM, lambda: _pick(root, options), unread=READY)


def _parser() -> Parser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    parser.add_argument("ids", nargs="+", metavar="ID", help="arXiv id, id of an entry, or https address")
    parser.add_argument("--bibtex", type=Path, metavar="FILE", help="take the facts from this file")
    parser.add_argument("--no-page", action="store_true", help="do not build the site, only check and print the post")
    return parser


def _pick(root: Path, options: argparse.Namespace) -> int:
    names = [paper_id(name) or slug_of(name) or name for name in options.ids]
    missing = [given for given, name in zip(options.ids, names, strict=True) if not _entry(root, name).exists()]
    if missing:
        for line in _started(root, missing, options.bibtex):
            print(line)
    paths = [_entry(root, name) for name in names]
    if to_do := _to_do(root, paths):
        print(to_do)
        return TO_DO
    _show(root, names, options.no_page)
    return READY


def _started(root: Path, names: Sequence[str], bibtex: Path | None) -> Sequence[str]:
    written = add(root, names, bibtex)
    if written.refused:
        raise UserError("\n".join(written.refused))
    return written.said


def _to_do(root: Path, paths: Sequence[Path]) -> str:
    """What is still to be written, then what is wrong with what was written; empty when all is done."""
    faults = check(root, paths)
    open_, others = [fault for fault in faults if fault.rule == "todo"], [f for f in faults if f.rule != "todo"]
    told = [line for path in paths if (lines := checklist(path)) for line in (f"papers/{path.name}, by line:", *lines)]
    told += [text(others, len(paths))] if others else []
    return "\n".join(told) if open_ or errors(others) else ""


def _show(root: Path, names: Sequence[str], no_page: bool) -> None:
    from picks.site.announce import LIMITS, chosen, post, short_post

    if not no_page:
        from picks.site.build import build

        folder = build(root).folder
        for name in names:
            print(f"Its page: {(folder / 'papers' / name / 'index.html').resolve().as_uri()}")
    papers = chosen(root, names)
    print(f"\n{post(papers)}")
    for network, limit in LIMITS.items():
        print(f"--- {network}, at most {limit} characters\n{short_post(papers, network)}\n")


def _entry(root: Path, name: str) -> Path:
    return root / "papers" / f"{name}.yml"
