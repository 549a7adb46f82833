"""What a reader can explore on the site: four kinds of data, each with a schema in this folder that says what it holds.

A notebook hands its data to `Report.data(name, content, kind=...)`, which checks them; the page needs nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproductions.common.files import dump_json
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft7Validator, ValidationError

SCHEMAS = Path(__file__).parent
LINE = 1000  # characters that stand in one line of a data file
KINDS = ("cards", "curves", "graph", "grid")

Fault = tuple[str, str]  # where it is, and what is wrong there


def check(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its kind in front, as a data file holds it.

    Raises:
        ValueError: there is no such kind, or the content is not what its schema says.
    """
    if kind not in KINDS:
        raise ValueError(
            f"no explorer is of the kind {shown(kind)}; there are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}"
        )
    if error := _best_match(_validator(kind), content):
        raise ValueError(_told(kind, _place(error.absolute_path), _why(error), _advice(error)))
    for place, why in AGREEMENTS[kind](content):
        raise ValueError(_told(kind, place, why))
    return {"kind": kind, **content}


def text(kind: str, content: Mapping[str, Any]) -> str:
    """The checked content as a data file, with what is short in one line: half as large as when laid out in full.

    Raises:
        ValueError: as `check` does.
    """
    return "\n".join(_lines(json.loads(dump_json(check(kind, content))), "")) + "\n"


def _lines(value: Any, indent: str) -> list[str]:
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(whole) <= LINE or not isinstance(value, dict | list):
        return [whole]
    keyed = isinstance(value, dict)
    named = [(f"{json.dumps(name)}:", each) for name, each in value.items()] if isinstance(value, dict) else []
    found: list[str] = []
    for name, each in named or [("", each) for each in value]:
        first, *rest = _lines(each, indent + " ")
        found += [f"{indent} {name}{first}", *rest]
        found[-1] += ","
    found[-1] = found[-1].removesuffix(",")
    return ["{" if keyed else "[", *found, indent + ("}" if keyed else "]")]


def weighted(tokens: Sequence[str], weights: Sequence[float]) -> dict[str, Any]:
    """A text for a card, in as few pieces as tell the same: neighbours without a weight are one piece."""
    pieces: list[tuple[str, float]] = []
    for silent, run in groupby(zip(tokens, weights, strict=True), key=lambda pair: not pair[1]):
        pairs = list(run)
        pieces += [("".join(token for token, _ in pairs), 0)] if silent else pairs
    return {"tokens": [token for token, _ in pieces], "weights": [weight for _, weight in pieces]}


def active(rate: float) -> str:
    """On how much of the text a feature is active, in words; less than one token in 200,000 is none."""
    known = 100 * round(rate, 5)
    return f"active on {float(f'{known:.2g}'):g}% of tokens" if known > 0 else "never active in the text that was read"


@cache
def _validator(kind: str) -> Draft7Validator:
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend
    from referencing import Registry
    from referencing.jsonschema import DRAFT7

    read = {path.name: json.loads(path.read_text(encoding="utf8")) for path in SCHEMAS.glob("*.json")}
    resources = [(name, DRAFT7.create_resource(schema)) for name, schema in read.items()]
    lists = Draft7Validator.TYPE_CHECKER.redefine("array", lambda _, value: isinstance(value, list | tuple))
    known: Registry[Any] = Registry().with_resources(resources)
    return extend(Draft7Validator, type_checker=lists)(read[f"{kind}.json"], registry=known)


def _best_match(validator: Draft7Validator, content: Any) -> ValidationError | None:
    from jsonschema.exceptions import best_match

    return best_match(validator.iter_errors(content))


def _told(kind: str, place: str, why: str, mend: str = "") -> str:
    start = f"the data of this {kind} explorer do not fit{f', at {place}' if place else ''}: {why}"
    return f"{start}; wanted: {mend} (reproductions/common/explorers/{kind}.json)" if mend else start


