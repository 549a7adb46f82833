"""`tools/add`: starts entries, and brings the facts of those that exist up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_arxiv
from picks.parser import Parser
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

PROGRAM = "tools/add"
ROOT = Path(__file__).resolve().parents[3]

DESCRIPTION = "Start the entry of a paper: facts from arXiv or BibTeX, prose left as TODOs that tools/check points at."
EXAMPLES = """\
examples:
  tools/add 2501.08319
  tools/add https://arxiv.org/abs/2501.08319 2412.11965
  tools/add --bibtex papers.bib
  tools/add 2412.11965 --bibtex 2025.acl-long.866.bib
  tools/add 2412.11965 --update
  tools/add --collection OWNER/SLUG --write

exit codes: 0 done; 2 bad input, or no answer from the network
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    _refuse_odd_mixtures(parser, options)
    try:
        said = _collection(root, options) if options.collection else _papers(root, options)
        print("\n".join(said))
    except (UserError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("ids", nargs="*", metavar="ID", help="arXiv id or address; with --bibtex also a DOI, ACL Anthology id or key")
    add("--bibtex", type=Path, metavar="FILE", help="take the facts from this file, without any network")
    add("--update", action="store_true", help="change facts of entries that exist, and show how; prose stays")
    add("--collection", metavar="OWNER/SLUG", help="list what a Hugging Face collection has that is missing here")
    add("--write", action="store_true", help="with --collection: start the missing entries")
    return parser


def _refuse_odd_mixtures(parser: Parser, options: argparse.Namespace) -> None:
    if options.collection and (options.ids or options.bibtex or options.update):
        parser.error("--collection stands alone, or with --write")
    if options.write and not options.collection:
        parser.error("--write belongs to --collection; other entries are written without it")
    if not (options.collection or options.ids or options.bibtex):
        parser.error("which paper? Give an arXiv id or address, or --bibtex FILE")


def _papers(root: Path, options: argparse.Namespace) -> list[str]:
    from picks.add import files

    if options.bibtex:
        from picks.add import bibtex

        found = bibtex.read(options.bibtex, options.ids)
    else:
        ids = list(dict.fromkeys(map(_arxiv_id, options.ids)))
        files.refuse_wrong_files(root, ids, options.update)
        from picks.add import arxiv

        found = arxiv.fetch(ids)
    said = files.write(root, found, options.update)
    return said if options.update else [*said, *_advice([facts.id for facts in found])]


def _collection(root: Path, options: argparse.Namespace) -> list[str]:
    from picks.add import arxiv, collection, files

    slug = collection.slug_of(options.collection)
    items = collection.missing(slug, files.orders(root))
    if not items:
        return [f"nothing of {slug} is missing here"]
    if not options.write:
        listed = [f"{item.id}  {item.title}  (pick {item.order})" for item in items]
        return [*listed, f"{len(items)} missing here; add --write to start their entries"]
    found = arxiv.fetch([item.id for item in items])
    placed = [replace(facts, collection=item.place) for facts, item in zip(found, items, strict=True)]
    return [*files.write(root, placed, update=False), *_advice([item.id for item in items])]


def _arxiv_id(text: str) -> str:
    found = paper_id(text)
    if found and is_arxiv(found):
        return found
    if found or doi(text) or anthology_id(text):
        raise UserError(f"arXiv has no {shown(text)}; save its BibTeX in a file, and add --bibtex FILE")
    raise UserError(f"{shown(text)} is neither an arXiv id (2412.11965) nor an arXiv address")


def _advice(ids: Sequence[str]) -> list[str]:
    paths = " ".join(f"papers/{name}.yml" for name in ids)
    return [f"Now write what a TODO stands for; `tools/check {paths}` points at each."]
