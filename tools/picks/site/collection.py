"""Everything the site shows, put together once: picks in their order, what each stands next to, and what was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from picks.exports import Citation, cite
from picks.papers import Paper, load_papers, load_people, load_tags
from picks.run import reproductions
from picks.site.addresses import slug
from picks.site.formats import day
from picks.site.related import Related, related_papers
from picks.site.results import Reproduced, load_reproduced
from reproductions.common.errors import UserError

FOUNDING = "Founding collection"


@dataclass(frozen=True)
class Pick:
    """A paper of the collection and what surrounds it; it may share the reproduction of another paper, whose claims it
    shows."""

    paper: Paper
    citation: Citation
    reproduced: Reproduced | None
    shares: Paper | None
    builds_on: tuple[Paper, ...]
    followed_by: tuple[Paper, ...]
    together: tuple[Paper, ...]
    related: tuple[tuple[Paper, float], ...]

    @property
    def month(self) -> str:
        """The month in which it was picked, or the founding collection."""
        return f"{self.paper.picked:%Y-%m}" if self.paper.picked else FOUNDING

    @property
    def verdicts(self) -> dict[str, int]:
        """How many of the paper's facts got each verdict in the run that speaks for the reproduction."""
        run = self.reproduced.headline if self.reproduced else None
        return run.counts if run else {}


@dataclass(frozen=True)
class Group:
    """Picks that share a tag, kind, author, venue or month, newest first."""

    slug: str
    name: str
    picks: tuple[Pick, ...]
    description: str = ""


@dataclass(frozen=True)
class Library:
    """All picks, newest first, by id; and the words for tags."""

    picks: Mapping[str, Pick]
    tags: Mapping[str, str]
    people: Mapping[str, str]  # the name that stands for a person, by each other name of theirs

    @property
    def newest(self) -> Pick:
        """The pick of the day."""
        return next(iter(self.picks.values()))

    @property
    def reproduced(self) -> list[tuple[Pick, Reproduced]]:
        """The picks that can be run, newest first."""
        return [(pick, pick.reproduced) for pick in self.picks.values() if pick.reproduced]

    def tagged(self, *tags: str, most: int = 6) -> list[Pick]:
        """Picks with any of these tags: those that can be run, then those with more of the tags, then the newest."""
        wanted = set(tags)
        if unknown := wanted - self.tags.keys():
            raise UserError(f"papers/_tags.yml has no tag {', '.join(sorted(unknown))}, which site/pages asks for")
        found = [pick for pick in self.picks.values() if wanted & set(pick.paper.tags)]
        return sorted(found, key=lambda p: (p.reproduced is None, -len(wanted & set(p.paper.tags))))[:most]

    def by_tag(self) -> list[Group]:
        """Tags that are in use, in the order of the alphabet."""
        groups = self._group(lambda pick: pick.paper.tags)
        return [Group(g.slug, g.name, g.picks, self.tags.get(g.name, "")) for g in groups]

    def by_kind(self) -> list[Group]:
        """Methods, analyses and so on."""
        return self._group(lambda pick: [pick.paper.kind])

    def by_author(self) -> list[Group]:
        """Everyone who wrote a pick; spellings that differ in accents are one, and so are the names of one person."""
        return self._group(lambda pick: map(self.person, pick.paper.authors))

    def person(self, name: str) -> str:
        """The name that a person's page has."""
        return self.people.get(name, name)

    def by_venue(self) -> list[Group]:
        """Where picks were published."""
        return self._group(lambda pick: [pick.paper.venue.short] if pick.paper.venue else [])

    def by_month(self) -> list[Group]:
        """The months in which something was picked, newest first, and the founding collection at the end."""
        groups = sorted(self._group(lambda pick: [pick.month]), key=lambda group: group.slug, reverse=True)
        founding = [group for group in groups if group.name == FOUNDING]
        return [Group(g.slug, day(g.name), g.picks) for g in groups if g not in founding] + founding

    def _group(self, names: Callable[[Pick], Iterable[str]]) -> list[Group]:
        members: dict[str, dict[str, Pick]] = defaultdict(dict)
        spellings: dict[str, str] = {}
        for pick in self.picks.values():
            for name in names(pick):
                members[slug(name)][pick.paper.id] = pick
                spellings.setdefault(slug(name), name)
        groups = [Group(key, spellings[key], tuple(picks.values())) for key, picks in members.items()]
        return sorted(groups, key=lambda group: (group.name.casefold(), group.slug))


def load_library(root: Path) -> Library:
    """Read the knowledge base and every recorded run.

    Raises:
        UserError: an entry or a record is not as it must be, or there is no entry.
    """
    papers = load_papers(root)
    if not papers:
        raise UserError(f"{root / 'papers'} holds no entry; start one with tools/add")
    related = related_papers(papers)
    found = reproductions.load_all(root)
    reproduced = {one.paper.id: load_reproduced(one) for one in found}
    owners: dict[str | None, Paper] = {one.name: one.paper for one in found}
    followers = _followers(papers)
    citations = cite(papers.values())
    ordered = newest_first(papers.values())
    picks = {
        paper.id: Pick(
            paper=paper,
            citation=citations[paper.id],
            reproduced=reproduced.get(paper.id),
            shares=owners.get(paper.reproduction) if paper.id not in reproduced else None,
            builds_on=_known(paper.builds_on, papers),
            followed_by=tuple(followers[paper.id]),
            together=_known(paper.picked_with, papers),
            related=_scored(related[paper.id], papers),
        )
        for paper in ordered
    }
    return Library(picks, load_tags(root), load_people(root))


def newest_first(papers: Iterable[Paper]) -> list[Paper]:
    """Papers as they were picked, the last one first: those of a day, then the founding collection in its own order."""
    return sorted(papers, key=_turn, reverse=True)


def _turn(paper: Paper) -> tuple[date, int, date, str]:
    return paper.picked or date.min, paper.collection.order or 0, paper.published, paper.id


def _followers(papers: Mapping[str, Paper]) -> Mapping[str, list[Paper]]:
    """For each paper those that build on it, oldest first."""
    followers: dict[str, list[Paper]] = defaultdict(list)
    for paper in sorted(papers.values(), key=lambda paper: (paper.published, paper.id)):
        for foundation in dict.fromkeys(paper.builds_on):
            followers[foundation].append(paper)
    return followers


def _known(ids: Iterable[str], papers: Mapping[str, Paper]) -> tuple[Paper, ...]:
    return tuple(papers[paper_id] for paper_id in dict.fromkeys(ids) if paper_id in papers)


def _scored(related: Iterable[Related], papers: Mapping[str, Paper]) -> tuple[tuple[Paper, float], ...]:
    return tuple((papers[one.id], one.score) for one in related)
