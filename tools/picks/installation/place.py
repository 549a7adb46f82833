"""Where the environment lies: whether it is ours, whether there is room, what is kept beside it and in it."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picks.environment import LOCK, ROOT, STAMP, VENV
from picks.installation.errors import InstallationError, PlaceError
from picks.installation.programs import PULSE, AbandonedError
from picks.installation.saying import say

GUARD = ROOT / ".venv.lock"
LOG = ROOT / ".venv.log"
MARK = VENV / "made-by-daily-picks"  # written first, when the stamp is still far
TEMPORARY = VENV / "tmp"
LEAST_ROOM = 3_000_000_000  # bytes that the smallest build of PyTorch and all others take


@contextmanager
def guarded(lifeline: int) -> Iterator[int]:
    """Keep other starts away, once those that are under way have ended."""
    with GUARD.open("a") as file:
        if not _locked(file.fileno()):
            say("Another start is making the environment; waiting for it.")
            while not _locked(file.fileno()):
                if select.select([lifeline], [], [], PULSE)[0]:
                    raise AbandonedError
        yield file.fileno()


def claim() -> None:
    """Raises an error if something lies there that was not made here; an empty folder may be used."""
    if _made_here():
        MARK.write_bytes(os.fsencode(ROOT))
    elif os.path.lexists(VENV) and (not VENV.is_dir() or any(VENV.iterdir())):
        raise InstallationError(
            f"{VENV} was there before and was not made by this command, so it is left alone; "
            "if you need it, move it away, if not, remove it, and start again"
        )


def refuse_without_room() -> None:
    """Raises an error, before anything is fetched, if the packages cannot fit."""
    free = shutil.disk_usage(ROOT).free
    if b"\ntorch==" in LOCK.read_bytes() and free < LEAST_ROOM:
        raise PlaceError(
            f"{free / 1e9:.1f} GB are free where {VENV} is to lie, and 3 GB are needed (10 GB with CUDA); "
            "make room and start again"
        )


def empty() -> None:
    """Nothing but the mark in the environment's folder, which is made if there is none."""
    clear()
    VENV.mkdir(exist_ok=True)
    MARK.write_bytes(os.fsencode(ROOT))


def clear() -> None:
    """Remove the environment; a link to a folder stays, and leads to an empty one."""
    STAMP.unlink(missing_ok=True)
    if VENV.is_dir():
        for path in sorted(VENV.iterdir(), key=lambda path: path == MARK):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not VENV.is_symlink():
            VENV.rmdir()


def tidy() -> None:
    """Nothing that is temporary or half-made."""
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    if not STAMP.exists() and _made_here():
        clear()


def write(path: Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _made_here() -> bool:
    """Whether this project made it; behind a link it must be this very folder, for that may lead to another's."""
    try:
        if not VENV.is_symlink():
            return MARK.exists() or STAMP.exists()
        return os.fsencode(ROOT) in (MARK.read_bytes() if MARK.exists() else STAMP.read_bytes().split(b"\n")[1])
    except (OSError, IndexError):
        return False


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
