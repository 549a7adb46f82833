"""The schema of an entry, which editors read as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator

from picks.schema import PATH, keys, load_schema


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
