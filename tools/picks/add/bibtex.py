"""Facts from a BibTeX file, and why some of its entries give none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picks.add.appearance import appearance, day
from picks.add.bibtex_file import Entry, EntryError, papers, sort_out
from picks.add.facts import Facts, links_of
from picks.add.people import people
from picks.add.whereabouts import (
    address,
    address_in,
    anthology,
    arxiv_number,
    category,
    doi_or_todo,
    published_doi,
    verbatim,
)
from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_arxiv, slug_of
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

_NO_COLON_AFTER = ("?", "!", ":")
_LACKING = {
    "id": "names no arXiv paper, DOI or https address; add a field `eprint`, `doi` or `url`, "
    "or use `tools/add ARXIV_ID --bibtex FILE`",
    "title": "has no title; add the field `title`",
    "author": "has no author; add the field `author`",
}


@dataclass(frozen=True)
class Read:
    """What a file gives."""

    facts: tuple[Facts, ...]
    refused: tuple[str, ...] = ()  # a line for each entry that gives no facts: where it stands, why, how to mend it


def read(path: Path, wanted: Sequence[str] = ()) -> Read:
    """The facts of every paper in a file, or of those wanted: by arXiv id, DOI, ACL Anthology id, address or key.

    Raises:
        UserError: nothing in the file can be read; or what is wanted is not in it, or gives no facts.
    """
    entries, unread = papers(path)
    if wanted:
        return Read(tuple(facts(*_find(path, entries, unread, text)) for text in wanted))
    found, without = sort_out(facts, entries)
    refused = tuple(str(error) for error in sorted([*unread, *without], key=lambda error: error.line))
    if not found:
        raise UserError("\n".join(refused) or f"{path}: has no BibTeX entry of a paper (@article{{…}})")
    return Read(tuple(found), refused)


def facts(entry: Entry, number: str | None = None) -> Facts:
    """What an entry says about its paper, which has this number on arXiv if the entry says none.

    Raises:
        EntryError: nothing can be made of it without a number or an address, a title and authors.
    """
    number = arxiv_number(entry) or number
    place = None if number else address(entry)
    title, authors = _title(entry), people(entry.raw("author"))
    _refuse_if_lacking(entry, {"id": number or place, "title": title, "author": authors})
    where = appearance(entry)
    return Facts(
        id=number or _slug(place) or "",
        title=title,
        authors=tuple(authors),
        published=None if number and where.venue else day(entry),
        venue=where.venue,
        venue_kind=where.kind,
        volume=where.volume,
        number=where.number,
        pages=where.pages,
        doi=doi_or_todo(entry),
        address=place,
        category=category(entry) if number else None,
        links=links_of(published_doi(entry), verbatim(entry, "url")),
    )


def _refuse_if_lacking(entry: Entry, needed: Mapping[str, object]) -> None:
    for name, value in needed.items():
        if not value:
            raise entry.refuse(_LACKING[name])


def _title(entry: Entry) -> str:
    """Title and subtitle, without a full stop at the end."""
    title, subtitle = entry.say("title"), entry.say("subtitle")
    joined = f"{title}{'' if title.endswith(_NO_COLON_AFTER) else ':'} {subtitle}" if title and subtitle else title
    return joined if joined.endswith("..") else joined.removesuffix(".")


def _find(path: Path, entries: Sequence[Entry], unread: Sequence[EntryError], text: str) -> tuple[Entry, str | None]:
    """The entry that is wanted; one without a number, alone in its file, takes that of arXiv at its user's word."""
    asked = {text, paper_id(text), anthology_id(text), (doi(text) or "").lower(), _slug(address_in(text))} - {None, ""}
    if found := next((entry for entry in entries if asked & _names(entry)), None):
        return found, None
    number = paper_id(text)
    if number and is_arxiv(number) and len(entries) == 1 and arxiv_number(entries[0]) is None:
        return entries[0], number
    has = f"it has {', '.join(shown(entry.key) for entry in entries[:5])}" if entries else "it has none to read"
    raise UserError("\n".join([f"{path}: has no entry {shown(text)}; {has}", *map(str, unread)]))


def _names(entry: Entry) -> set[str | None]:
    """Everything that an entry can be asked for by."""
    number = arxiv_number(entry)
    return {entry.key, number or _slug(address(entry)), anthology(entry), (published_doi(entry) or "").lower() or None}


def _slug(place: str | None) -> str | None:
    return slug_of(place) if place else None
