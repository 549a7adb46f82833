"""What a source leaves to a person: a TODO in the place of a fact, which `tools/check` points at."""

from __future__ import annotations

MOST = 200


def todo(what: str, said: str = "", most: int = MOST) -> str:
    """A TODO that says what is to be done, and what stands in the source, cut to so many characters."""
    text = f"TODO – {what}: {said}" if said else f"TODO – {what}"
    return text if len(text) <= most else text[: most - 1] + "…"
