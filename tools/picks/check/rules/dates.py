"""When a paper was published and picked."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule
from picks.dates import first_day, today
from picks.ids import month
from reproductions.common.documents import Scalar

SLACK = timedelta(days=31)
ONE_DAY = timedelta(days=1)  # which it may be elsewhere already


@entry_rule(ERROR)
def date_against_id(entry: Entry, base: Base) -> Iterator[Finding]:
    """The date of publication is more than a month away from the month that the arXiv id says.

    Why: the id is given out in the month of the first version, so one of the two is wrong.
    Mend: take the date of v1 from the paper's page on arXiv, not that of a later version or of the venue.

    A paper sent in on the last evening of a month can get the next month's id; that is why a month is allowed.
    """
    published, named = span(entry, "published"), month(entry.id)
    if published is None or named is None:
        return
    first, last = _days_of(date(*named, 1).strftime("%Y-%m"))
    if published[1] < first - SLACK or published[0] > last + SLACK:
        what = f"{_text(entry, 'published')} is not near {first:%B %Y}, which {entry.id} says"
        yield Finding(entry.document.position("published"), what)


@entry_rule(ERROR)
def picked_before_published(entry: Entry, base: Base) -> Iterator[Finding]:
    """The paper was picked before it was published.

    Why: that cannot be, so one of the dates is wrong, and lists by date will be too.
    Mend: look both dates up.
    """
    published, picked = span(entry, "published"), span(entry, "picked")
    if published and picked and picked[1] < published[0]:
        what = f"picked on {_text(entry, 'picked')}, published on {_text(entry, 'published')}"
        yield Finding(entry.document.position("picked"), what)


@entry_rule(ERROR)
def not_picked(entry: Entry, base: Base) -> Iterator[Finding]:
    """Nothing says when the entry was picked: it has no `picked`, and is not of the founding collection.

    Why: the newest pick, the months and the feeds go by that day.
    Mend: write `picked:` with the day on which it was added, as `tools/add` does.
    """
    if entry.document.whole and entry.document.node("picked") is None and entry.document.node("collection") is None:
        yield Finding(entry.start, "`picked` is missing")


@entry_rule(ERROR)
def picked_tomorrow(entry: Entry, base: Base) -> Iterator[Finding]:
    """A pick is dated later than today.

    Why: it would stand above every other one until then.
    Mend: write the day on which it was added.
    """
    picked = span(entry, "picked")
    if picked and picked[0] > today() + ONE_DAY:
        yield Finding(entry.document.position("picked"), f"{_text(entry, 'picked')} is not yet")


def span(entry: Entry, key: str) -> tuple[date, date] | None:
    """The first and the last day that a date can mean, which may be known to the month or the year alone."""
    try:
        return _days_of(_text(entry, key))
    except ValueError:
        return None


def _days_of(text: str) -> tuple[date, date]:
    first = first_day(text)
    if text.count("-") == 0:
        return first, date(first.year, 12, 31)
    if text.count("-") == 1:
        return first, date(first.year, first.month, monthrange(first.year, first.month)[1])
    return first, first


def _text(entry: Entry, key: str) -> str:
    node = entry.document.node(key)
    return node.value if isinstance(node, Scalar) else ""
