"""`tools/repro diff`: two runs side by side, from their records alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from picks.run import runner
from picks.run.command import main
from picks.run.diff import difference
from reproductions.common.errors import UserError
from reproductions.common.files import write_json
from reproductions.common.metrics import Metric, mean_of
from tests.fixtures import house


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run, the same again, and one with more tosses."""
    root = house.build(tmp_path_factory.mktemp("house"))
    made = [root.parent / name for name in ("one", "again", "more")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "fetch_model", lambda _: None)
        for folder, tosses in zip(made, (20, 20, 300), strict=True):
            assert main(["coin_flips", "-p", f"n_tosses={tosses}", "--out", str(folder)], root) == 0
    return made


def _run(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def _with_units(run: dict[str, Any], units: list[float]) -> dict[str, Any]:
    return copy.deepcopy(run) | {"metrics": [mean_of("gain", units).to_json()]}


def test_the_same_run_twice_differs_in_what_it_took_alone(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(folders[0]), str(folders[1])]) == 0
    told = capsys.readouterr().out
    assert "2 numbers and 3 verdicts are the same." in told
    assert "Asked" not in told
    assert "Verdicts" not in told


def test_parameters_numbers_and_verdicts_stand_side_by_side(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(folders[0]), str(folders[2] / "results.json")]) == 1
    told = capsys.readouterr().out
    one, more = (_run(folder) for folder in (folders[0], folders[2]))
    rows = [line.split() for line in told.splitlines()]
    assert ["n_tosses", "20", "300"] in rows
    values = [f"{run['metrics'][0]['value']:.2f}" for run in (one, more)]
    assert any(row[:3] == ["heads", *values] for row in rows)
    verdicts = [run["claims"][1]["verdict"] for run in (one, more)]
    assert (verdicts[0] == verdicts[1]) or "C2" in told
    assert "What numbers depend on" in told


def test_json_is_what_differs(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(folders[0]), str(folders[2]), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == {"n_tosses": [20, 300]}
    assert found["depends_on"] == ["the profile's parameters"]
    [heads, _] = found["numbers"]
    assert heads["less"] == pytest.approx(heads["b"] - heads["a"])
    assert heads["interval"][0] < heads["less"] < heads["interval"][1]


@pytest.mark.parametrize(
    ("change", "paired"),
    [
        ({}, True),
        ({"model": {"name": "other"}}, False),
        ({"parameters": {"seeds": {"value": [7], "origin": "command line"}}}, False),
    ],
)
def test_units_are_paired_where_they_are_the_same(folders: list[Path], change: dict[str, Any], paired: bool) -> None:
    run = _run(folders[0])
    units = [0.1, 0.5, 0.9, 1.4]
    a, b = _with_units(run, units), _with_units(run, [unit + 0.1 + 0.001 * place for place, unit in enumerate(units)])
    [gap] = difference(a, b | change).numbers
    assert gap.paired is paired
    assert gap.interval is not None
    low, high = gap.interval
    assert (low > 0) is paired  # a tenth more of each unit shows in pairs alone
    assert low < gap.less < high


def test_other_numbers_of_units_are_not_paired_and_absent_numbers_are_told(folders: list[Path]) -> None:
    run = _run(folders[0])
    [gap] = difference(_with_units(run, [0.1, 0.5, 0.9]), _with_units(run, [0.2, 0.4, 0.9, 1.0])).numbers
    assert not gap.paired
    without = copy.deepcopy(run) | {"metrics": run["metrics"][:1]}
    [absent] = difference(run, without).numbers
    assert (absent.name, absent.a, absent.b) == ("fair", Metric.from_json(run["metrics"][1]).value, None)


def test_what_cannot_be_compared_is_refused(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(folders[0]), str(tmp_path)]) == 2
    assert "give the directory of a complete run" in capsys.readouterr().err
    write_json(tmp_path / "results.json", {"schema": 1})
    assert main(["diff", str(folders[0]), str(tmp_path)]) == 2
    assert "not a record of schema" in capsys.readouterr().err
    run = _run(folders[0])
    with pytest.raises(UserError, match="have no number in common"):
        difference(run, run | {"reproduction": "dice"})
    with pytest.raises(SystemExit):
        main(["diff", str(folders[0])])
