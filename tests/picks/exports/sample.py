"""Papers to export: one with whatever a test wants different, and the real ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from picks.bibliography.names import read_name
from picks.bibliography.venues import PROCEEDINGS, Venue, kind_of
from picks.exports import Citation, cite
from picks.papers import Paper, Place, Read, load_papers, paper_ids

ROOT = Path(__file__).parents[3]
REAL = paper_ids(ROOT)


def paper(authors: Iterable[str] = ("Ada Example",), venue: Venue | str | None = None, **different: Any) -> Paper:
    """A preprint of December 2024; a venue in words is one of proceedings, or what is known of it."""
    if isinstance(venue, str):
        venue = Venue(venue, kind_of(venue) or PROCEEDINGS)
    fields: dict[str, Any] = {
        "id": "2412.00001",
        "title": "A Title of Our Own",
        "titles": (),
        "names": tuple(map(read_name, authors)),
        "published": date(2024, 12, 1),
        "published_as": "2024-12-01",
        "picked": None,
        "status": None,
        "summary": "Something was found.",
        "finding": "Three of four were found.",
        "why": "It shows how.",
        "tags": ("circuits",),
        "kind": "analysis",
        "venue": venue,
        "awards": (),
        "doi": None,
        "category": "cs.CL",
        "address": None,
        "links": MappingProxyType({}),
        "threads": (),
        "models": (),
        "data": (),
        "collection": Place(),
        "picked_with": (),
        "builds_on": MappingProxyType({}),
        "read": Read("arXiv v1"),
        "former_ids": (),
        "reproduction": None,
        "not_reproduced": "Made up.",
    }
    return Paper(**(fields | different))


@cache
def real() -> dict[str, Citation]:
    """The citations of the whole collection."""
    return cite(load_papers(ROOT).values())
