"""How an entry looks on the page: the order of its keys and the spelling of its values."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import yaml

from picks.schema import load_schema

Value = str | int | Sequence[str]

QUOTED = ("published", "picked", "volume", "number", "pages")


def order(keys: Sequence[str] = ()) -> list[str]:
    """The keys below a path of keys, in the order in which they are written."""
    schema = load_schema()
    for key in keys:
        schema = schema["properties"].get(key, {})
    return list(schema.get("properties", ()))


def lines_of(keys: Sequence[str], value: Value) -> list[str]:
    """The lines of `key: value`, one level deeper for each further key."""
    if len(keys) > 1:
        return [f"{keys[0]}:", *("  " + line for line in lines_of(keys[1:], value))]
    if isinstance(value, str | int):
        quote = '"' if keys[0] in QUOTED else None
        return [f"{keys[0]}: {scalar(value, quote)}"]
    return [f"{keys[0]}:", *(f"  - {scalar(item)}" for item in value)]


def scalar(value: str | int, quote: str | None = None) -> str:
    """A value as YAML on one line: bare where that reads back the same, else between quotes.

    Args:
        quote: `'` or `"` to quote a text in any case.
    """
    if isinstance(value, int) or (quote is None and _reads_back(value)):
        return str(value)
    if quote == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=sys.maxsize)).removesuffix("\n")


def _reads_back(text: str) -> bool:
    if "\n" in text or text != text.strip():
        return False
    try:
        return bool(yaml.safe_load(f"key: {text}") == {"key": text})
    except (yaml.YAMLError, ValueError):
        return False
