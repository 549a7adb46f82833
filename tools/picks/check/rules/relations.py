"""What an entry refers to: tags, other papers, its reproduction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from picks.check.rules.dates import span
from reproductions.common.documents import Scalar
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

MOST_TAGS = 5


@entry_rule(ERROR)
def unknown_tag(entry: Entry, base: Base) -> Iterator[Finding]:
    """A tag is not in papers/_tags.yml.

    Why: readers filter by tags; a tag that only one entry has finds nothing, and two spellings find half each.
    Mend: take a tag of papers/_tags.yml, or add a new one there with its sentence.
    """
    for tag in entry.texts("tags"):
        if base.tags and tag.value not in base.tags:
            yield Finding(tag.position, f"{shown(tag.value)}{did_you_mean(tag.value[:60], base.tags)}")


@entry_rule(HINT)
def number_of_tags(entry: Entry, base: Base) -> Iterator[Finding]:
    """An entry has one tag only, or more than five.

    Why: with one it is found along one path only, with many it turns up where nobody looks for it.
    Mend: give the two to five tags that a reader would look for it under.
    """
    number = len(entry.texts("tags"))
    if number == 1 or number > MOST_TAGS:
        yield Finding(entry.document.position("tags"), f"{number} tag{'' if number == 1 else 's'}")


@entry_rule(ERROR)
def unknown_paper(entry: Entry, base: Base) -> Iterator[Finding]:
    """An id in `builds_on`, `picked_with` or `status` is not in this collection.

    Why: the site turns it into a link, which would lead nowhere.
    Mend: mend the id, add that paper first, or take the id out: only papers of this collection are listed.
    """
    by = entry.document.node("status", "by")
    read_instead = [by] if isinstance(by, Scalar) and not by.value.startswith("https://") else []
    named = {"builds_on": entry.builds_on(), "picked_with": entry.texts("picked_with"), "status.by": read_instead}
    for key, items in named.items():
        for item in items:
            if item.value not in base.by_id:
                guess = did_you_mean(item.value[:60], base.by_id, 0.85)
                yield Finding(item.position, f"`{key}` names {shown(item.value)}, which is not here{guess}")


@entry_rule(ERROR)
def cycle(entry: Entry, base: Base) -> Iterator[Finding]:
    """Papers build on each other in a circle.

    Why: a paper uses what was there before it; in a circle one of the links points the wrong way.
    Mend: remove the id whose paper came later.
    """
    for item in entry.builds_on():
        if path := _way(base, item.value, entry.id):
            yield Finding(item.position, " builds on ".join([entry.id, *path]))


@entry_rule(HINT)
def builds_on_later(entry: Entry, base: Base) -> Iterator[Finding]:
    """A paper builds on one that was published after it.

    Why: that happens only where authors knew each other's work or revised theirs; mostly the link points the wrong way.
    Mend: turn it round, or leave it if a later version of the paper does use the other.
    """
    own = span(entry, "published")
    for item in entry.builds_on():
        other = span(base.by_id[item.value], "published") if item.value in base.by_id else None
        if own and other and other[0] > own[1]:
            yield Finding(item.position, f"{item.value} is of {other[0]}, this paper of {own[1]}")


@entry_rule(ERROR)
def one_sided_edition(entry: Entry, base: Base) -> Iterator[Finding]:
    """A paper names another as picked with it, and the other does not name it back.

    Why: an edition of two papers is one edition from both sides.
    Mend: add the id to `picked_with` of the other entry, or take it out here.
    """
    for item in entry.texts("picked_with"):
        other = base.by_id.get(item.value)
        if item.value == entry.id:
            yield Finding(item.position, "it is picked with itself", "take its own id out")
        elif other and entry.id not in other.words_of("picked_with"):
            yield Finding(item.position, f"{item.value} does not name {entry.id}")


@entry_rule(ERROR)
def same_place(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two entries have the same place in the collection.

    Why: the collection's order is how picks without a date are sorted.
    Mend: look the place up in the collection; leave `collection` out for a pick that is not in it.
    """
    order = _order(entry)
    for other in base.index(_by_order).get(order, ()) if order else ():
        if other.id != entry.id:
            yield Finding(entry.document.position("collection", "order"), f"{other.id} has place {order} too")


@entry_rule(ERROR)
def no_such_reproduction(entry: Entry, base: Base) -> Iterator[Finding]:
    """`reproduction` names a folder that has no notebook.

    Why: the site and `tools/repro` would offer something to run that is not there.
    Mend: mend the name, or say under `not_reproduced` why there is none.
    """
    named = entry.text("reproduction")
    if named and named.value not in base.reproductions:
        what = f"there is no reproductions/{shown(named.value)[1:-1]}/notebook.ipynb"
        yield Finding(named.position, what + did_you_mean(named.value[:60], base.reproductions))


@entry_rule(ERROR)
def reproduction_of_another(entry: Entry, base: Base) -> Iterator[Finding]:
    """The reproduction's claims are of another paper.

    Why: paper and reproduction must name each other, or verdicts appear beside the wrong paper.
    Mend: mend `reproduction` here, or `paper` in the reproduction's reproduction.yml; a paper whose computation is
    reproduced along with another's stands under `also` there.
    """
    named = entry.text("reproduction")
    papers = base.reproductions.get(named.value, [entry.id]) if named else [entry.id]
    if named and entry.id not in papers:
        said = " and ".join(map(shown, papers)) or "no paper"
        yield Finding(named.position, f"its reproduction.yml says {said}, not {entry.id}")


@entry_rule(ERROR)
def unnamed_reproduction(entry: Entry, base: Base) -> Iterator[Finding]:
    """A reproduction of the paper exists, and the entry does not name it.

    Why: readers would never find the notebook.
    Mend: write `reproduction:` with the folder's name instead of `not_reproduced`.
    """
    for folder, papers in base.reproductions.items():
        node = entry.document.node("reproduction")
        if entry.id in papers and node is None:
            yield Finding(entry.document.position("not_reproduced"), f"reproductions/{folder} reproduces this paper")


def _way(base: Base, start: str, goal: str) -> list[str]:
    """Ids that lead from one paper to another by what each builds on; empty where there is no way back as well."""
    graph = base.index(_graph)
    if start not in graph or goal not in graph:
        return []
    came_from: dict[str, str] = {start: ""}
    queue = [start]
    for current in queue:
        if current == goal:
            return _trace(came_from, goal)
        for following in sorted(graph[current]):
            if following not in came_from:
                came_from[following] = current
                queue.append(following)
    return []


def _trace(came_from: dict[str, str], goal: str) -> list[str]:
    path = [goal]
    while came_from[path[-1]]:
        path.append(came_from[path[-1]])
    return path[::-1]


def _graph(base: Base) -> dict[str, set[str]]:
    """What each paper builds on, without the papers from which every way comes to an end."""
    graph = {entry.id: {item.value for item in entry.builds_on()} & base.by_id.keys() for entry in base.entries}
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):
        sorter.prepare()
    settled: set[str] = set()
    while ready := sorter.get_ready():
        settled.update(ready)
        sorter.done(*ready)
    return {paper: below - settled for paper, below in graph.items() if paper not in settled}


def _by_order(base: Base) -> dict[str, list[Entry]]:
    return base.group(_order)


def _order(entry: Entry) -> str | None:
    node = entry.document.node("collection", "order")
    return node.value if isinstance(node, Scalar) and node.type == "int" else None
