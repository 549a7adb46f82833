"""What a bibliography says about a paper, whatever the format: the published version where there is one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from picks.bibliography.venues import Venue
from picks.ids import arxiv_name
from picks.papers import Paper

ARXIV_DOI = "10.48550/arxiv."

_PAGES = ("anthology", "proceedings", "openreview")
_SITES = {
    "alignmentforum.org": "AI Alignment Forum",
    "distill.pub": "Distill",
    "forum.effectivealtruism.org": "EA Forum",
    "lesswrong.com": "LessWrong",
    "transformer-circuits.pub": "Transformer Circuits Thread",
}
_SMALL = (
    "a am an and are as at be by can do does for from go have how i in into is it not of on or the to toward towards "
    "what when where which who why with your"
)
_SMALL_WORDS = frozenset(_SMALL.split())
_FOLDED = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})


@dataclass(frozen=True)
class Citation:
    """A paper as it is cited, under a key of its own."""

    paper: Paper
    key: str

    @property
    def venue(self) -> Venue | None:
        """Where it was published; None for a preprint or a post."""
        return self.paper.venue

    @property
    def year(self) -> int:
        """The year of the published version, else of the first."""
        return (self.venue and self.venue.year) or self.paper.published.year

    @property
    def date(self) -> tuple[int, ...]:
        """Year, month and day as far as they are known; of a published version only the year is."""
        return (self.year,) if self.venue else tuple(map(int, self.paper.published_as.split("-")))

    @property
    def doi(self) -> str | None:
        """The DOI of the version that is cited: arXiv's own is not that of a published paper."""
        doi = self.paper.doi
        return None if doi and self.venue and doi.lower().startswith(ARXIV_DOI) else doi

    @property
    def url(self) -> str:
        """Where the version that is cited can be read."""
        pages = (self.paper.links.get(page) for page in _PAGES) if self.venue else ()
        return next((page for page in pages if page), self.paper.url)

    @property
    def eprint(self) -> str | None:
        """Its number on arXiv."""
        return arxiv_name(self.paper.id) if self.paper.is_arxiv else None

    @property
    def is_post(self) -> bool:
        """Whether it is a post in a forum or on a blog, and no paper."""
        return not self.paper.is_arxiv and self.paper.kind == "discussion"

    @property
    def site(self) -> str | None:
        """The name of the site that it is on, if it is not on arXiv."""
        if self.paper.is_arxiv:
            return None
        host = (urlsplit(self.paper.url).hostname or "").removeprefix("www.")
        return _SITES.get(host, host)


def cite(papers: Iterable[Paper]) -> dict[str, Citation]:
    """Every paper's citation by its id. Give it the whole collection: only then are keys unique and lasting.

    A key is made of the first author, the year of the first version and the first telling word of the title. Where
    two would be equal, the earlier pick has it, and the later one takes further words.
    """
    cited: dict[str, Citation] = {}
    taken: set[str] = set()
    for paper in sorted(papers, key=_turn):
        key = next(key for key in _keys(paper) if key not in taken)
        taken.add(key)
        cited[paper.id] = Citation(paper, key)
    return dict(sorted(cited.items()))


def _turn(paper: Paper) -> tuple[float, date, str]:
    return paper.collection.order or float("inf"), paper.picked or paper.published, paper.id


def _keys(paper: Paper) -> Iterator[str]:
    """Keys for a paper, from the shortest on; the last one cannot be taken."""
    family = _folded(paper.names[0].family)
    words = [_folded(word) for word in re.split(r"[\W_]+", paper.title)]
    telling = [word for word in words if word and word not in _SMALL_WORDS]
    start = f"{family}{paper.published.year}"
    for count in range(1, len(telling) + 1):
        yield start + "".join(telling[:count])
    yield f"{start}_{paper.id}"


def _folded(text: str) -> str:
    """Small letters without accents, and digits; whatever else there is falls out."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_FOLDED))
    return re.sub(r"[^a-z0-9]", "", plain)
