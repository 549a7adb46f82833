"""Values that YAML reads as something else than was meant, each trap under its own name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from picks.check.faults import ERROR, Finding, file_rule
from picks.schema import load_schema
from reproductions.common.documents import Document, Scalar
from reproductions.common.quoting import shown

_ID = re.compile(r"\d{4}\.\d{4,5}")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


@file_rule(ERROR)
def unquoted_id(document: Document) -> Iterator[Finding]:
    """An arXiv id stands without quotes.

    Why: YAML reads it as a decimal number and drops its last zeros: 2403.19650 becomes 2403.1965.
    Mend: put it in quotes: "2403.19650".
    """
    yield from _trapped(document, "unquoted-id", "{value} is read as the number {number}")


@file_rule(ERROR)
def unquoted_date(document: Document) -> Iterator[Finding]:
    """A date stands without quotes.

    Why: YAML reads it as a date, which other programs see as a day, a time or a text, each as it likes.
    Mend: put it in quotes: "2024-12-16".
    """
    yield from _trapped(document, "unquoted-date", "{value} is read as a date, not as text")


@file_rule(ERROR)
def unquoted_boolean(document: Document) -> Iterator[Finding]:
    """A word stands without quotes that YAML takes for true or false: yes, no, on, off, true, false.

    Why: the word is lost; Norway's `no` becomes false.
    Mend: put it in quotes: "no".
    """
    yield from _trapped(document, "unquoted-boolean", "{value} is read as true or false")


@file_rule(ERROR)
def unquoted_octal(document: Document) -> Iterator[Finding]:
    """A number begins with a zero.

    Why: YAML 1.1 counts it in eights: 0101 becomes 65.
    Mend: put it in quotes, or leave the zero out where a count is meant.
    """
    yield from _trapped(document, "unquoted-octal", "{value} is read as a number in base eight")


@file_rule(ERROR)
def unquoted_sexagesimal(document: Document) -> Iterator[Finding]:
    """Digits with colons between them stand without quotes.

    Why: YAML 1.1 counts them in sixties: 12:30 becomes 750.
    Mend: put them in quotes: "12:30".
    """
    yield from _trapped(document, "unquoted-sexagesimal", "{value} is read as a number in base sixty")


@file_rule(ERROR)
def unquoted_number(document: Document) -> Iterator[Finding]:
    """A number stands where text is meant.

    Why: YAML makes it a number and writes that back in its own way: 2.50 becomes 2.5, 0x1F becomes 31.
    Mend: put it in quotes.
    """
    yield from _trapped(document, "unquoted-number", "{value} is read as a number")


@file_rule(ERROR)
def empty_value(document: Document) -> Iterator[Finding]:
    """A key or a list item has no value.

    Why: YAML reads it as null, and nobody knows whether something was forgotten.
    Mend: write the value, or leave the key out.
    """
    yield from _trapped(document, "empty-value", "nothing is said here")


def trap_of(path: tuple[str | int, ...], scalar: Scalar) -> str | None:
    """The trap that a value has fallen into."""
    if scalar.type in ("int", "float"):
        return _trap_of_number(path, scalar.value)
    return {"timestamp": "unquoted-date", "bool": "unquoted-boolean", "null": "empty-value"}.get(scalar.type)


def _trap_of_number(path: tuple[str | int, ...], value: str) -> str | None:
    if _ID.fullmatch(value):
        return "unquoted-id"
    if ":" in value:
        return "unquoted-sexagesimal"
    if _OCTAL.fullmatch(value):
        return "unquoted-octal"
    return None if path in _numbers() else "unquoted-number"


def _trapped(document: Document, trap: str, message: str) -> Iterator[Finding]:
    for path, scalar, _ in document.scalars:
        if scalar.type != "str" and trap_of(path, scalar) == trap:
            yield Finding(scalar.position, message.format(value=shown(scalar.value)[1:-1], number=_number(scalar)))


def _number(scalar: Scalar) -> float | None:
    return float(scalar.value) if _ID.fullmatch(scalar.value) else None


@cache
def _numbers() -> frozenset[tuple[str, str]]:
    """Where the schema wants a number."""
    properties = load_schema()["properties"]
    return frozenset(
        (outer, inner)
        for outer, schema in properties.items()
        for inner, value in schema.get("properties", {}).items()
        if value.get("type") == "integer"
    )
