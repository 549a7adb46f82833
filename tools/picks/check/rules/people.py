"""The list of authors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from picks.bibliography.names import read_name
from picks.check.base import Base, Entry
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from reproductions.common.quoting import shown

_AND_OTHERS = re.compile(r"\bet\.? al\b|\band others\b|\bu\. ?a\.|…|\.\.\.", re.IGNORECASE)
_MARKS = re.compile(r"[0-9\u00b2\u00b3\u00b9\u2070-\u2079*†‡§¶@#]")
_SEVERAL = re.compile(r";|&| and (?=\w)|,(?! (?:Jr|Sr|I|V))", re.IGNORECASE)
_GROUP = re.compile(r"\{[^{}]+\}")
_BRACED = re.compile(r"[^{}]*(?:\{[^{}\s](?:[^{}]*[^{}\s])?\}[^{}]*)?")
_INITIAL = re.compile(r"(?:[^\W\d_]\.-?)+|[^\W\d_]")


@entry_rule(ERROR)
def author_et_al(entry: Entry, base: Base) -> Iterator[Finding]:
    """The list of authors ends in "et al." or the like.

    Why: citations made from the entry leave the others out, and their own pages miss the paper.
    Mend: name all authors, a line each.
    """
    for author in entry.texts("authors"):
        if _AND_OTHERS.search(author.value):
            yield Finding(author.position, f"{shown(author.value)} is not a person")


@entry_rule(ERROR)
def author_marks(entry: Entry, base: Base) -> Iterator[Finding]:
    """An author's name has digits or marks of footnotes in it.

    Why: they come from the paper's first page, where they point to affiliations; they are no part of the name.
    Mend: take them out; the name of a group that has them stands in braces: "{AI@Home}".
    """
    for author in entry.texts("authors"):
        if found := _MARKS.search(_GROUP.sub("", author.value)):
            yield Finding(author.position, f"{shown(author.value)} has {shown(found[0])} in it")


@entry_rule(ERROR)
def author_order(entry: Entry, base: Base) -> Iterator[Finding]:
    """An author stands surname first, or several stand in one line.

    Why: exports take the last word of a name for the surname, and each item for one person.
    Mend: write a line each, given names first: Mor Geva, not Geva, Mor; the name of a group stands in braces.
    """
    for author in entry.texts("authors"):
        if found := _SEVERAL.search(_GROUP.sub("", author.value)):
            yield Finding(author.position, f"{shown(author.value)} has {shown(found[0].strip())} in it")


@entry_rule(ERROR)
def author_braces(entry: Entry, base: Base) -> Iterator[Finding]:
    """The braces in an author's name do not hold one family name, or one group.

    Why: exports take what is in braces for the family name, and the rest for given names.
    Mend: put one pair around the family name of several words, Nico {De Cabo}, or around all of a group's name.
    """
    for author in entry.texts("authors"):
        if not _BRACED.fullmatch(author.value):
            yield Finding(author.position, f"{shown(author.value)} has other braces")


@entry_rule(HINT)
def namesakes(entry: Entry, base: Base) -> Iterator[Finding]:
    """Two authors of a paper have the same name.

    Why: that happens, but mostly a name was pasted twice.
    Mend: look at the paper; leave it if they are two people.
    """
    seen: set[str] = set()
    for author in entry.texts("authors"):
        if author.value in seen:
            yield Finding(author.position, f"{shown(author.value)} stands there already")
        seen.add(author.value)


@entry_rule(HINT)
def name_of_two(entry: Entry, base: Base) -> Iterator[Finding]:
    """An author's name is another entry's with a word more or less.

    Why: if it is one person, their papers stand on two pages.
    Mend: add both names to papers/_people.yml if it is one person; entries keep the name that their paper prints.
    """
    for author in entry.texts("authors"):
        for other in sorted(base.index(_longer_names).get(read_name(author.value).spoken, ())):
            yield Finding(author.position, f"{shown(author.value)} may be {shown(other)}")


@entry_rule(ERROR)
def abbreviated_author(entry: Entry, base: Base) -> Iterator[Finding]:
    """An author has initials here and a full name in another entry.

    Why: the two count as two people, on the pages of authors and in every search.
    Mend: write the name out as in the other entry, if it is the same person.
    """
    for author in entry.texts("authors"):
        known = base.index(_full_names).get(_short(author.value), set()) if _has_initials_only(author.value) else set()
        if known:
            yield Finding(author.position, f"{shown(author.value)} may be {' or '.join(sorted(known))}")


@entry_rule(HINT)
def author_initials(entry: Entry, base: Base) -> Iterator[Finding]:
    """An author's given names are only initials.

    Why: M. Geva can be many people; Mor Geva hardly.
    Mend: write the name out where the paper or the author's page does.
    """
    for author in entry.texts("authors"):
        if _has_initials_only(author.value) and _short(author.value) not in base.index(_full_names):
            yield Finding(author.position, f"{shown(author.value)} has no given name")


def _longer_names(base: Base) -> dict[str, set[str]]:
    """Names by those that say the same with words left out, which papers/_people.yml does not know."""
    names = {read_name(author.value).spoken for entry in base.entries for author in entry.texts("authors")}
    found: dict[str, set[str]] = {}
    for name in names:
        words = [] if read_name(name).suffix else name.split()
        for place in range(1, len(words)):
            shorter = " ".join(words[:place] + words[place + 1 :])
            if shorter in names and " " in shorter and not _one_person(base, name, shorter):
                found.setdefault(shorter, set()).add(name)
    return found


def _one_person(base: Base, *names: str) -> bool:
    return len({base.people.get(name, name) for name in names}) == 1


def _has_initials_only(name: str) -> bool:
    given = read_name(name).given.split()
    return bool(given) and all(_INITIAL.fullmatch(part) for part in given)


def _short(name: str) -> tuple[str, str]:
    """The first letter and the surname, without case and accents."""
    parts = unicodedata.normalize("NFKD", name).casefold().split() or [""]
    plain = ["".join(letter for letter in part if not unicodedata.combining(letter)) for part in parts]
    return plain[0][:1], plain[-1]


def _full_names(base: Base) -> dict[tuple[str, str], set[str]]:
    names = {author.value for entry in base.entries for author in entry.texts("authors")}
    found: dict[tuple[str, str], set[str]] = {}
    for name in names:
        if not _has_initials_only(name) and len(name.split()) > 1:
            found.setdefault(_short(name), set()).add(name)
    return found
