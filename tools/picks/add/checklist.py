"""What is still to be written in an entry, as a list to work through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from picks.check.base import is_todo
from picks.schema import keys, load_schema
from reproductions.common.documents import Document, read_document

WIDTH, INDENT = 79, 23
NOT_EMPTY = "Then see whether it builds on others here (`builds_on`), and add its `links` and `threads`."


def checklist(path: Path) -> list[str]:
    """A line or more for each TODO of an entry: its line and key, and what belongs there."""
    listed = [line for number, key, what in _open(read_document(path)) for line in _item(number, key, what)]
    return [*listed, *wrap(NOT_EMPTY, WIDTH)] if listed else []


def _open(document: Document) -> Iterator[tuple[int, str, str]]:
    """Each key with a TODO once: where it stands, and what it is for."""
    seen: set[str] = set()
    for path, scalar, is_key in document.scalars:
        key = str(path[0]) if path else ""
        if not is_key and is_todo(scalar) and key in keys() and key not in seen:
            seen.add(key)
            said = scalar.value.partition("TODO – ")[2]
            yield scalar.position.line, key, " ".join(said.split()) or load_schema()["properties"][key]["description"]


def _item(number: int, key: str, what: str) -> list[str]:
    first = f"{number:>5}  {key}"
    lines = wrap(what, WIDTH - INDENT)
    return [f"{first:<{INDENT}}{lines[0] if lines else ''}", *(" " * INDENT + line for line in lines[1:])]
