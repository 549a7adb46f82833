"""Names of people: as an entry writes them, as they are spoken, and taken apart for formats that want the family first.

The family name is the last word of a name, with the small particles before it (`Oskar van der Wal`). Braces hold it
together where it is something else, as in BibTeX: `Nico {De Cabo}`. A name that is one pair of braces is a group's:
`{Department for Science, Innovation and Technology}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SMALL = (
    "af al ap ben bin bint da dal de dei del della den der des di do dos du el la le lo ten ter van vande vander von "
    "zu zum zur"
)
_PARTICLES = frozenset(_SMALL.split())
_SUFFIX = re.compile(r"(?:Jr|Sr)\.?|I{2,3}|IV")
_HELD = re.compile(r"(?P<given>[^{}]*?)\s*\{(?P<family>[^{}]+)\}\s*(?P<suffix>[^{}]*)")


@dataclass(frozen=True)
class Name:
    """A person's name, or that of a group (then all of it is `family`)."""

    family: str
    given: str = ""
    suffix: str = ""

    @property
    def spoken(self) -> str:
        """`Oskar van der Wal`."""
        return " ".join(part for part in (self.given, self.family, self.suffix) if part)

    @property
    def written(self) -> str:
        """As an entry writes it: with braces only where the family name is not the last word and its particles."""
        if _plain(self.spoken) == self and (self.given or self.family.isalpha()):
            return self.spoken
        return " ".join(part for part in (self.given, f"{{{self.family}}}", self.suffix) if part)

    @property
    def family_first(self) -> str:
        """`van der Wal, Oskar`; with a suffix, `Blake, Ann, Jr.`, as RIS has it."""
        return ", ".join(part for part in (self.family, self.given, self.suffix) if part)


def read_name(written: str) -> Name:
    """A name as an entry writes it, given names first."""
    held = _HELD.fullmatch(written)
    return Name(held["family"].strip(), held["given"], held["suffix"]) if held else _plain(written)


def from_parts(parts: Sequence[str]) -> Name:
    """A name from its parts between commas, as BibTeX has them: `Wal, Oskar`; `Blake, Jr., Ann`; one alone is spoken.

    Raises:
        ValueError: there are more than three parts, or the middle one of three is no suffix.
    """
    family, *others = (" ".join(part.split()) for part in parts)
    if len(others) > 1 and (len(others) > 2 or not _SUFFIX.fullmatch(others[0])):
        raise ValueError("several people between commas")
    if not others or not others[-1]:
        return _plain(family)
    return Name(family, others[-1], others[0] if len(others) > 1 else "")


def _plain(spoken: str) -> Name:
    words = spoken.split()
    if len(words) < 2:
        return Name(spoken.strip())
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    start = len(words) - 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return Name(" ".join(words[start:]), " ".join(words[:start]), suffix)
