"""Facts from a web page: what it tells scholars' tools in its head, as Zotero and Google Scholar read it.

Only what the page says under a known name is taken; whatever is missing becomes a TODO.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import requests

from picks.add.facts import Facts, links_of
from picks.add.todo import todo
from picks.bibliography import venues
from picks.bibliography.names import from_parts
from picks.dates import first_day
from picks.identifiers import doi
from picks.ids import slug_of
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

PATIENCE, MOST = 30.0, 4 * 1024 * 1024
WITHOUT_NETWORK = "save its BibTeX, with the address in `url`, and use `tools/add --bibtex FILE`"

_TITLES = ("citation_title", "dc.title", "og:title", "twitter:title")
_AUTHORS = ("citation_author", "dc.creator", "article:author_name", "author")
_DAYS = ("citation_publication_date", "citation_date", "article:published_time", "dc.date", "date")
_JOURNALS = ("citation_journal_title",)
_PROCEEDINGS = ("citation_conference_title", "citation_inbook_title")

Meta = dict[str, list[str]]


class _Head(HTMLParser):
    """Gathers what the `meta` elements of a page say, by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.meta: Meta = defaultdict(list)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            said = dict(attrs)
            name, content = said.get("name") or said.get("property"), said.get("content")
            if name and content and content.strip():
                self.meta[name.lower()].append(" ".join(content.split()))


def fetch(address: str) -> Facts:
    """The facts that a page tells of itself.

    Raises:
        UserError: it cannot be reached or is no web page, or its address gives no id.
    """
    name = slug_of(address)
    if name is None:
        raise UserError(f"no id can be made of {shown(address)}; give the address of one page, with its path")
    return facts(name, address, _html(address))


def facts(name: str, address: str, html: str) -> Facts:
    """What a page says about itself, in the form of an entry."""
    head = _Head()
    head.feed(html)
    meta = head.meta
    found = Facts(
        id=name,
        title=_first(meta, _TITLES) or todo("the title; the page does not tell it to programs"),
        authors=_authors(meta) or (todo("the authors; the page does not tell them to programs"),),
        published=_day(meta),
        doi=doi(_first(meta, ("citation_doi", "dc.identifier"))),
        address=address,
        links={key: link for key, link in links_of(address).items() if link != address},
    )
    return _published_in(found, meta)


def _published_in(found: Facts, meta: Meta) -> Facts:
    """The facts with the journal or the proceedings that a page names, and where in it."""
    journal, proceedings = _first(meta, _JOURNALS), _first(meta, _PROCEEDINGS)
    name, year = journal or proceedings, (_day(meta) or "")[:4]
    if not name or not year or venues.is_preprint(name) or venues.is_undecided(name):
        return found
    short = venues.shorten(name, year)
    kind = venues.kind_of(short) or (venues.JOURNAL if journal else venues.PROCEEDINGS)
    pages = [page for key in ("citation_firstpage", "citation_lastpage") if (page := _first(meta, (key,)))]
    volume, number = (_first(meta, (f"citation_{part}",)) for part in ("volume", "issue"))
    found = replace(found, venue=short, venue_kind=kind, pages="–".join(dict.fromkeys(pages)) or None)
    return replace(found, volume=volume or None, number=number or None) if kind == venues.JOURNAL else found


def _first(meta: Meta, names: Sequence[str]) -> str:
    return next((meta[name][0] for name in names if name in meta), "")


def _authors(meta: Meta) -> tuple[str, ...]:
    said = next((meta[name] for name in _AUTHORS if name in meta), [])
    return tuple(_author(name) for name in said)


def _author(name: str) -> str:
    try:
        return from_parts(name.split(",")).written
    except ValueError:
        return todo("several people between commas", name)


def _day(meta: Meta) -> str | None:
    """The first day among those that a page tells, as far as it is known."""
    for text in (text.replace("/", "-") for name in _DAYS for text in meta.get(name, ())):
        for length in (10, 7, 4):
            try:
                first_day(text[:length])
            except ValueError:
                continue
            return text[:length]
    return None


def _html(address: str) -> str:
    try:
        with requests.get(address, timeout=PATIENCE, stream=True, headers={"User-Agent": "daily-picks"}) as answer:
            if not answer.ok:
                raise UserError(f"{address} answers with HTTP {answer.status_code}; {WITHOUT_NETWORK}")
            if "html" not in answer.headers.get("Content-Type", "html"):
                raise UserError(f"{address} is no web page; {WITHOUT_NETWORK}")
            content = next(answer.iter_content(MOST), b"")
            return content.decode(answer.encoding or "utf8", "replace")
    except requests.RequestException:
        raise UserError(f"{address} cannot be reached; {WITHOUT_NETWORK}") from None
