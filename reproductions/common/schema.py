"""Holds a document against a JSON schema, and says in words what does not fit, where, and how to mend it.

The schema's descriptions are the advice; editors show the same ones. `load` reads a file of the reproductions, whose
schemas are in `schemas/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproductions.common.documents import Document, Mapping, Node, Position, Sequence, read_document
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).with_name("schemas")
MOST_TOLD = 5

_TYPES = {
    "string": "text",
    "array": "a list",
    "object": "`key: value` lines",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}

_WORDS = {
    "minLength": "{name} is too short",
    "minItems": "{name} is empty",
    "maxLength": "{name} is longer than {limit} characters",
    "minimum": "{name} is below {limit}",
    "uniqueItems": "{name} says the same thing twice",
    "format": "{name}: {value} is no day of the calendar",
}


@dataclass(frozen=True, order=True)
class Misfit:
    """A place where an entry is not as the schema has it: an `unknown-key`, a `missing-key`, or a `wrong-value`."""

    position: Position
    kind: str
    path: tuple[str | int, ...]
    what: str
    mend: str


class FileError(UserError):
    """A file is not as it must be: the message tells the first few faults, each with its place."""

    def __init__(self, path: Path, faults: list[Misfit]) -> None:
        told = [_told(path, misfit) for misfit in faults[:MOST_TOLD]]
        left = len(faults) - len(told)
        super().__init__("\n".join(told + [f"and {left} more faults"] * (left > 0)))
        self.path, self.faults = path, faults


@dataclass(frozen=True)
class Loaded:
    """A file that is as its schema has it."""

    document: Document
    content: Any  # plain data: dicts, lists, text, numbers, booleans, None

    def error(self, what: str, *path: str | int, below: int = 0) -> FileError:
        """What is wrong with it all the same, at a path of keys and indices, or so many lines below it."""
        position = self.document.position(*path)
        if below:
            position = Position(position.line + below)
        return FileError(self.document.path, [Misfit(position, "wrong-value", path, what, "")])


def load(path: Path, name: str) -> Loaded:
    """Read a YAML file that is as `schemas/<name>.json` has it.

    Raises:
        FileError: with `file:line:col`, what is wrong with it and how to mend it.
        DocumentError: it cannot be read at all.
    """
    document = read_document(path, follow=True)
    content = document.root.typed if document.root else None
    faults = [*_problems(document), *_repeated(document.root, ())]
    if not faults:
        errors = _validator(name).iter_errors(content)
        faults = in_order({misfit for error in errors for misfit in translate(document, error)})
    if faults:
        raise FileError(path, faults)
    return Loaded(document, content)


def _told(path: Path, misfit: Misfit) -> str:
    place = f"{path}:{misfit.position.line}:{misfit.position.column}"
    return f"{place}: {misfit.what}" + (f" – {misfit.mend}" if misfit.mend else "")


def _problems(document: Document) -> list[Misfit]:
    """Why the file cannot be read as plain YAML."""
    return [Misfit(problem.position, problem.kind, (), problem.what, "") for problem in document.problems]


def _repeated(node: Node | None, path: tuple[str | int, ...]) -> Iterator[Misfit]:
    """Keys that stand twice in one place, of which a reader would see one."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _repeated(item, (*path, index))
    elif isinstance(node, Mapping):
        for key, value in node.pairs:
            if node.first[key.value][0] is not key:
                line = node.first[key.value][0].position.line
                what = f"{shown(key.value)} stands here for the second time, after line {line}"
                yield Misfit(key.position, "same-key", (*path, key.value), what, "keep one of the two")
            yield from _repeated(value, (*path, key.value))


@cache
def _validator(name: str) -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf8")))


def in_order(found: Iterable[Misfit]) -> list[Misfit]:
    """By place, then by kind."""
    return sorted(found, key=lambda misfit: (misfit.position, misfit.kind, misfit.what))


def translate(document: Document, error: Any, top: Any = None) -> Iterator[Misfit]:
    """What an error of jsonschema means; `top` describes the keys of the whole file, where its own schema does not."""
    path = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(document, path, error.schema)
        case "required":
            yield from _missing_keys(document, path, error, top)
        case _:
            what, mend = _what(path, error), _description(error.schema)
            yield Misfit(document.position(*path), "wrong-value", path, what, mend)


def _unknown_keys(document: Document, path: tuple[str | int, ...], schema: Any) -> Iterator[Misfit]:
    node = document.node(*path)
    known = schema["properties"]
    for key, _ in node.pairs if isinstance(node, Mapping) else ():
        if key.value not in known:
            suggestion = did_you_mean(key.value[:40], known)
            mend = f"keys here are {', '.join(known)}"
            yield Misfit(key.position, "unknown-key", (*path, key.value), f"{shown(key.value)}{suggestion}", mend)


def _missing_keys(document: Document, path: tuple[str | int, ...], error: Any, top: Any) -> Iterator[Misfit]:
    properties = (top if top and not path else error.schema.get("properties")) or {}
    for key in error.validator_value:
        if key not in error.instance:
            description = _description(properties.get(key, {})) or f"add `{key}:`"
            what = f"{_name(path)} has no `{key}`"
            yield Misfit(document.position(*path), "missing-key", (*path, key), what, description)


def _what(path: tuple[str | int, ...], error: Any) -> str:
    name, limit, value = _name(path), error.validator_value, shown(error.instance)
    if error.validator == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        return f"{name} must be {' or '.join(_TYPES[kind] for kind in kinds)}, not {value}"
    if error.validator == "enum":
        suggestion = did_you_mean(str(error.instance)[:40], limit)
        return f"{name}: {value} is none of {', '.join(limit)}{suggestion}"
    return _WORDS.get(error.validator, "{name}: {value} has not the right form").format(
        name=name, limit=limit, value=value
    )


def _description(schema: Any) -> str:
    return str(schema.get("description", "")).removesuffix(".")


def _name(path: tuple[str | int, ...]) -> str:
    """`authors` as it stands, its third item as `authors[3]`."""
    if not path:
        return "this file"
    return (
        "`"
        + str(path[0])
        + "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path[1:])
        + "`"
    )
