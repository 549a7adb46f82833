"""`tools/add`: starts entries, and brings the facts of those that exist up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from picks.add.facts import Facts
from picks.add.files import Written
from picks.ending import ended
from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_arxiv, slug_of
from picks.parser import Parser
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

PROGRAM = "tools/add"
ROOT = Path(__file__).resolve().parents[3]

DESCRIPTION = "Start entries: facts from arXiv, BibTeX or a web page; what a person must write is listed as TODOs."
EXAMPLES = """\
examples:
  tools/add 2501.08319
  tools/add https://arxiv.org/abs/2501.08319 2412.11965
  tools/add https://transformer-circuits.pub/2025/linebreaks/index.html
  tools/add --bibtex papers.bib
  tools/add 2412.11965 --bibtex 2025.acl-long.866.bib
  tools/add 2412.11965 --update
  tools/add --collection OWNER/SLUG --write

exit codes: 0 done; 2 bad input, no answer from the network, or some papers of several were refused
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    _refuse_odd_mixtures(parser, options)
    return ended(PROGRAM, lambda: _add(root, options))


def _add(root: Path, options: argparse.Namespace) -> int:
    said, refused = _collection(root, options) if options.collection else _papers(root, options)
    print("\n".join(said))
    for why in refused:
        print(f"{PROGRAM}: {why}", file=sys.stderr)
    return UserError.exit_code if refused else 0


def add(root: Path, names: Sequence[str], bibtex: Path | None, update: bool = False) -> Written:
    """Start or update the entries of papers: of a BibTeX file, or by arXiv number or address.

    Raises:
        UserError: nothing could be written.
    """
    from picks.add import files

    if bibtex:
        from picks.add.bibtex import read

        given = read(bibtex, names)
        written = files.write(root, given.facts, update)
        return replace(written, refused=(*given.refused, *written.refused))
    places = list(dict.fromkeys(map(_place, names)))
    files.refuse_wrong_files(root, [slug_of(place) or place for place in places], update)
    return files.write(root, _fetched(places), update)


def _parser() -> Parser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    what = "arXiv id, or the https address of anything; with --bibtex also a DOI, ACL Anthology id or key"
    add("ids", nargs="*", metavar="ID", help=what)
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


Said = tuple[Sequence[str], Sequence[str]]  # what was done, and what was refused


def _papers(root: Path, options: argparse.Namespace) -> Said:
    written = add(root, options.ids, options.bibtex, options.update)
    return (written.said if options.update else _told(root, written)), written.refused


def _fetched(places: Sequence[str]) -> list[Facts]:
    """The facts of papers on arXiv and of pages, in the order asked for."""
    from picks.add import arxiv, page

    numbers = [place for place in places if is_arxiv(place)]
    found = {facts.id: facts for facts in (arxiv.fetch(numbers) if numbers else ())}
    return [found[place] if place in found else page.fetch(place) for place in places]


def _collection(root: Path, options: argparse.Namespace) -> Said:
    from picks.add import arxiv, collection, files

    slug = collection.slug_of(options.collection)
    items = collection.missing(slug, files.orders(root))
    if not items:
        return [f"nothing of {slug} is missing here"], ()
    if not options.write:
        listed = [f"{item.id}  {item.title}  (pick {item.order})" for item in items]
        return [*listed, f"{len(items)} missing here; add --write to start their entries"], ()
    found = arxiv.fetch([item.id for item in items])
    placed = [replace(facts, collection=item.place) for facts, item in zip(found, items, strict=True)]
    written = files.write(root, placed, update=False)
    return _told(root, written), written.refused


def _place(text: str) -> str:
    """An arXiv number, or an address."""
    found = paper_id(text)
    if found and is_arxiv(found):
        return found
    if text.startswith("https://") and slug_of(text):
        return text
    if found or doi(text) or anthology_id(text):
        raise UserError(f"arXiv has no {shown(text)}; save its BibTeX in a file, and add --bibtex FILE")
    raise UserError(f"{shown(text)} is neither an arXiv id (2412.11965) nor an https address of a page")


def _told(root: Path, written: Written) -> list[str]:
    """What was started and what is still to be written in it: all of it for one entry, the count for several."""
    from picks.add.checklist import checklist

    paths = [f"papers/{name}.yml" for name in written.ids]
    left = checklist(root / paths[0]) if len(paths) == 1 else []
    listed = ["Still to be written, by line:", *left] if left else []
    return [*written.said, *listed, f"`tools/check {' '.join(paths[:5])}` tells what is missing or wrong."]
