"""What a notebook reports is there whole, declared before, and readable by anyone."""

import json
from dataclasses import replace

import pytest

from reproductions.common.claims import Claim, ClaimError, Claims, PaperValue
from reproductions.common.declared import MetricSpec
from reproductions.common.files import sha256
from reproductions.common.metrics import mean_of, missing, plain
from reproductions.common.report import Report, table

CURVES = {
    "title": "Scores",
    "about": "By layer.",
    "x": {"title": "layer", "values": [0, 1]},
    "y": {"title": "score"},
    "series": [{"name": "r", "values": [0.5, None]}],
}


@pytest.fixture
def report(tmp_path):
    metrics = {name: MetricSpec(name, name, "r", None, "") for name in ("r", "null")}
    return Report(str(tmp_path), Claims("2412.11965", metrics, ()))


def reported(report):
    return json.loads((report.folder / "reported.json").read_text(encoding="utf8"))


def test_a_metric_must_be_declared(report):
    with pytest.raises(ClaimError, match="'other' is not declared"):
        report.add(plain("other", 1.0, 1))


def test_numbers_that_are_not_finite_become_null(report):
    report.add(missing("r"))
    report.finish()
    assert reported(report)["metrics"][0]["value"] is None
    assert reported(report)["metrics"][0]["interval"] == [None, None]


def test_a_figure_is_kept_as_one_drawing(report):
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    shown = report.figure("map", lambda: plt.figure(figsize=(1, 1)), alt="a map")
    report.finish()
    (entry,) = reported(report)["figures"]
    assert (entry["name"], entry["alt"], entry["file"]) == ("map", "a map", "figures/map.svg")
    assert entry["sha256"] == sha256(report.folder / entry["file"])
    assert plt.get_fignums() == before
    assert shown.data.startswith("<svg")


@pytest.mark.parametrize("name", ["../x", "A", "a b", "", "x" * 80])
def test_names_of_files_are_checked(report, name):
    with pytest.raises(ValueError, match="cannot name a file"):
        report.data(name, CURVES, kind="curves")


def test_data_that_no_explorer_draws_are_refused(report):
    with pytest.raises(ValueError, match=r"series\[0\]"):
        report.data("scores", CURVES | {"series": [{"name": "r"}]}, kind="curves")
    assert not list(report.folder.rglob("scores.json"))


def test_nothing_is_reported_before_the_end(report):
    report.data("scores", CURVES, kind="curves")
    assert not (report.folder / "reported.json").exists()
    report.machine["device"] = "cpu"
    report.finish()
    found = reported(report)
    assert found["environment"]["device"] == "cpu"
    assert found["environment"]["peak_memory_mib"] > 0
    assert json.loads((report.folder / found["data"][0]["file"]).read_text(encoding="utf8")) == {
        "kind": "curves",
        **CURVES,
    }


def test_tables_show_value_and_interval_with_one_precision(report):
    shown = report.show(mean_of("r", [0.1, 0.2, 0.34]), plain("null", 1024.0, 3))
    rows = shown.data.splitlines()[2:]
    assert list(report.metrics) == ["r", "null"]
    assert rows == ["| r | 0.21 | [-0.09, 0.51] | 3 | r |", "| null | 1,024 |  | 3 | r |"]


def test_without_a_folder_it_makes_one(report):
    by_hand = Report("", report.claims)
    by_hand.finish()
    assert (by_hand.folder / "reported.json").is_file()


def test_the_verdicts_are_shown_and_written(tmp_path):
    claim = Claim(
        "C1", "ours", "r", "Scores agree.", "small", PaperValue("none", "-", "-", "-"), metric="r", unit="head"
    )
    claims = Claims("2412.11965", {"r": MetricSpec("r", "r", "r", None, "")}, (replace(claim, no_control="none"),))
    report = Report(str(tmp_path), claims, "full", {"device": "cpu"})
    report.add(mean_of("r", [0.4, 0.5, 0.6]))
    shown = report.verdicts().data
    assert "| C1 | Scores agree. | none | above 0 | 0.50 [0.25, 0.75] |" in shown
    assert "**holds**" in shown
    assert reported(report)["environment"]["device"] == "cpu"


def test_tables_keep_their_columns_whatever_stands_in_a_cell():
    assert table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
