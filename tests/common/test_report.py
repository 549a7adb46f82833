"""What a notebook reports is there whole, declared before, and readable by anyone."""

import json
import math

import pytest

from reproductions.common.claims import ClaimError, Claims, MetricSpec
from reproductions.common.metrics import mean_of, missing, plain
from reproductions.common.report import Report, table


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


def test_figures_are_drawn_for_light_and_dark_pages(report):
    from matplotlib import pyplot as plt

    shown = report.figure("map", lambda: plt.figure(figsize=(1, 1)), alt="a map")
    report.finish()
    files = {entry["theme"]: report.folder / entry["file"] for entry in reported(report)["figures"]}
    paper = {theme: tuple(plt.imread(path)[0, 0, :3]) for theme, path in files.items()}
    assert set(files) == {"light", "dark"}
    assert paper["light"] == (1, 1, 1)
    assert sum(paper["dark"]) < 1
    assert plt.get_fignums() == []
    assert shown.data == (report.folder / "figures/map.light.png").read_bytes()


@pytest.mark.parametrize("name", ["../x", "A", "a b", "", "x" * 80])
def test_names_of_files_are_checked(report, name):
    with pytest.raises(ValueError, match="cannot name a file"):
        report.data(name, [])


def test_nothing_is_reported_before_the_end(report):
    report.data("scores", {"a": [1, math.nan]})
    assert not (report.folder / "reported.json").exists()
    report.finish(device="cpu")
    found = reported(report)
    assert found["environment"]["device"] == "cpu"
    assert found["environment"]["peak_memory_mib"] > 0
    assert json.loads((report.folder / found["data"][0]["file"]).read_text(encoding="utf8")) == {"a": [1, None]}


def test_tables_show_value_and_interval_with_one_precision(report):
    report.add(mean_of("r", [0.1, 0.2, 0.34]), plain("null", 1024.0, 3))
    rows = report.metric_table(["r", "null"]).splitlines()[2:]
    assert rows == ["| r | 0.21 | [-0.09, 0.51] | 3 | r |", "| null | 1,024 |  | 3 | r |"]


def test_without_a_folder_it_makes_one(report):
    by_hand = Report("", report.claims)
    by_hand.finish()
    assert (by_hand.folder / "reported.json").is_file()


def test_tables_keep_their_columns_whatever_stands_in_a_cell():
    assert table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
