"""Keeping a folder in step with what it should hold: changed files are written whole, stale ones go, the rest rests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from reproductions.common.files import write_bytes


def synchronise(folder: Path, files: Mapping[str, bytes]) -> tuple[int, int]:
    """Make a folder hold these files and no others.

    Returns:
        how many files were written, and how many removed.
    """
    written = sum(_write(folder / path, content) for path, content in files.items())
    stale = [path for path in _files(folder) if path.relative_to(folder).as_posix() not in files]
    for path in stale:
        path.unlink()
    _drop_empty(folder)
    return written, len(stale)


def _write(path: Path, content: bytes) -> bool:
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    return True


def _files(folder: Path) -> list[Path]:
    return [Path(where, name) for where, _, names in os.walk(folder) for name in names]


def _drop_empty(folder: Path) -> None:
    for where, folders, names in os.walk(folder, topdown=False):
        if not folders and not names and where != str(folder):
            Path(where).rmdir()
