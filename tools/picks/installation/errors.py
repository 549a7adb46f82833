"""Why an environment cannot be made, and with which exit code that is said."""

from __future__ import annotations

import errno
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class InstallationError(Exception):
    """Why the environment could not be made and how to mend it, in one sentence."""

    exit_code = 1


class PlaceError(InstallationError):
    """A place that cannot be written: full, read-only, or without what is needed of it."""

    exit_code = 74  # EX_IOERR of sysexits.h


def place_error(error: OSError, near: Path) -> PlaceError:
    """An error of the system about a file as a sentence; `near` is named where the error names no file."""
    place, reason = error.filename or near, error.strerror or str(error)
    if error.errno in FULL:
        return PlaceError(full(near))
    return PlaceError(
        f"{place}: {reason}; clone the project to a folder of an ordinary file system that you may write in, "
        "and start there"
    )


def full(near: Path) -> str:
    """That there is no room."""
    return f"the disk is full where {near} lies; free some 3 GB there (10 GB with CUDA) and start again"
