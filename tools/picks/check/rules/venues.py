"""Where a paper appeared, and where in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from picks.bibliography.venues import JOURNAL, is_preprint, is_undecided, kind_of
from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule
from reproductions.common.quoting import shown

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_AWARD = re.compile(r"\b(?:spotlight|oral|poster|best|outstanding|award|honou?rable|highlight)\b", re.IGNORECASE)
_INSIDE = re.compile(r"\d+\s*\(\d|\d:\s*\d|\bvol(?:ume|\.)|\bpp\.|[a-z] \d{1,3}[ ,(]", re.IGNORECASE)
_HYPHEN = re.compile(r"(?P<first>\w*\d)\s*(?:-{1,3}|—|\s–\s)\s*(?P<last>\w*\d)")


@entry_rule(ERROR)
def no_venue(entry: Entry, base: Base) -> Iterator[Finding]:
    """`venue` names a place where anybody can put a paper, or says that it was sent in.

    Why: readers and exports take a venue to mean that the paper was reviewed and taken there.
    Mend: leave `venue` out until the paper has appeared; arXiv, CoRR, SSRN and their like are none.
    """
    venue = entry.text("venue")
    if venue and (is_preprint(venue.value) or is_undecided(venue.value)):
        yield Finding(venue.position, f"{shown(venue.value)} is no venue")


@entry_rule(ERROR)
def venue_year(entry: Entry, base: Base) -> Iterator[Finding]:
    """A venue has no year.

    Why: a citation needs the year of the version that it names, and takes it from there.
    Mend: write it behind the name: ACL 2025, Nature 2026.
    """
    venue = entry.text("venue")
    if venue and not _YEAR.search(venue.value):
        yield Finding(venue.position, f"{shown(venue.value)} says no year")


@entry_rule(ERROR)
def venue_extras(entry: Entry, base: Base) -> Iterator[Finding]:
    """A venue has an award, a volume or pages in it.

    Why: papers of one venue then stand under several names, and citations print what is no part of the name.
    Mend: write the name and the year alone; `awards`, `volume`, `number` and `pages` have keys of their own.
    """
    venue = entry.text("venue")
    if venue and (found := _AWARD.search(venue.value) or _INSIDE.search(venue.value)):
        yield Finding(venue.position, f"{shown(found[0])} in {shown(venue.value)}")


@entry_rule(ERROR)
def venue_of_another_kind(entry: Entry, base: Base) -> Iterator[Finding]:
    """`venue_kind` is not what the venue is, or `volume` or `number` stand beside what is no journal.

    Why: exports write an article of a journal, or a paper of proceedings, by it.
    Mend: write `venue_kind: journal` for a journal, or take the volume out.
    """
    venue, kind = entry.text("venue"), entry.text("venue_kind")
    known = kind_of(venue.value) if venue else None
    if venue and kind and known and known != kind.value:
        yield Finding(kind.position, f"{venue.value} is of the kind {known}", f"write `venue_kind: {known}`")
    volume = entry.text("volume")
    if volume and kind and JOURNAL not in (kind.value, known):
        yield Finding(volume.position, f"a volume, in what is of the kind {kind.value}")


@entry_rule(ERROR)
def page_range(entry: Entry, base: Base) -> Iterator[Finding]:
    """Pages have another sign between them than an en dash.

    Why: exports take the first and the last page apart at that sign.
    Mend: write "221–231"; the number of an article stands alone.
    """
    pages = entry.text("pages")
    if pages and (found := _HYPHEN.search(pages.value)):
        mend = f'write "{found["first"]}–{found["last"]}"'
        yield Finding(pages.position, f"{shown(pages.value)}", mend)
