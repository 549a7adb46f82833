"""A small knowledge base for the tests of the checker: fixtures on a shelf of their own, beside a reproduction."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from picks.check.checker import check, files_in
from picks.check.faults import Fault
from tests.fixtures import house

FIXTURES = Path(__file__).parents[2] / "fixtures" / "papers"
TAGS = Path(__file__).parents[3] / "papers" / "_tags.yml"
REPRODUCTION = "reproduction"
ENTRY = FIXTURES / "valid" / "unreadable" / "2501.01234.yml"  # a full entry without a fault


def build(folder: Path, fixture: Path | None = None) -> Path:
    """A base with the entries of a fixture, the tags of this repository, and the reproduction of the test house.

    A folder `reproduction` of the fixture goes over that reproduction's.
    """
    root = house.build(folder)
    shutil.rmtree(root / "papers")
    (root / "papers").mkdir()
    shutil.copy(TAGS, root / "papers")
    if fixture:
        kept_apart = shutil.ignore_patterns(REPRODUCTION)
        shutil.copytree(fixture, root / "papers", symlinks=True, dirs_exist_ok=True, ignore=kept_apart)
        if (fixture / REPRODUCTION).is_dir():
            shutil.copytree(fixture / REPRODUCTION, root / "reproductions" / house.NAME, dirs_exist_ok=True)
    return root


def entry(root: Path, *changes: tuple[str, str], name: str = "2501.01234.yml") -> Path:
    """An entry without a fault, then changed."""
    text = ENTRY.read_text(encoding="utf8")
    for written, instead in changes:
        assert written in text
        text = text.replace(written, instead, 1)
    path = root / "papers" / name
    path.write_text(text, encoding="utf8")
    return path


def faults(root: Path) -> list[Fault]:
    """All faults of a base."""
    return check(root, files_in(root / "papers"))


def found(root: Path) -> list[str]:
    """Each fault as `line:col rule`."""
    return places(faults(root))


def places(all_faults: Iterable[Fault]) -> list[str]:
    """Each fault as `line:col rule`."""
    return [f"{fault.position.line}:{fault.position.column} {fault.rule}" for fault in all_faults]
