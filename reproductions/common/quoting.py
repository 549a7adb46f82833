"""What a user wrote, inside our messages: short, in quotes, and nothing in it that a terminal would obey."""

from __future__ import annotations

MOST = 60


def shown(value: object) -> str:
    """A value for a message."""
    text = str(value)
    return "'" + printable(text if len(text) <= MOST else text[: MOST - 1] + "…") + "'"


def printable(text: str) -> str:
    """A text with escapes for the characters that do not print."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
