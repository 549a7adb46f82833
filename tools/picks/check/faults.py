"""What a fault is, and the register of the rules that find them.

A rule is a function that yields findings. Its name is its id, its docstring what is wrong, why that matters and how to
mend it; messages, `--explain` and the pages of the site all come from there:

    @entry_rule(ERROR)
    def unknown_tag(entry: Entry, base: Base) -> Iterator[Finding]:
        '''A tag is not in papers/_tags.yml.

        Why: readers filter by tags, and a tag that only one entry has finds nothing.
        Mend: take a tag of papers/_tags.yml, or add a new one there with its sentence.
        '''
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reproductions.common.documents import Document, Position
from reproductions.common.quoting import printable

if TYPE_CHECKING:
    from picks.check.base import Base, Entry

ERROR = "error"
HINT = "hint"

_DOCSTRING = re.compile(r"(?P<what>.+?)\n\nWhy: (?P<why>.+?)\nMend: (?P<mend>.+?)(\n\n(?P<more>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """What a rule found: where, what, and how to mend it where the rule's own advice does not do.

    path: the file that it was found in, where it is not the one that is being checked.
    """

    position: Position
    what: str
    mend: str = ""
    path: Path | None = None


@dataclass(frozen=True, order=True)
class Fault:
    """A finding in a file, as it is reported."""

    path: str
    position: Position
    rule: str
    what: str
    level: str
    why: str
    mend: str


def display(path: Path) -> str:
    """A path as the user would type it, with nothing in it that a terminal would obey."""
    return printable(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


FileCheck = Callable[[Document], Iterator[Finding]]
EntryCheck = Callable[["Entry", "Base"], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A kind of fault: errors fail the check, hints do not."""

    id: str
    level: str
    module: str
    what: str
    why: str
    mend: str
    more: str

    def fault(self, path: str, finding: Finding) -> Fault:
        """A finding, with what the rule says about all of its kind."""
        what, mend = printable(finding.what), printable(finding.mend or self.mend)
        place = display(finding.path) if finding.path else path
        return Fault(place, finding.position, self.id, what, self.level, self.why, mend)


FILE_RULES: dict[Rule, FileCheck] = {}
ENTRY_RULES: dict[Rule, EntryCheck] = {}


def file_rule(level: str) -> Callable[[FileCheck], FileCheck]:
    """Registers a rule about a YAML file as such; _tags.yml must keep it as well."""

    def register(check: FileCheck) -> FileCheck:
        FILE_RULES[_rule(check, level)] = check
        return check

    return register


def entry_rule(level: str) -> Callable[[EntryCheck], EntryCheck]:
    """Registers a rule about what an entry says, alone or beside the others."""

    def register(check: EntryCheck) -> EntryCheck:
        ENTRY_RULES[_rule(check, level)] = check
        return check

    return register


def _rule(check: FileCheck | EntryCheck, level: str) -> Rule:
    said = _DOCSTRING.fullmatch(inspect.cleandoc(check.__doc__ or ""))
    if said is None:
        raise TypeError(f"the docstring of {check.__name__} must say what, Why: and Mend:")
    parts = {name: _one_line(text or "") for name, text in said.groupdict().items() if name != "more"}
    module = check.__module__.rpartition(".")[2]
    return Rule(check.__name__.replace("_", "-"), level, module, more=said["more"] or "", **parts)


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
