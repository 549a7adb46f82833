"""The rules, by what they look at. To import this package is to register all of them.

files          the bytes: size, encoding, characters that hide
syntax         YAML itself: what does not parse, and what an entry has no use for
traps          values that YAML reads as something else than was meant
shape          keys and values against papers/_schema.json
names          the file's name against what the file says
duplicates     the same paper twice
people         the list of authors
dates          published and picked
venues         where it appeared, and where in it
reading        what was read, and how what it studies is called
links          links and threads
relations      tags, other papers, its reproduction
reproductions  the files of a reproduction
prose          summary, why and title
copies         words shared with another entry
"""

from picks.check.faults import ENTRY_RULES, FILE_RULES, Rule
from picks.check.rules import (
    copies,
    dates,
    duplicates,
    files,
    links,
    names,
    people,
    prose,
    reading,
    relations,
    reproductions,
    shape,
    syntax,
    traps,
    venues,
)

__all__ = [
    "ENTRY_RULES",
    "FILE_RULES",
    "copies",
    "dates",
    "duplicates",
    "files",
    "links",
    "names",
    "people",
    "prose",
    "reading",
    "relations",
    "reproductions",
    "rules",
    "shape",
    "syntax",
    "traps",
    "venues",
]


def rules() -> dict[str, Rule]:
    """All rules by id."""
    return {rule.id: rule for rule in sorted([*FILE_RULES, *ENTRY_RULES], key=lambda rule: rule.id)}
