"""Explorer data are held against their schemas: what fits passes, what does not is named with its place."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from reproductions.common import explorers
from reproductions.common.explorers import KINDS, LINE, SCHEMAS, active, check, text, weighted
from tests.fixtures import mini_explorers

ROOT = Path(__file__).parents[2]
RECORDED = [path for path in ROOT.glob("reproductions/*/results/*.*.*.json") if '"kind"' in path.read_text()[:200]]


def made(kind: str) -> dict[str, Any]:
    content = deepcopy(getattr(mini_explorers, kind)())
    content.pop("kind")
    return content


@pytest.mark.parametrize("kind", KINDS)
def test_what_fits_gets_its_kind_in_front(kind):
    checked = check(kind, made(kind))

    assert next(iter(checked.items())) == ("kind", kind)
    assert checked == {"kind": kind, **made(kind)}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_every_recorded_file_fits(path):
    content = json.loads(path.read_text(encoding="utf8"))

    check(content.pop("kind"), content)


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_is_described(kind):
    def bare(schema: Any) -> list[Any]:
        if not isinstance(schema, dict):
            return [found for each in schema for found in bare(each)] if isinstance(schema, list) else []
        named = schema.get("properties", {})
        undescribed = [name for name, each in named.items() if not {"description", "$ref"} & each.keys()]
        return [*undescribed, *(found for each in schema.values() for found in bare(each))]

    assert not bare(json.loads((SCHEMAS / f"{kind}.json").read_text()))
    assert not bare(json.loads((SCHEMAS / "_shared.json").read_text()))


def test_a_kind_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no explorer is of the kind 'curve'.*did you mean curves"):
        check("curve", {})


@pytest.mark.parametrize(
    ("kind", "spoil", "told"),
    [
        ("curves", lambda c: c.pop("about"), "'about' is a required property"),
        ("curves", lambda c: c["series"][0]["values"].pop(), r"at series\[0\].values: 2 numbers for 3 values of x"),
        ("curves", lambda c: c["series"][0].pop("low"), r"at series\[0\]: 'low' is a dependency of 'high'"),
        ("curves", lambda c: c["x"].update(title=3), r"at x.title: '3' is not of the type string; wanted: what x is"),
        ("curves", lambda c: c["series"][0].update(colour="red"), r"'colour' was unexpected"),
        ("grid", lambda c: c["items"][1]["values"]["weights"].pop(), r"at items\[1\].values.weights: not 30 rows of 9"),
        ("grid", lambda c: c["items"][1]["values"].pop("runs"), r"at items\[1\].values: its measures are not those"),
        ("cards", lambda c: c["cards"].append(c["cards"][0]), r"at cards\[5\].name: .* is another one's name"),
        ("cards", lambda c: c["cards"][0]["parts"][0].pop("texts"), r"at cards\[0\].parts\[0\]: has to hold one of"),
        ("cards", lambda c: c["cards"][0]["parts"][0]["texts"][0]["weights"].pop(), "not one weight for each token"),
        ("graph", lambda c: c["graphs"][0]["edges"][0].update(to="R9/9"), r"edges\[0\].to: there is no 'R9/9'"),
        ("graph", lambda c: c["graphs"][0]["nodes"][1].update(place="R9"), r"nodes\[1\].place: there is no 'R9'"),
        ("graph", lambda c: c["graphs"][0]["starts"].append("R9/9"), r"starts: there is no node 'R9/9'"),
        ("graph", lambda c: c["graphs"][0]["edges"][0].update(to="R14/22"), r"does not lead to a later column"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(kind, spoil, told):
    content = made(kind)
    spoil(content)

    with pytest.raises(ValueError, match=told):
        check(kind, content)


def test_a_refusal_does_not_print_all_of_the_data():
    content = made("curves")
    content["series"] = ["x" * 10_000]

    with pytest.raises(ValueError, match="series") as refused:
        check("curves", content)

    assert len(str(refused.value)) < 400


def test_tuples_are_lists():
    content = made("curves")
    content["x"]["values"] = tuple(content["x"]["values"])

    assert check("curves", content)


def test_neighbours_without_a_weight_are_one_piece():
    found = weighted(["The", " cap", "ital", " of", " Peru"], [0, 0.0, 3.5, -1, 0])

    assert found == {"tokens": ["The cap", "ital", " of", " Peru"], "weights": [0, 3.5, -1, 0]}


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0.01234, "active on 1.2% of tokens"), (1.0, "active on 100% of tokens"), (0.0, "never active in the text")],
)
def test_rates_are_said_in_words(rate, said):
    assert active(rate).startswith(said)


def test_every_kind_has_a_schema_and_a_script():
    scripts = {path.stem for path in (ROOT / "site" / "assets" / "js" / "explorers").glob("*.js")}

    assert set(KINDS) == {path.stem for path in SCHEMAS.glob("[a-z]*.json")} == set(explorers.AGREEMENTS)
    assert set(KINDS) <= scripts


def test_a_data_file_is_json_of_lines_that_are_not_long():
    content = made("cards")
    content["cards"][0]["numbers"]["output"] = float("nan")

    written = text("cards", content)

    content["cards"][0]["numbers"]["output"] = None
    assert json.loads(written) == {"kind": "cards", **content}
    assert max(map(len, written.splitlines())) < LINE + 100
    assert written.startswith('{\n "kind":"cards",\n')


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_every_recorded_file_is_as_it_would_be_written(path):
    content = json.loads(path.read_text(encoding="utf8"))

    assert text(content.pop("kind"), content) == path.read_text(encoding="utf8")
