"""Holds an entry against `papers/_schema.json`, and says in words what does not fit, where, and how to mend it.

The schema's descriptions are the advice; editors show the same ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picks import dates, ids
from picks.documents import Document, Mapping, Position
from picks.quoting import shown
from picks.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

PATH = Path(__file__).resolve().parents[2] / "papers" / "_schema.json"

_TYPES = {"string": "text", "array": "a list", "object": "`key: value` lines", "integer": "a whole number"}
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


@cache
def load_schema() -> dict[str, Any]:
    """The schema of an entry."""
    schema: dict[str, Any] = json.loads(PATH.read_text(encoding="utf8"))
    return schema


def misfits(document: Document, paper_id: str) -> list[Misfit]:
    """Everything in an entry that the schema does not allow, in the order of the file."""
    data = document.mapping.data
    found = {
        misfit
        for validator in _validators(paper_id)
        for error in validator.iter_errors(data)
        for misfit in _translate(document, error)
    }
    return sorted(found, key=lambda misfit: (misfit.position, misfit.kind, misfit.what))


def keys() -> list[str]:
    """The keys of an entry, in the order in which they are written."""
    return list(load_schema()["properties"])


def _validators(paper_id: str) -> list[Draft7Validator]:
    definitions = load_schema()["definitions"]
    demands = "arxiv" if ids.is_arxiv(paper_id) else "post" if ids.is_post(paper_id) else None
    return [_validator(None), _validator(demands)] if demands in definitions else [_validator(None)]


@cache
def _validator(definition: str | None) -> Draft7Validator:
    from jsonschema import Draft7Validator, FormatChecker

    schema = load_schema()
    part = schema["definitions"][definition] if definition else schema
    formats = FormatChecker(["date"])
    formats.checks("day, month or year", raises=ValueError)(lambda text: bool(dates.first_day(str(text))))
    return Draft7Validator(part, format_checker=formats)


def _translate(document: Document, error: Any) -> Iterator[Misfit]:
    path = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(document, path, error.schema)
        case "required":
            yield from _missing_keys(document, path, error)
        case "format" if not re.search(error.schema["pattern"], str(error.instance)):
            pass  # the pattern says so already
        case "not":
            yield from _one_too_many(document, error)
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


def _missing_keys(document: Document, path: tuple[str | int, ...], error: Any) -> Iterator[Misfit]:
    properties = error.schema.get("properties", {}) if path else load_schema()["properties"]
    for key in error.validator_value:
        if key not in error.instance:
            description = _description(properties.get(key, {})) or f"add `{key}:`"
            what = f"{_name(path)} has no `{key}`"
            yield Misfit(document.position(*path), "missing-key", (*path, key), what, description)


def _one_too_many(document: Document, error: Any) -> Iterator[Misfit]:
    for key in error.validator_value["required"]:
        what = f"`{key}` cannot stand beside `reproduction`"
        yield Misfit(document.position(key), "wrong-value", (key,), what, "keep the one of the two that is true")


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
