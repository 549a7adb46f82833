"""Holds an entry against `papers/_schema.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picks import dates, ids
from reproductions.common.documents import Document
from reproductions.common.schema import Misfit, in_order, translate

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

PATH = Path(__file__).resolve().parents[2] / "papers" / "_schema.json"


@cache
def load_schema() -> dict[str, Any]:
    """The schema of an entry."""
    schema: dict[str, Any] = json.loads(PATH.read_text(encoding="utf8"))
    return schema


def misfits(document: Document, paper_id: str) -> list[Misfit]:
    """Everything in an entry that the schema does not allow, in the order of the file."""
    data = document.mapping.data
    errors = [error for validator in _validators(paper_id) for error in validator.iter_errors(data)]
    return in_order({misfit for error in errors for misfit in _translate(document, error)})


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
    match error.validator:
        case "format" if not re.search(error.schema["pattern"], str(error.instance)):
            pass  # the pattern says so already
        case "not":
            yield from _one_too_many(document, error)
        case _:
            yield from translate(document, error, load_schema()["properties"])


def _one_too_many(document: Document, error: Any) -> Iterator[Misfit]:
    for key in error.validator_value["required"]:
        what = f"`{key}` cannot stand beside `reproduction`"
        yield Misfit(document.position(key), "wrong-value", (key,), what, "keep the one of the two that is true")
