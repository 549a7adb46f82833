"""A run's own temporary folders: gone when it ends; what a killed one has left goes at the next start.

Each holds a file that its run keeps locked. That file gets its name only once it is locked, so that a folder with a
free one in it is a dead run's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picks.places import usable

PREFIX, LOCK = "picks-", "of-a-run.lock"


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A private folder in `parent`, or where the system has its temporary files."""
    parent = parent or Path(tempfile.gettempdir())
    with usable(parent, "set TMPDIR to another place"):
        _clear(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    unnamed = folder / f"{LOCK}.part"
    handle = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: nobody will take this for a dead run's
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(folder / LOCK)
        yield
    finally:
        os.close(handle)


def _clear(parent: Path) -> None:
    """Remove what dead runs have left."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):  # somebody else's, or another run clears it
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(handle)
