"""Holds a document against a JSON schema, and says in words what does not fit, where, and how to mend it.

The schema's descriptions are the advice; editors show the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reproductions.common.documents import Document, Mapping, Position
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

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


def misfits(document: Document, data: Any, validators: Iterable[Draft7Validator]) -> list[Misfit]:
    """Everything in a document's data that schemas do not allow, in the order of the file."""
    found = {
        misfit
        for validator in validators
        for error in validator.iter_errors(data)
        for misfit in translate(document, error)
    }
    return in_order(found)


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
        return f"{name} must be {_TYPES[limit]}"
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
