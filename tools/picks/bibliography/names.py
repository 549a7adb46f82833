"""Names of people, taken apart for formats that want the family name first, and put together again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SMALL = (
    "af al ap ben bin bint da dal de dei del della der des di do dos du el la le lo ten ter van vande vander von zu "
    "zum zur"
)
_PARTICLES = frozenset(_SMALL.split())
_GROUP = re.compile(r",|\band\b", re.IGNORECASE)
_SUFFIX = re.compile(r"(?:Jr|Sr)\.?|I{2,3}|IV")


@dataclass(frozen=True)
class Name:
    """A person's name, or that of a group (then all of it is `family`)."""

    family: str
    given: str = ""
    suffix: str = ""

    @property
    def family_first(self) -> str:
        """`van der Wal, Oskar`; with a suffix, `Blake, Ann, Jr.`, as RIS has it."""
        return ", ".join(part for part in (self.family, self.given, self.suffix) if part)


def take_apart(name: str) -> Name:
    """A full name, given names first. The family name is the last word and the particles before it."""
    words = name.split()
    if len(words) < 2 or _GROUP.search(name):
        return Name(name)
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    start = len(words) - 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return Name(" ".join(words[start:]), " ".join(words[:start]), suffix)


def given_first(parts: Sequence[str]) -> str:
    """A name as it is spoken, from its parts between commas: `Wal, Oskar` is Oskar Wal; `Blake, Jr., Ann` has three."""
    family, *others = parts
    given, *suffix = reversed(others) if others else [""]
    return " ".join(" ".join((given, family, *suffix)).split())
