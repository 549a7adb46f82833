"""The files of a reproduction: what is declared, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from reproductions.common.documents import Position
from reproductions.common.errors import UserError
from reproductions.common.schema import FileError, Misfit, load


@entry_rule(ERROR)
def reproduction_file(entry: Entry, base: Base) -> Iterator[Finding]:
    """A YAML file of the reproduction, or one that all of them share, is not as it must be.

    Why: a run would be refused, or would measure something else than was meant.
    Mend: correct the line; CONTRIBUTING.md says what belongs into these files.

    The files are reproduction.yml, relations/*.yml, and reproductions/*.yml; they are read as `tools/repro`
    reads them. What they may hold is in reproductions/common/schemas/.
    """
    for folder in _folder(entry, base):
        for path, misfit in _misfits(folder):
            yield Finding(misfit.position, misfit.what, misfit.mend, path)


@entry_rule(ERROR)
def found_sentences(entry: Entry, base: Base) -> Iterator[Finding]:
    """A sentence about what was found says something else than the records do.

    Why: it stands at the top of the paper's page, and it would be false.
    Mend: write the sentence anew, with the verdicts that are recorded now.

    Each sentence of `found` in reproduction.yml names the verdicts that it rests on.
    """
    for folder in _folder(entry, base):
        for path, misfit in _contradictions(base, folder):
            yield Finding(misfit.position, misfit.what, misfit.mend, path)


@entry_rule(HINT)
def stale_results(entry: Entry, base: Base) -> Iterator[Finding]:
    """Results were recorded with code, data, parameters or packages that have changed since.

    Why: what the page shows may not be what today's code finds.
    Mend: run the quick profile with `--record`; where it finds what it found before, it vouches for the full one too.
    """
    for folder in _folder(entry, base):
        for file, why in _stale(base, folder.name):
            yield Finding(entry.document.position("reproduction"), f"results/{file} is stale: {why}")


def _stale(base: Base, name: str) -> Iterator[tuple[str, str]]:
    """The file names of a reproduction's stale records, and why they are; what cannot be read is another's to say."""
    from picks.run.record import recorded_runs  # slow to import, and most entries have no reproduction
    from picks.run.reproductions import find
    from picks.run.staleness import why_stale

    with suppress(UserError):
        reproduction = find(base.root, name)
        for path, record in recorded_runs(reproduction):
            if why := why_stale(reproduction, record):
                yield path.name, why


def _contradictions(base: Base, folder: Path) -> Iterator[tuple[Path, Misfit]]:
    """Sentences that the records contradict; files that cannot be read are another rule's to tell."""
    from picks.run.reproductions import find  # slow to import, and most entries have no reproduction
    from picks.run.sentences import sentences

    try:
        sentences(find(base.root, folder.name))
    except FileError as error:
        yield from ((error.path, misfit) for misfit in error.faults if misfit.path[:1] == ("found",))
    except (UserError, KeyError, TypeError, ValueError):
        return


def _folder(entry: Entry, base: Base) -> Iterator[Path]:
    """The folder of the entry's reproduction, if it is there and of this paper."""
    named = entry.text("reproduction")
    if named and named.value in base.reproductions:
        yield base.root / "reproductions" / named.value


def _misfits(folder: Path) -> Iterator[tuple[Path, Misfit]]:
    """What is wrong with each file."""
    files: list[tuple[Path, Callable[[Path], Any]]] = [
        (folder / "reproduction.yml", _read_reproduction),
        *((path, partial(load, name="relation")) for path in sorted(folder.glob("relations/*.yml"))),
        *((path, partial(load, name=path.stem)) for path in sorted(folder.parent.glob("*.yml"))),
    ]
    for path, read in files:
        try:
            read(path)
        except UserError as error:
            yield from ((path, misfit) for misfit in _told(error))


def _read_reproduction(path: Path) -> None:
    from picks.run.parameters import load_schema  # slow to import, and most entries have no reproduction
    from reproductions.common.claims import load_claims

    load_claims(path)
    load_schema(path)


def _told(error: UserError) -> list[Misfit]:
    """The faults that an error tells of; one that tells of none is a fault of the whole file."""
    told = error if isinstance(error, FileError) else error.__cause__
    if isinstance(told, FileError):
        return told.faults
    return [Misfit(Position(), "unreadable", (), str(error), "")]
