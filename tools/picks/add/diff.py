"""What a source knows better than an entry, and how the entry looks with it: facts alone, never what a person wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import unified_diff

from picks.add.entry_file import EntryFile, Plain
from picks.add.facts import Facts
from picks.add.layout import Value
from picks.bibliography.names import read_name
from picks.bibliography.venues import Venue


def updated(entry: EntryFile, facts: Facts) -> EntryFile:
    """The entry with every fact that is new or has changed; all else as it was."""
    for keys, value in changes(entry, facts):
        entry = entry.with_value(value, *keys)
    return entry


def changes(entry: EntryFile, facts: Facts) -> Iterator[tuple[tuple[str, ...], Value]]:
    """The facts worth changing, under their paths of keys. What an entry has and the source lacks stays."""
    for keys, value in facts.known():
        if not _is_as_good(keys, entry.get(*keys), value):
            yield keys, value
            if keys == ("title",):
                yield from _former_title(entry)


def show(before: EntryFile, after: EntryFile, name: str) -> str:
    """The difference, as version control shows it."""
    lines = unified_diff(
        before.text.splitlines(), after.text.splitlines(), f"{name} now", f"{name} then", n=1, lineterm=""
    )
    return "\n".join(lines)


def _former_title(entry: EntryFile) -> Iterator[tuple[tuple[str, ...], Value]]:
    """The title that an entry had, among those that the paper was known by."""
    title, titles = entry.get("title"), entry.get("titles")
    if isinstance(title, str) and not title.startswith("TODO"):
        yield ("titles",), [*map(str, titles if isinstance(titles, list) else ()), title]


def _is_as_good(keys: Sequence[str], old: Plain | None, new: Value) -> bool:
    """Whether the entry's own wording of a fact is as good as the source's; a link that is there always is."""
    if not old or (isinstance(old, str) and old.startswith("TODO")):
        return False
    if len(keys) > 1 or (isinstance(new, str) and new.startswith("TODO")):
        return True
    if isinstance(old, list) and not isinstance(new, str | int):
        unfinished = any(name.startswith("TODO") for name in new)
        return unfinished or (len(old) == len(new) and all(map(_is_same_person, map(str, old), new)))
    if keys == ("title",):
        return _words(str(old)) == _words(str(new))
    if keys == ("venue",):
        return str(old).startswith(str(new)) or Venue(str(old)).name == Venue(str(new)).name
    return str(old).casefold() == str(new).casefold()


def _is_same_person(old: str, new: str) -> bool:
    """Whether the entry names the same person at least as fully: Mor Geva is M. Geva, and not the other way round."""
    kept, offered = read_name(old), read_name(new)
    if _words(kept.family) != _words(offered.family):
        return False
    pairs = list(zip(_words(kept.given), _words(offered.given), strict=False))
    return len(kept.given) >= len(offered.given) and all(mine.startswith(theirs) for mine, theirs in pairs)


def _words(text: str) -> Sequence[str]:
    """Its words, whatever their case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))
