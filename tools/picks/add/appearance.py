"""Where and when an entry of BibTeX says that its paper appeared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from picks.add.bibtex_file import MONTHS, Entry
from picks.add.todo import todo
from picks.bibliography import venues

LONGEST = 100

_IN_JOURNAL, _IN_BOOK = ("journaltitle", "journal"), ("booktitle",)
_YEAR = re.compile(r"(?:19|20)\d\d")
_RANGE = re.compile(r"(?P<first>\w*\d)\s*[-–—]+\s*(?P<last>\w*\d)")
_PRAISE = r"oral|spotlight|poster|highlight|notable|best|outstanding|award|honou?rable|track"
_IN_BRACKETS = re.compile(rf"\s*[(\[][^()\[\]]*\b(?:{_PRAISE})\b[^()\[\]]*[)\]]", re.IGNORECASE)


@dataclass(frozen=True)
class Appearance:
    """A venue as an entry has it, and the place in it if it is a journal."""

    venue: str | None = None
    kind: str | None = None
    volume: str | None = None
    number: str | None = None
    pages: str | None = None


def appearance(entry: Entry) -> Appearance:
    """Where it appeared: nowhere, if it was only sent in or put on a server for preprints."""
    name = entry.first(*(_IN_JOURNAL + _IN_BOOK if entry.kind == "article" else _IN_BOOK + _IN_JOURNAL))
    words = (name, entry.say("note"), entry.say("pubstate"))
    if not name or venues.is_preprint(name) or any(map(venues.is_undecided, words)):
        return Appearance()
    venue = _short(name, _year(entry))
    kind = venues.kind_of(venue) or _kind(entry, name)
    if kind != venues.JOURNAL:
        return Appearance(venue, kind)
    pages = _RANGE.sub(r"\g<first>–\g<last>", entry.first("pages", "eid"))
    return Appearance(venue, kind, entry.say("volume") or None, entry.first("number", "issue") or None, pages or None)


def day(entry: Entry) -> str | None:
    """The day it was put online, where the entry says one of the calendar's."""
    month = entry.say("month").lower()
    number = MONTHS.index(month[:3]) + 1 if month[:3] in MONTHS else month
    parts = f"{entry.say('year')}-{number:0>2}-{entry.say('day'):0>2}"
    try:
        return date.fromisoformat(entry.say("date") or parts).isoformat()
    except ValueError:
        return None


def _year(entry: Entry) -> str:
    found = _YEAR.search(entry.first("year", "date"))
    return found[0] if found else ""


def _short(name: str, year: str) -> str:
    """The short form of a venue's name, with the year; a TODO where there is none that fits on a line."""
    if name.startswith("TODO"):
        return name
    short = venues.shorten(name, year)
    if venues.kind_of(short) is None:
        short = venues.shorten(_IN_BRACKETS.sub("", name), year)
    return short if len(short) <= LONGEST else todo("a short form of", short)


def _kind(entry: Entry, name: str) -> str:
    """What a venue that is not known must be, by its name and the type of the entry."""
    if "workshop" in name.lower():
        return venues.WORKSHOP
    is_journal = entry.kind == "article" and entry.first(*_IN_JOURNAL)
    return venues.JOURNAL if is_journal else venues.PROCEEDINGS
