"""'Did you mean …?' for a misspelt name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """A question to end a message with, or nothing if no known name is close."""
    by_form = {_form(candidate): candidate for candidate in known}
    close = get_close_matches(_form(name), by_form, n=1, cutoff=likeness)
    return f": did you mean {by_form[close[0]]}?" if close else ""


def _form(name: str) -> str:
    return name.lower().replace("-", "_")
