"""Typed parameters: only what is declared, only as its declared type."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from picks.run.parameters import Schema, assigned, choose_model, load_schema, resolve
from reproductions.common.errors import UserError
from tests.fixtures import house

TEXT = (house.HOUSE / "reproductions" / "coin_flips" / "reproduction.yml").read_text(encoding="utf8")


def _written(folder: Path, text: str = TEXT, *cells: str) -> Path:
    """A reproduction's file with the notebook beside it; `cells` take the place of the one that assigns parameters."""
    path = folder / "reproduction.yml"
    path.write_text(text, encoding="utf8")
    notebook = house.notebook(cells or [house.PARAMETERS])
    path.with_name("notebook.ipynb").write_text(json.dumps(notebook), encoding="utf8")
    return path


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return load_schema(_written(tmp_path_factory.mktemp("coins")))


def _values(schema: Schema, profile: str = "quick", **given: str) -> dict[str, object]:
    return {name: each.value for name, each in resolve(schema, profile, given, "coin_flips").items()}


def test_a_profile_gives_every_value(schema: Schema) -> None:
    quick, full = _values(schema), _values(schema, "full")
    assert quick["n_tosses"] == 20
    assert (full["n_tosses"], full["spin"], full["seeds"]) == (200, True, [0, 1, 2, 3, 4])
    assert quick.keys() == full.keys() == schema.parameters.keys()


def test_the_origin_of_each_value_is_told(schema: Schema) -> None:
    resolved = resolve(schema, "full", {"bias": "0.5"}, "coin_flips")
    assert (resolved["bias"].origin, resolved["coin"].origin) == ("command line", "profile")
    assert resolve(schema, "quick", {}, "coin_flips")["coin"].origin == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n_tosses", "010", 10),
        ("bias", "1", 1.0),
        ("bias", "5e-1", 0.5),
        ("spin", "True", True),
        ("spin", "false", False),
        ("coin", "guilder", "guilder"),
        ("names", "2501.08310, 007,no", ["2501.08310", "007", "no"]),
        ("seeds", "3", [3]),
        ("seeds", "1, 2", [1, 2]),
    ],
)
def test_text_is_read_as_the_declared_type(schema: Schema, name: str, text: str, value: object) -> None:
    read = _values(schema, **{name: text})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n_tosses", "1e2"),
        ("n_tosses", "12.0"),
        ("n_tosses", "1_0"),
        ("n_tosses", "٣٣"),
        ("n_tosses", "9"),
        ("n_tosses", "1001"),
        ("n_tosses", "9" * 5000),
        ("n_tosses", ""),
        ("bias", "nan"),
        ("bias", "inf"),
        ("bias", "1e999"),
        ("bias", "1.5"),
        ("spin", "yes"),
        ("spin", "1"),
        ("coin", "crown"),
        ("names", "ann,,bob"),
        ("names", "a\nb"),
        ("seeds", "-1"),
        ("seeds", "0,x"),
        ("seeds", "0,1,0"),
        ("seeds", ""),
    ],
)
def test_a_wrong_value_says_what_it_must_be_and_what_was_given(schema: Schema, name: str, text: str) -> None:
    with pytest.raises(UserError) as refusal:
        _values(schema, **{name: text})
    assert str(refusal.value).startswith(f"{name} must be {schema.parameters[name]}, not {text[:80]!r}")


def test_a_list_may_be_empty_where_a_profile_leaves_it_so(tmp_path: Path) -> None:
    path = _written(tmp_path, TEXT, house.PARAMETERS.replace('["ann", "bob"]', "[]"))
    assert _values(load_schema(path))["names"] == []
    assert _values(load_schema(path), "full", names="")["names"] == []


def test_a_type_is_told_in_words(schema: Schema) -> None:
    assert str(schema.parameters["n_tosses"]) == "an int from 10 to 1000"
    assert str(schema.parameters["coin"]) == "text: penny, guilder"
    assert str(schema.parameters["seeds"]) == "a comma-separated list without repeats, each an int from 0"


