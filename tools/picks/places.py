"""Places on the disk that cannot be used: what is wrong with one, in a sentence that has the way out."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reproductions.common.errors import UserError

NO_LOCKS = "this file system has no locks: use one that has"
WRONG = {
    errno.ENOSPC: "the disk is full: free some room",
    errno.EDQUOT: "your share of this disk is used up: free some room",
    errno.EFBIG: "a file may not grow so large: raise the limit (ulimit -f)",
    errno.EROFS: "this place can only be read: make it writable",
    errno.EACCES: "you have no right to use this place: give it to yourself",
    errno.EPERM: "you have no right to use this place: give it to yourself",
    errno.EIO: "the disk does not read or write: look after it",
    errno.ENOLCK: NO_LOCKS,
    errno.ENOTSUP: NO_LOCKS,
    errno.ENOSYS: NO_LOCKS,
}
TOLD = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)")  # how Python and Rust write an error's number


class PlaceError(UserError):
    """A place is full, read-only, forbidden or without locks: nobody's input was wrong."""

    exit_code = 74  # EX_IOERR of sysexits.h


def place_error(error: OSError, path: Path, elsewhere: str) -> PlaceError:
    """What the system refuses, as the user can mend it.

    Args:
        error: the refusal; if it names a file, that is the place.
        path: the place otherwise.
        elsewhere: how another place is chosen.
    """
    what = WRONG.get(error.errno or 0, f"this place cannot be used ({error.strerror or error}): mend it")
    return PlaceError(f"{error.filename or path}: {what}, or {elsewhere}")


@contextmanager
def usable(path: Path, elsewhere: str) -> Iterator[None]:
    """What is written in here, is written to this place.

    Raises:
        PlaceError: it cannot be.
    """
    try:
        yield
    except OSError as error:
        raise place_error(error, path, elsewhere) from None


def told_number(text: str) -> int | None:
    """The system's number of an error that is known by its text alone."""
    found = TOLD.search(text)
    return int(found[1] or found[2]) if found else None
