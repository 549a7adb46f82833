"""Telling the user, without disturbing what the command writes to standard output."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(sentence: str, end: str = "\n") -> None:
    """Write to standard error; a terminal that was closed meanwhile changes nothing."""
    with suppress(OSError):
        print(sentence, end=end, file=sys.stderr, flush=True)
