"""The same paper twice: by id, by DOI, by address, by title."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule
from picks.ids import place_of
from reproductions.common.documents import Position, Scalar

LEAST_WORDS = 5  # of titles that may differ in a word and still be one paper's
ALIKE = 0.7  # two spellings of a word; GPT and Mamba are none

Words = tuple[str, ...]


@entry_rule(ERROR)
def same_id(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two files have the same id, but for case, version or folder.

    Why: whoever looks for the paper finds one of the two by chance.
    Mend: put what both say into one file and remove the other.
    """
    yield from _others(entry, base.index(_by_id)[_plain_id(entry)], entry.start, "is the same paper")


@entry_rule(ERROR)
def same_doi(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two entries have the same DOI.

    Why: a DOI names one work, so either the paper is here twice or one of the DOIs is wrong.
    Mend: look the DOI up; mend it, or put what both say into one file.
    """
    if doi := entry.text("doi"):
        yield from _others(entry, base.index(_by_doi)[doi.value.lower()], doi.position, "has the same DOI")


@entry_rule(ERROR)
def same_title(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two entries have the same title, now or once, but for accents, punctuation or the spelling of a word.

    Why: the paper is probably here twice, as a preprint and under another id.
    Mend: put what both say into one file and remove the other; mend the title where one was copied by mistake.
    """
    for title in entry.titles():
        yield from _others(entry, _same_title(entry, title, base), title.position, "has the same title")


@entry_rule(ERROR)
def same_address(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two entries have the same address, however it is spelt.

    Why: the address is what an entry that is not on arXiv is known by, so the page is here twice.
    Mend: put what both say into one file and remove the other.
    """
    if address := entry.text("address"):
        same = base.index(_by_address)[place_of(address.value)]
        yield from _others(entry, same, address.position, "has the same address")


@entry_rule(ERROR)
def title_twice(entry: Entry, base: Base) -> Iterator[Finding]:
    """`titles` repeats the title.

    Why: it is for the other titles that a paper was known by, and is shown as such.
    Mend: take it out of `titles`.
    """
    words = _words(entry.document.node("title"))
    for title in entry.texts("titles"):
        if words and title.value.split() == words:
            yield Finding(title.position, "the title stands there already")


def _by_id(base: Base) -> dict[str, list[Entry]]:
    return base.group(_plain_id)


def _plain_id(entry: Entry) -> str:
    return re.sub(r"(?<=\d)v\d+$", "", entry.id.lower())


def _by_doi(base: Base) -> dict[str, list[Entry]]:
    return base.group(lambda entry: doi.value.lower() if (doi := entry.text("doi")) else None)


def _by_title(base: Base) -> dict[Words, list[Entry]]:
    """The entries by their titles, whole and with each word left out: titles that differ in one word meet here."""
    found: dict[Words, list[Entry]] = defaultdict(list)
    for entry in base.entries:
        for variant in {variant for title in entry.titles() for variant in _variants(_title(title))}:
            found[variant].append(entry)
    return found


def _by_address(base: Base) -> dict[str, list[Entry]]:
    return base.group(lambda entry: place_of(address.value) if (address := entry.text("address")) else None)


def _same_title(entry: Entry, title: Scalar, base: Base) -> list[Entry]:
    words, titles = _title(title), base.index(_by_title)
    near = {other.document.path: other for variant in _variants(words) for other in titles.get(variant, ())}
    near.pop(entry.document.path, None)
    return [other for _, other in sorted(near.items()) if any(_near(words, _title(its)) for its in other.titles())]


def _words(node: object) -> list[str]:
    return node.value.split() if isinstance(node, Scalar) else []


def _title(title: Scalar) -> Words:
    """The words of a title, without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", title.value).casefold()
    return tuple(re.findall(r"[^\W_]+", "".join(letter for letter in letters if not unicodedata.combining(letter))))


def _variants(words: Words) -> set[Words]:
    shorter = [words[:place] + words[place + 1 :] for place in range(len(words))]
    return {words, *(shorter if len(words) >= LEAST_WORDS else ())} - {()}


def _near(one: Words, other: Words) -> bool:
    if len(one) != len(other):
        return abs(len(one) - len(other)) == 1 and bool(_variants(one) & _variants(other))
    return all(a == b or _spelt_alike(a, b) for a, b in zip(one, other, strict=True))


def _spelt_alike(one: str, other: str) -> bool:
    """Whether one of two words may be the other misspelt; 2024 is not 2025."""
    return (one + other).isalpha() and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _others(entry: Entry, alike: Iterable[Entry], position: Position, what: str) -> Iterator[Finding]:
    for other in alike:
        if other.document.path != entry.document.path:
            yield Finding(position, f"{other.document.path.name} {what}")
