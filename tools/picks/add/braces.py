"""Braces in BibTeX: they hold together what would else be taken apart."""

from __future__ import annotations

import re
from itertools import accumulate


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of a text between separators that stand outside all braces."""
    depths = _depths(text)
    cuts = [found.span() for found in separator.finditer(text) if depths[found.start()] == 0]
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def is_held(text: str) -> bool:
    """Whether one pair of braces holds all of a text."""
    return text.startswith("{") and text.endswith("}") and all(_depths(text)[:-1])


def _depths(text: str) -> list[int]:
    """How many braces are open after each character."""
    return list(accumulate((letter == "{") - (letter == "}") for letter in text))
