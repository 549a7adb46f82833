"""Holds files against all rules."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from picks.check.base import Base, Entry, read
from picks.check.faults import Fault, Finding, Rule, display
from picks.check.rules import ENTRY_RULES, FILE_RULES
from picks.papers import PEOPLE, TAGS
from reproductions.common.documents import Document, Mapping

SHARED = (TAGS, PEOPLE)  # files of papers/ that are no entries
MOST_ALIKE = 50  # faults of one rule in one file that are told one by one


def files_in(folder: Path) -> list[Path]:
    """What a folder of papers holds that must be an entry, or is the file of tags."""
    return sorted(path for path in folder.iterdir() if is_checked(path))


def is_checked(path: Path) -> bool:
    """Whether there are rules for a file of that name: not for the schema, the template and what is hidden."""
    return path.name in SHARED or path.name[:1] not in ("", ".", "_")


@contextmanager
def _without_collecting() -> Iterator[None]:
    """No search for garbage: all that is read stays to the end, and would be looked through again and again in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_without_collecting()
def check(root: Path, paths: Iterable[Path]) -> list[Fault]:
    """The faults of some files, sorted; all other entries are read as well, for the rules that compare."""
    folder = root / "papers"
    wanted = {_place(path): path for path in paths}
    around = {_place(path): path for path in files_in(folder)} if folder.is_dir() else {}
    documents = {place: read(path) for place, path in (around | wanted).items()}
    base = Base(root, [document for document in documents.values() if document.path.name not in SHARED])
    return sorted(fault for place in wanted for fault in _faults(documents[place], base))


def _place(path: Path) -> Path:
    """One name for one file, but a link is itself."""
    return path.parent.resolve() / path.name


def _faults(document: Document, base: Base) -> Iterator[Fault]:
    path = display(document.path)
    for rule, check_file in FILE_RULES.items():
        yield from _told(rule, path, list(check_file(document)))
    if document.path.name in SHARED or not isinstance(document.root, Mapping):
        return
    entry = Entry(document)
    for rule, check_entry in ENTRY_RULES.items():
        yield from _told(rule, path, list(check_entry(entry, base)))


def _told(rule: Rule, path: str, findings: list[Finding]) -> Iterator[Fault]:
    for finding in findings[:MOST_ALIKE]:
        yield rule.fault(path, finding)
    if left := findings[MOST_ALIKE:]:
        yield rule.fault(path, Finding(left[0].position, f"and {len(left)} more such faults from here on"))