def _place(path: Sequence[str | int]) -> str:
    """Such as series[2].values."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _why(error: ValidationError) -> str:
    """What the schema has against it, without all of what it looked at."""
    if error.validator == "type":
        return f"{shown(error.instance)} is not of the type {' or '.join(_listed(error.validator_value))}"
    if error.validator == "oneOf":
        return "has to hold one of texts, lists, written and numbers, and no more than one"
    return error.message if len(error.message) <= 160 else f"does not fit {error.validator}: {error.validator_value}"


def _advice(error: ValidationError) -> str:
    """What the schema says of the place."""
    return str(error.schema.get("description", "")) if isinstance(error.schema, Mapping) else ""


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _curves(content: Mapping[str, Any]) -> Iterator[Fault]:
    """A number for each x, in every series."""
    n = len(content["x"]["values"])
    for place, series in enumerate(content["series"]):
        for key in ("values", "low", "high"):
            if key in series and len(series[key]) != n:
                yield f"series[{place}].{key}", f"{len(series[key])} numbers for {n} values of x; null stands for none"


def _grid(content: Mapping[str, Any]) -> Iterator[Fault]:
    """A value for each cell, in every measure of every item."""
    shape = [len(content["columns"]["names"])] * len(content["rows"]["names"])
    measures = {measure["name"] for measure in content["measures"]}
    for place, item in enumerate(content["items"]):
        if measures != set(item["values"]):
            yield f"items[{place}].values", f"its measures are not those of the grid: {', '.join(sorted(measures))}"
        for measure, rows in item["values"].items():
            if [len(row) for row in rows] != shape:
                yield f"items[{place}].values.{measure}", f"not {len(shape)} rows of {shape[0]} values"


def _cards(content: Mapping[str, Any]) -> Iterator[Fault]:
    """No name twice, and whole parts."""
    yield from _named("cards", content["cards"])


def _graph(content: Mapping[str, Any]) -> Iterator[Fault]:
    """Every edge leads from a node to one of a later column, and nothing is named that is not there."""
    for number, graph in enumerate(content["graphs"]):
        columns = {place["name"]: place["column"] for place in graph["places"]}
        place = f"graphs[{number}]"
        yield from _named(f"{place}.nodes", graph["nodes"])
        yield from _unknown(f"{place}.nodes", "place", graph["nodes"], columns)
        at = {node["name"]: columns.get(node["place"], 0) for node in graph["nodes"]}
        for end in ("from", "to"):
            yield from _unknown(f"{place}.edges", end, graph["edges"], at)
        yield from (
            (f"{place}.starts", f"there is no node {shown(name)}") for name in graph["starts"] if name not in at
        )
        if "across" in graph:
            yield from _across(f"{place}.nodes", graph["nodes"], len(graph["across"]))
        for i, edge in enumerate(graph["edges"]):
            if at[edge["from"]] >= at[edge["to"]]:
                yield f"{place}.edges[{i}]", "it does not lead to a later column"


def _across(place: str, nodes: Sequence[Mapping[str, Any]], n: int) -> Iterator[Fault]:
    for i, node in enumerate(nodes):
        if not 0 <= node.get("across", -1) < n:
            yield f"{place}[{i}].across", f"in a lattice every node says which of the {n} it belongs to"


def _named(place: str, things: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Names that are there twice, and texts whose weights are not those of their tokens."""
    seen: set[str] = set()
    for i, thing in enumerate(things):
        if thing["name"] in seen:
            yield f"{place}[{i}].name", f"{shown(thing['name'])} is another one's name already"
        seen.add(thing["name"])
        for part in thing.get("parts", []):
            if any(len(text["tokens"]) != len(text["weights"]) for text in part.get("texts", [])):
                yield f"{place}[{i}].parts", f"a text of {shown(part['title'])} has not one weight for each token"


def _unknown(place: str, key: str, things: Sequence[Mapping[str, Any]], known: Mapping[str, int]) -> Iterator[Fault]:
    for i, thing in enumerate(things):
        if thing[key] not in known:
            yield f"{place}[{i}].{key}", f"there is no {shown(thing[key])}"


AGREEMENTS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Fault]]] = {
    "cards": _cards,
    "curves": _curves,
    "graph": _graph,
    "grid": _grid,
}
