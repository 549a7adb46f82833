"""The entries on disk: new ones are started, others brought up to date; nothing is ever overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from picks.add.diff import show, updated
from picks.add.entry import new_entry
from picks.add.entry_file import EntryFile
from picks.add.facts import Facts
from picks.dates import today
from picks.papers import paper_ids
from reproductions.common.documents import read_document
from reproductions.common.errors import UserError


@dataclass(frozen=True)
class Written:
    """What came of it: a line for each entry, the ids of those written, and a line for each paper that was refused."""

    said: tuple[str, ...]
    ids: tuple[str, ...]
    refused: tuple[str, ...] = ()


def refuse_wrong_files(root: Path, ids: Iterable[str], update: bool) -> None:
    """Before anything is fetched: an entry that is there is only updated when asked, one that is not never is.

    Raises:
        UserError: an entry is there, or missing, against what was asked.
    """
    for name in ids:
        if why := _wrong_file(root, name, update):
            raise UserError(why)


def write(root: Path, found: Sequence[Facts], update: bool) -> Written:
    """Start or update an entry for each paper; one that cannot be written does not stop the others.

    Raises:
        UserError: none of them can be written.
    """
    said, ids, refused = [], [], []
    for facts, why in _turned_away(root, found, update):
        try:
            if why:
                raise UserError(why)
            entry, told = _updated(root, facts) if update else _started(root, facts)
            entry.save()
        except UserError as error:
            refused.append(str(error))
        else:
            said.append(told)
            ids.append(facts.id)
    if refused and not ids:
        raise UserError("\n".join(refused))
    return Written(tuple(said), tuple(ids), tuple(refused))


def orders(root: Path) -> dict[str, int | None]:
    """Every paper here with its place in the collection, where it has one. Unfinished entries count."""
    places = {name: read_document(_path(root, name)).mapping.data.get("collection") for name in paper_ids(root)}
    return {name: place.get("order") if isinstance(place, dict) else None for name, place in places.items()}


def shown(name: str) -> str:
    """The file of an entry, as it is said."""
    return f"papers/{name}.yml"


def _turned_away(root: Path, found: Sequence[Facts], update: bool) -> Iterator[tuple[Facts, str | None]]:
    """Each paper with why it cannot be written, if so."""
    seen: set[str] = set()
    for facts in found:
        twice = f"{facts.id} is given twice; the first is kept" if facts.id in seen else None
        yield facts, twice or _wrong_file(root, facts.id, update)
        seen.add(facts.id)


def _wrong_file(root: Path, name: str, update: bool) -> str | None:
    exists = _path(root, name).exists()
    if exists and not update:
        return f"{shown(name)} exists; to bring its facts up to date, use --update"
    if update and not exists:
        return f"{shown(name)} does not exist; to start it, leave out --update"
    return None


def _started(root: Path, facts: Facts) -> tuple[EntryFile, str]:
    return EntryFile(_path(root, facts.id), new_entry(facts, today())), f"{shown(facts.id)}: started – {facts.title}"


def _updated(root: Path, facts: Facts) -> tuple[EntryFile, str]:
    before = EntryFile.load(_path(root, facts.id))
    after = updated(before, facts)
    return after, show(before, after, shown(facts.id)) or f"{shown(facts.id)}: nothing new"


def _path(root: Path, name: str) -> Path:
    return root / shown(name)
