"""The names in an author field of BibTeX, as an entry writes them."""

from __future__ import annotations

import re

from picks.add.braces import is_held, split
from picks.add.todo import todo
from picks.bibliography.latex import decode, unknown_commands
from picks.bibliography.names import Name, from_parts

_AND = re.compile(r"(?<!\S)and(?!\S)", re.IGNORECASE)
_COMMA, _SPACE = re.compile(","), re.compile(r"\s+")
_LETTER = re.compile(r"[^\W_]")
_OTHERS = re.compile(r"others|et\.? al\.?", re.IGNORECASE)
_ET_AL = re.compile(r"\s+et\.? al\.?$", re.IGNORECASE)
_ANONYMOUS = re.compile(r"anonym(?:ous|i[sz]ed)\b", re.IGNORECASE)
_OF_A_GROUP = re.compile(r"^\d|@")
_OF_SEVERAL = re.compile(r"[;&]")
_PART = re.compile(r"\s*(?P<name>family|given|prefix|suffix|useprefix)\s*=\s*(?P<value>.*)", re.IGNORECASE | re.DOTALL)


def people(field: str) -> list[str]:
    """The names in an author field, given names first; a TODO for those who are not named, or not one by one."""
    names = split(_ET_AL.sub(" and others", field.strip()), _AND)
    return [written for name in names if (written := _written(" ".join(name.split())))]


def _written(name: str) -> str:
    """A name as an entry writes it; nothing for what is no name (a lone colon)."""
    said = decode(name)
    if not _LETTER.search(said):
        return ""
    if strange := unknown_commands(name):
        return todo(f"what {' and '.join(strange)} stands for in a name", said)
    if _OTHERS.fullmatch(said):
        return todo("the authors after these")
    if _ANONYMOUS.match(said):
        return todo("the authors, who are not named yet")
    try:
        return _name(name).written
    except ValueError as error:
        return todo(str(error), said)


def _name(name: str) -> Name:
    """A name taken apart.

    Raises:
        ValueError: it is not that of one person, or of one group in braces; the message says why.
    """
    parts = [part for part in split(name, _COMMA) if _LETTER.search(_said(part))]
    if is_held(name) or (len(parts) == 1 and _OF_A_GROUP.search(name)):
        return Name(_said(name))
    if found := [part for text in parts if (part := _PART.fullmatch(text))]:
        return _extended({part["name"].lower(): _said(part["value"].strip(' "')) for part in found})
    if any(_OF_SEVERAL.search(_said(part)) for part in parts if not is_held(part.strip())):
        raise ValueError("several people, or a group without braces")
    return _spoken(parts[0].strip()) if len(parts) == 1 else from_parts([_said(part) for part in parts])


def _extended(parts: dict[str, str]) -> Name:
    """A name in biblatex's extended form, `family=Wal, given=Oskar, prefix=van der`; prefixes belong to the family."""
    family, given = f"{parts.get('prefix', '')} {parts.get('family', '')}".strip(), parts.get("given", "")
    if not family:
        raise ValueError("a name without a family name")
    return Name(family, given, parts.get("suffix", ""))


def _spoken(name: str) -> Name:
    """A name with the given names first: as in BibTeX, the family's is in braces, or begins with a small letter."""
    words = split(name, _SPACE)
    *before, last = map(_said, words)
    found = Name(last, " ".join(before)) if is_held(words[-1]) else from_parts([" ".join([*before, last])])
    given = found.given.split()
    start = next((place for place, word in enumerate(given) if place and _is_small(word)), len(given))
    return Name(" ".join([*given[start:], found.family]), " ".join(given[:start]), found.suffix)


def _is_small(word: str) -> bool:
    return word.lstrip("'’`")[:1].islower()


def _said(latex: str) -> str:
    """A part of a name without LaTeX, and without the braces that have a meaning of their own in an entry."""
    return " ".join(decode(latex).replace("{", "").replace("}", "").split())