def test_a_misspelt_name_is_refused_with_the_right_one(schema: Schema) -> None:
    with pytest.raises(UserError) as refusal:
        _values(schema, sede="1")
    message = str(refusal.value)
    assert message.startswith("sede is not a parameter of coin_flips: did you mean seeds?")
    assert all(name in message for name in schema.parameters)


def test_models_are_the_listed_ones_or_any_of_the_hub(schema: Schema) -> None:
    assert choose_model(schema, None, "coin_flips") == "smollm2-135m"
    assert choose_model(schema, "gemma3-270m", "coin_flips") == "gemma3-270m"
    assert choose_model(schema, "owner/name", "coin_flips") == "owner/name"
    assert choose_model(schema, "gpt2", "coin_flips") == "gpt2"
    assert choose_model(schema, "path:models/mine", "coin_flips") == "path:models/mine"
    for name in ("gemma-270m", "../evil", "owner/../evil", "a/b/c"):
        with pytest.raises(UserError, match="does not run on"):
            choose_model(schema, name, "coin_flips")
    with pytest.raises(UserError, match=r"did you mean gemma3-270m\?"):
        choose_model(schema, "gemma-270m", "coin_flips")


def test_where_autoencoders_are_needed_models_without_any_are_not_offered(schema: Schema) -> None:
    needy = replace(schema, needs=("autoencoders", "heads"))
    assert needy.parts == ("heads",)
    assert choose_model(needy, "smollm2-135m", "coin_flips") == "smollm2-135m"
    for name in ("gpt2", "owner/name"):
        with pytest.raises(UserError, match=rf"none of {name} come with .*\nmodels: smollm2-135m; .* --sae path:FILE"):
            choose_model(needy, name, "coin_flips")
        assert choose_model(needy, name, "coin_flips", brings_autoencoders=True) == name
    with pytest.raises(UserError, match=r"models: smollm2-135m$"):
        choose_model(needy, "gpt-2", "coin_flips")


def test_what_trains_its_own_networks_takes_no_model(schema: Schema) -> None:
    own = replace(schema, models=("trained-here",))
    assert choose_model(own, None, "coin_flips") == choose_model(own, "trained-here", "coin_flips") == "trained-here"
    for name in ("gpt2", "owner/name", "path:mine"):
        with pytest.raises(UserError, match=r"trains its own networks, .*; leave out --model"):
            choose_model(own, name, "coin_flips")
    with pytest.raises(UserError, match="does not run on trained-here"):
        choose_model(schema, "trained-here", "coin_flips")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("full: 200", "full: 200.0", "5:59: n_tosses: 200.0 is not an int from 10 to 1000"),
        ("full: 200", "full: 5", "n_tosses: 5 is not an int"),
        ("full: 200", "full: true", "n_tosses: True is not an int"),
        ("full: 0.9", "full: 1e-3", "bias: '1e-3' is not a float"),  # YAML 1.1 reads it as text
        ("full: guilder", "full: crown", "coin: 'crown' is not text"),
        ("full: [0, 1, 2, 3, 4]", "full: 3", "seeds: 3 is not a comma-separated list"),
        ("type: bool", "type: flag", "'flag' is none of int, float"),
        ("minimum: 10", "min: 10", "'min': did you mean minimum?"),
        ("minimum: 10", "minimum: 2000", "5:34: n_tosses: its minimum lies above its maximum"),
        ("minimum: 10", "minimum: few", "`parameters.n_tosses.minimum` must be a number"),
        ("{type: bool, ", "{type: bool, minimum: 0, ", "spin: bool has no minimum or maximum"),
        ("choices: [penny, guilder]", "choices: [penny, 5]", "coin: the choice 5 is no str"),
        ("  n_tosses:", "  nTosses:", "n_tosses is not declared"),
        ("  bias:", "  n_tosses:", "6:3: 'n_tosses' stands here for the second time, after line 5"),
        ("full: 200, ", "", "5:13: `parameters.n_tosses` has no `full`"),
        ("full: 200, ", "quick: 20, full: 200, ", "5:53: 'quick'"),
        ("deadline: {quick: 60,", "deadline: {", "`deadline` has no `quick`"),
        ("quick: 60", "quick: soon", "`deadline.quick` must be a number"),
        ("models: [smollm2-135m, gemma3-270m]", "models: []", "`models` is empty"),
        ("models: [smollm2-135m, gemma3-270m]", "models: smollm2-135m", "2:9: `models` must be a list"),
        ("models: [smollm2-135m, gemma3-270m]", "models: [smollm2-135m, smollm2-135m]", "the same thing twice"),
        ("models:", "modles:", "'modles': did you mean models?"),
    ],
)
def test_a_faulty_schema_is_named(old: str, new: str, why: str, tmp_path: Path) -> None:
    assert old in TEXT
    path = _written(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(UserError) as refusal:
        load_schema(path)
    assert str(path) in str(refusal.value)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("n_tosses = 20", "n_tosses = 20.0", "in the notebook's parameters cell, n_tosses: 20.0 is not an int from 10"),
        ("n_tosses = 20", "n_tosses = 5", "n_tosses: 5 is not an int"),
        ('"penny"', '"crown"', "coin: 'crown' is not text"),
        ("n_tosses = 20\n", "", "the parameters cell of notebook.ipynb differs: n_tosses is not assigned"),
        ('out = ""', "extra = 1", "out is not assigned; extra is not declared"),
    ],
)
def test_a_quick_profile_that_is_none_is_named(old: str, new: str, why: str, tmp_path: Path) -> None:
    path = _written(tmp_path, TEXT, house.PARAMETERS.replace(old, new, 1))
    with pytest.raises(UserError) as refusal:
        load_schema(path)
    assert why in str(refusal.value)


