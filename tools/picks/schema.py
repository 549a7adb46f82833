"""Holds an entry against `papers/_schema.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picks import dates, ids
from reproductions.common.documents import Document
from reproductions.common.schema import Misfit, in_order, translate

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

PATH = Path(__file__).resolve().parents[2] / "papers" / "_schema.json"

_DAY = "day, month or year"


@cache
def load_schema() -> dict[str, Any]:
    """The schema of an entry."""
    schema: dict[str, Any] = json.loads(PATH.read_text(encoding="utf8"))
    return schema


def misfits(document: Document, paper_id: str) -> list[Misfit]:
    """Everything in an entry that the schema does not allow, in the order of the file."""
    data = document.mapping.data
    if _fits(data, paper_id):
        return []
    errors = [error for validator in _validators(paper_id) for error in validator.iter_errors(data)]
    return in_order({misfit for error in errors for misfit in _translate(document, error)})


def keys() -> list[str]:
    """The keys of an entry, in the order in which they are written."""
    return list(load_schema()["properties"])


def _fits(data: dict[str, Any], paper_id: str) -> bool:
    """Whether nothing at all is wrong, as a compiled schema says in a twentieth of the time."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _compiled()(data)
    except JsonSchemaValueException:
        return False
    return not ids.is_slug(paper_id) or "address" in data


@cache
def _compiled() -> Callable[[Any], Any]:
    import fastjsonschema

    compiled: Callable[[Any], Any] = fastjsonschema.compile(load_schema(), formats={_DAY: _is_date}, use_default=False)
    return compiled


def _is_date(text: str) -> bool:
    try:
        return bool(dates.first_day(text))
    except ValueError:
        return False


def _validators(paper_id: str) -> list[Draft7Validator]:
    return [_validator(None), _validator("slug")] if ids.is_slug(paper_id) else [_validator(None)]


@cache
def _validator(definition: str | None) -> Draft7Validator:
    from jsonschema import Draft7Validator, FormatChecker

    schema = load_schema()
    part = schema["definitions"][definition] if definition else schema
    formats = FormatChecker(["date"])
    formats.checks(_DAY)(lambda text: _is_date(str(text)))
    return Draft7Validator(part, format_checker=formats)


def _translate(document: Document, error: Any) -> Iterator[Misfit]:
    match error.validator:
        case "format" if not re.search(error.schema["pattern"], str(error.instance)):
            pass  # the pattern says so already
        case "dependencies":
            yield from _missing_beside(document, error)
        case "not":
            yield from _one_too_many(document, error)
        case _:
            yield from translate(document, error, load_schema()["properties"])


def _missing_beside(document: Document, error: Any) -> Iterator[Misfit]:
    """Keys that another key needs beside it."""
    properties = load_schema()["properties"]
    for key, needed in error.validator_value.items():
        for other in needed if key in error.instance else ():
            if other not in error.instance:
                what, mend = f"`{key}` needs `{other}` beside it", properties[other]["description"].removesuffix(".")
                yield Misfit(document.position(key), "missing-key", (other,), what, mend)


def _one_too_many(document: Document, error: Any) -> Iterator[Misfit]:
    for key in error.validator_value["required"]:
        what = f"`{key}` cannot stand beside `reproduction`"
        yield Misfit(document.position(key), "wrong-value", (key,), what, "keep the one of the two that is true")
