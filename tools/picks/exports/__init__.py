"""The collection in the formats that other programs read; `citation.cite` gives what every format writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from picks.exports import bibtex, csl, dump, markdown, ris
from picks.exports.citation import Citation, cite

FORMATS: dict[str, Callable[[Sequence[Citation]], str]] = {
    "bibtex": bibtex.write,
    "ris": ris.write,
    "csl": csl.write,
    "markdown": markdown.write,
    "json": dump.write,
}

__all__ = ["FORMATS", "Citation", "cite"]