@pytest.mark.parametrize("name", ["nTosses", "out", "a-b"])
def test_a_name_that_a_notebook_cannot_assign_is_refused(name: str, tmp_path: Path) -> None:
    cell = house.PARAMETERS.replace("n_tosses = 20\n", "") + ("nTosses = 20\n" if name == "nTosses" else "")
    path = _written(tmp_path, TEXT.replace("  n_tosses:", f"  {name}:"), cell)
    with pytest.raises(UserError, match=f"cannot name a parameter|{name} is not assigned"):
        load_schema(path)


def test_choices_may_be_the_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "coins").mkdir()
    for name in ("penny", "guilder", "florin"):
        (tmp_path / "coins" / f"{name}.yml").touch()
    path = _written(tmp_path, TEXT.replace("choices: [penny, guilder]", "choices_from: coins/*.yml"))
    schema = load_schema(path)
    assert schema.parameters["coin"].choices == ("florin", "guilder", "penny")
    assert _values(schema, coin="florin")["coin"] == "florin"
    with pytest.raises(UserError, match=r"must be text: florin, guilder, penny, not 'guildre': did you mean guilder\?"):
        _values(schema, coin="guildre")
    path.write_text(path.read_text().replace("coins/*.yml", "notes/*.yml"))
    with pytest.raises(UserError, match="coin: there is no file notes"):
        load_schema(path)


def test_the_notebook_assigns_the_quick_profile(schema: Schema, tmp_path: Path) -> None:
    found = assigned(house.notebook_path(house.build(tmp_path)))
    assert {name: found[name] for name in schema.parameters} == _values(schema)
    assert (found["names"], found["profile"]) == (["ann", "bob"], "quick")


@pytest.mark.parametrize(("cells", "why"), [(["import os"], "may only assign"), (["n = f()"], "may only assign")])
def test_the_parameters_cell_holds_assignments_only(cells: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why):
        assigned(_written(tmp_path, TEXT, *cells).with_name("notebook.ipynb"))


def test_a_notebook_has_one_cell_of_parameters(tmp_path: Path) -> None:
    path = _written(tmp_path, TEXT, "# Only words").with_name("notebook.ipynb")
    with pytest.raises(UserError, match="one cell tagged `parameters`, has 0"):
        assigned(path)
    for broken in ("{", '{"cells": 1}', "[]"):
        path.write_text(broken)
        with pytest.raises(UserError, match="no notebook that can be read"):
            assigned(path)
