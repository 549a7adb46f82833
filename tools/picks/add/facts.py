"""What a source knows about a paper: the facts of an entry, without the prose that a person writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from picks.add.layout import Value
from picks.identifiers import anthology_id

ANTHOLOGY = "https://aclanthology.org/"

_TEXTS = ("published", "venue", "venue_kind", "volume", "number", "pages", "doi", "category", "address")


@dataclass(frozen=True)
class Facts:
    """A paper's facts; None where the source does not know."""

    id: str
    title: str
    authors: tuple[str, ...]  # as an entry writes them: Nico {De Cabo}
    published: str | None = None  # a day
    venue: str | None = None
    venue_kind: str | None = None
    volume: str | None = None
    number: str | None = None
    pages: str | None = None
    doi: str | None = None
    address: str | None = None  # of what is not on arXiv
    category: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    collection: Mapping[str, int] = field(default_factory=dict)

    def known(self) -> Iterator[tuple[tuple[str, ...], Value]]:
        """Every known fact, under its path of keys in an entry."""
        yield ("title",), self.title
        yield ("authors",), self.authors
        for key in _TEXTS:
            if value := getattr(self, key):
                yield (key,), value
        for name in ("links", "collection"):
            yield from (((name, key), value) for key, value in getattr(self, name).items())


def links_of(*addresses: str | None) -> dict[str, str]:
    """Links that DOIs and addresses give away: the paper's page in the ACL Anthology, on OpenReview, its code."""
    links: dict[str, str] = {}
    for address in filter(None, addresses):
        if found := anthology_id(address):
            links.setdefault("anthology", ANTHOLOGY + found)
        elif address.startswith("https://openreview.net/forum?id="):
            links.setdefault("openreview", address)
        elif address.startswith("https://github.com/"):
            links.setdefault("code", address)
        elif address.startswith("https://proceedings."):
            links.setdefault("proceedings", address)
    return links
