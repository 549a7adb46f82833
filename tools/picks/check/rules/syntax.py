"""YAML itself: what does not parse, and what YAML can do that an entry has no use for."""

from __future__ import annotations

from collections.abc import Iterator

from picks.check.faults import ERROR, Finding, file_rule
from picks.check.rules.files import problems
from reproductions.common.documents import Document, Mapping, Node, Position, Sequence
from reproductions.common.quoting import shown

_TEXT_UNREAD = {"unreadable", "symlink", "too-large", "not-yaml", "too-deep"}


@file_rule(ERROR)
def not_yaml(document: Document) -> Iterator[Finding]:
    """The file is not YAML from this place on.

    Why: what comes after it cannot be read, so that more faults may show when this one is mended.
    Mend: look for a missing quote, a tab, or a colon followed by a space inside a text, which needs quotes around it.
    """
    yield from problems(document, "not-yaml")


@file_rule(ERROR)
def not_a_mapping(document: Document) -> Iterator[Finding]:
    """The file does not hold `key: value` lines.

    Why: an entry is known by its keys; an empty file, a list or a sentence has none.
    Mend: begin from papers/_template.yml.
    """
    if not isinstance(document.root, Mapping) and not {each.kind for each in document.problems} & _TEXT_UNREAD:
        position = document.root.position if document.root else Position()
        yield Finding(
            position, "the file is empty" if document.root is None else f"the file holds {_noun(document.root)}"
        )


@file_rule(ERROR)
def too_deep(document: Document) -> Iterator[Finding]:
    """Values are nested deeper than eight levels.

    Why: an entry needs three; what is deeper is a slip of brackets or an attack on whoever reads it.
    Mend: close the brackets, or take the nesting out.
    """
    yield from problems(document, "too-deep")


@file_rule(ERROR)
def alias(document: Document) -> Iterator[Finding]:
    """A value is given by a YAML alias (`*name`).

    Why: a few aliases of aliases grow into gigabytes, and a reader has to look elsewhere for the value.
    Mend: write the value out; put it in quotes if it was meant to begin with an asterisk.
    """
    yield from problems(document, "alias")


@file_rule(ERROR)
def explicit_tag(document: Document) -> Iterator[Finding]:
    """A value has a YAML tag (`!name`) in front.

    Why: tags can ask a careless reader to run code, and an entry holds only text, lists and whole numbers.
    Mend: take the tag away; put the value in quotes if it was meant to begin with an exclamation mark.
    """
    yield from problems(document, "explicit-tag")


@file_rule(ERROR)
def duplicate_key(document: Document) -> Iterator[Finding]:
    """A key stands twice.

    Why: YAML keeps the last of the two without a word, so that the first is lost.
    Mend: keep one of them.
    """
    yield from _doubles(document.root)


def _doubles(node: Node | None) -> Iterator[Finding]:
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _doubles(item)
    if isinstance(node, Mapping):
        for key, value in node.pairs:
            first = node.first[key.value][0]
            if first is not key:
                yield Finding(key.position, f"{shown(key.value)} stands in line {first.position.line} already")
            yield from _doubles(value)


def _noun(node: Node) -> str:
    return "a list" if isinstance(node, Sequence) else "a single text"
