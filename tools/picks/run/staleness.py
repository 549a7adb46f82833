"""Which records today's code might not find again, and why; and which a quick run has vouched for.

A record is *stale* where something that its numbers depend on is not what it was (`dependence`). Where nothing but code
has changed since, and the quick profile gives the numbers that it gave before, the full record of the same model is
*attested*: carried over to today's code, of which it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from picks.run import provenance
from picks.run.dependence import Parts, changed, dependence, in_words
from picks.run.parameters import load_schema, resolve
from picks.run.reproductions import Reproduction
from reproductions.common.catalogue import ModelError, model_card
from reproductions.common.errors import UserError


def why_stale(reproduction: Reproduction, record: Mapping[str, Any]) -> str:
    """Why today's code may not find a record's numbers again; empty where it must."""
    then = parts_of(record)
    if not then:
        return "it does not say what its numbers depend on"
    try:
        now = todays_parts(reproduction, record)
    except (UserError, ModelError, OSError, SyntaxError, ValueError) as error:
        return f"what it depends on cannot be told: {error}"
    parts = changed(then, now)
    return f"{in_words(parts)} changed since" if parts else ""


def parts_of(record: Mapping[str, Any]) -> Parts:
    """What a record's numbers depend on: as recorded, or as last attested; nothing where it does not say."""
    attested = record.get("attested") or record["provenance"].get("depends_on") or {}
    return dict(attested.get("parts", {}))


def todays_parts(reproduction: Reproduction, record: Mapping[str, Any]) -> Parts:
    """What a record's numbers would depend on if it were made today."""
    schema = load_schema(reproduction.file)
    values = resolve(schema, record["profile"], {}, reproduction.name)
    card = model_card(record["model"]["name"])
    return dependence(reproduction, card, {name: parameter.value for name, parameter in values.items()})


def attested(full: Mapping[str, Any], before: Mapping[str, Any], reproduction: Reproduction) -> dict[str, Any] | None:
    """A full record, carried over to today's code because the quick profile's numbers are what they were `before`.

    None where that says nothing: the two records are not of the same code, or more than code has changed since.
    """
    then, now = parts_of(full), todays_parts(reproduction, full)
    same_code = not [part for part in changed(then, parts_of(before)) if _is_code(part)]
    if not then or not same_code or not all(map(_is_code, changed(then, now))):
        return None
    commit = provenance.commit(reproduction.folder.parents[1])
    day = datetime.now(UTC).date().isoformat()
    return dict(full) | {"attested": {"commit": commit, "date": day, "parts": now}}


def _is_code(part: str) -> bool:
    return part == "the notebook" or part.endswith(".py")
