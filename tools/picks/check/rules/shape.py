"""Keys and values against `papers/_schema.json`, and the tags' file against its form."""

from __future__ import annotations

from collections.abc import Iterator

from picks.check.base import Base, Entry, is_todo
from picks.check.faults import ERROR, HINT, Finding, entry_rule, file_rule
from picks.check.rules.traps import trap_of
from picks.papers import PEOPLE, TAGS
from picks.schema import keys
from reproductions.common.documents import Document, Scalar, Sequence
from reproductions.common.quoting import shown
from reproductions.common.schema import Misfit


@entry_rule(ERROR)
def unknown_key(entry: Entry, base: Base) -> Iterator[Finding]:
    """A key is not one of the schema's.

    Why: nothing reads it, so what it says is lost; often it is only misspelt.
    Mend: take a key of papers/_template.yml.
    """
    yield from _misfits(entry, "unknown-key")


@entry_rule(ERROR)
def missing_key(entry: Entry, base: Base) -> Iterator[Finding]:
    """A key is missing that every entry has.

    Why: lists, filters and exports rely on it.
    Mend: add the key; papers/_template.yml shows how it is filled.

    Every entry says `title`, `authors`, `published`, `summary`, `finding`, `why`, `tags`, `kind`, `models`, `data`,
    `builds_on` and `read`, and one of `reproduction` and `not_reproduced`. What is not on arXiv has its `address`.
    """
    if entry.document.whole:
        yield from _misfits(entry, "missing-key")


@entry_rule(ERROR)
def wrong_value(entry: Entry, base: Base) -> Iterator[Finding]:
    """A value has not the type or the form that the schema asks for.

    Why: lists, filters and exports take every entry to have the same form.
    Mend: write it as papers/_template.yml shows.
    """
    for misfit in entry.misfits:
        if misfit.kind == "wrong-value" and not _told_elsewhere(entry, misfit):
            yield Finding(misfit.position, misfit.what, misfit.mend)


@entry_rule(HINT)
def key_order(entry: Entry, base: Base) -> Iterator[Finding]:
    """The keys are not in the order of the template.

    Why: entries that read alike are easier to compare, and `tools/add` writes them in this order.
    Mend: move it; papers/_template.yml shows the order.
    """
    order = {name: place for place, name in enumerate(keys())}
    highest = ""
    for name, (key, _) in entry.document.mapping.first.items():
        if name in order and highest and order[name] < order[highest]:
            yield Finding(key.position, f"`{name}` stands after `{highest}`")
            return
        highest = name if name in order else highest


@file_rule(ERROR)
def tag_without_sentence(document: Document) -> Iterator[Finding]:
    """A tag in papers/_tags.yml has no sentence that says what it stands for.

    Why: a closed vocabulary works only where everybody means the same by a tag.
    Mend: write `tag: One sentence.` on a line.
    """
    if document.path.name != TAGS:
        return
    for key, value in document.mapping.pairs:
        if not isinstance(value, Scalar) or (value.type == "str" and not value.value.strip()):
            yield Finding(value.position, f"the tag {shown(key.value)} has no sentence")


@file_rule(ERROR)
def person_without_names(document: Document) -> Iterator[Finding]:
    """A person in papers/_people.yml has no list of other names, or one that stands there for somebody else too.

    Why: the file says which names are one person's, so that their papers stand on one page.
    Mend: write `Name on the page: [another name, a third]` on a line.
    """
    if document.path.name != PEOPLE:
        return
    seen: dict[str, str] = {}
    for key, value in document.mapping.pairs:
        others = value.items if isinstance(value, Sequence) else []
        if not others:
            yield Finding(value.position, f"{shown(key.value)} has no other names")
        for other in others:
            if isinstance(other, Scalar) and other.value in seen:
                yield Finding(other.position, f"{shown(other.value)} is {shown(seen[other.value])} already")
            elif isinstance(other, Scalar):
                seen[other.value] = key.value


def _misfits(entry: Entry, kind: str) -> Iterator[Finding]:
    for misfit in entry.misfits:
        if misfit.kind == kind:
            yield Finding(misfit.position, misfit.what, misfit.mend)


def _told_elsewhere(entry: Entry, misfit: Misfit) -> bool:
    """Whether a value is a trap, an alias or still to be written, which other rules say more exactly."""
    node = entry.document.node(*misfit.path)
    if isinstance(node, Sequence):
        return any(isinstance(item, Scalar) and is_todo(item) for item in node.items)
    if not isinstance(node, Scalar):
        return False
    return node.type == "alias" or is_todo(node) or trap_of(misfit.path, node) is not None
