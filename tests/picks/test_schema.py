"""The schema of an entry, which editors read as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from picks.check.base import read
from picks.schema import PATH, _fits, _validators, keys, load_schema
from reproductions.common.documents import Mapping

FIXTURES = Path(__file__).parents[1] / "fixtures" / "papers"


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _parts(part)


def test_it_is_draft_7_without_alternatives_that_editors_explain_badly() -> None:
    Draft7Validator.check_schema(load_schema())
    assert load_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert not {"oneOf", "anyOf"} & {key for part in _parts(load_schema()) for key in part}


def test_every_key_is_described_and_every_object_closed() -> None:
    for part in _parts(load_schema()):
        if "type" in part and isinstance(part["type"], str):
            assert len(part["description"]) > 10
    properties = load_schema()["properties"]
    for part in (load_schema(), properties["links"], properties["collection"], properties["threads"]["items"]):
        assert part["additionalProperties"] is False


def test_what_is_required_exists() -> None:
    assert set(load_schema()["required"]) < set(keys())
    assert keys()[0] == "title"
    assert keys()[-2:] == ["reproduction", "not_reproduced"]


def test_the_file_is_plain_json() -> None:
    assert json.loads(PATH.read_text(encoding="utf8")) == load_schema()


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.yml")), ids=lambda path: "-".join(path.parts[-3:]))
def test_the_quick_validator_says_what_the_thorough_one_says(path: Path) -> None:
    document = read(path)
    if isinstance(document.root, Mapping) and not document.problems:
        thorough = [error for each in _validators(path.stem) for error in each.iter_errors(document.mapping.data)]
        assert _fits(document.mapping.data, path.stem) == (thorough == [])
