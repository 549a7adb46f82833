"""The entries on disk: new ones are started, others brought up to date; nothing is ever overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from picks.add.diff import show, updated
from picks.add.entry import new_entry
from picks.add.entry_file import EntryFile
from picks.add.facts import Facts
from picks.papers import paper_ids
from reproductions.common.documents import read_document
from reproductions.common.errors import UserError


def refuse_wrong_files(root: Path, ids: Iterable[str], update: bool) -> None:
    """Before anything is fetched: an entry that is there is only updated when asked, one that is not never is.

    Raises:
        UserError: an entry is there, or missing, against what was asked.
    """
    for name in ids:
        path = _path(root, name)
        if path.exists() and not update:
            raise UserError(f"{_shown(path)} exists; to bring its facts up to date, use --update")
        if update and not path.exists():
            raise UserError(f"{_shown(path)} does not exist; to start it, leave out --update")


def write(root: Path, found: Sequence[Facts], update: bool) -> list[str]:
    """Start or update an entry for each paper: all of them, or none if one is refused. Returns what to say.

    Raises:
        UserError: an entry is there, or missing, against what was asked; or cannot be edited.
    """
    names = [facts.id for facts in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{', '.join(sorted(twice))} is given twice; keep one of them")
    refuse_wrong_files(root, names, update)
    entries = [_updated(root, facts) if update else _started(root, facts) for facts in found]
    for entry, _ in entries:
        entry.save()
    return [said for _, said in entries]


def orders(root: Path) -> dict[str, int | None]:
    """Every paper here with its place in the collection, where it has one. Unfinished entries count."""
    places = {name: read_document(_path(root, name)).mapping.data.get("collection") for name in paper_ids(root)}
    return {name: place.get("order") if isinstance(place, dict) else None for name, place in places.items()}


def _started(root: Path, facts: Facts) -> tuple[EntryFile, str]:
    path = _path(root, facts.id)
    return EntryFile(path, new_entry(facts)), f"{_shown(path)}: started – {facts.title}"


def _updated(root: Path, facts: Facts) -> tuple[EntryFile, str]:
    before = EntryFile.load(_path(root, facts.id))
    after = updated(before, facts)
    name = _shown(before.path)
    return after, show(before, after, name) or f"{name}: nothing new"


def _path(root: Path, name: str) -> Path:
    return root / "papers" / f"{name}.yml"


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
