"""Papers to export: one with whatever a test wants different, and the real ones."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from picks.exports import Citation, cite
from picks.papers import Paper, Place, load_papers, paper_ids

ROOT = Path(__file__).parents[3]
REAL = paper_ids(ROOT)


def paper(**different: Any) -> Paper:
    """A preprint of December 2024."""
    fields: dict[str, Any] = {
        "id": "2412.00001",
        "title": "A Title of Our Own",
        "authors": ("Ada Example",),
        "published": date(2024, 12, 1),
        "published_as": "2024-12-01",
        "picked": None,
        "summary": "Something was found.",
        "why": "It shows how.",
        "tags": ("circuits",),
        "kind": "analysis",
        "venue": None,
        "doi": None,
        "category": "cs.CL",
        "links": MappingProxyType({}),
        "threads": (),
        "collection": Place(),
        "picked_with": (),
        "builds_on": (),
        "reproduction": None,
        "not_reproduced": "Made up.",
    }
    return Paper(**(fields | different))


@cache
def real() -> dict[str, Citation]:
    """The citations of the whole collection."""
    return cite(load_papers(ROOT).values())
