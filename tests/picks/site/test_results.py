"""Records as the site reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picks import reproductions
from picks.errors import UserError
from picks.site.results import load_reproduced
from tests.fixtures.mini_site import NAME

RUN = "smollm2-135m.full.json"


@pytest.fixture
def changed(root: Path, tmp_path: Path) -> Callable[..., None]:
    """Loads the tame reproduction with its record changed."""
    copy = tmp_path / "project"
    shutil.copytree(root / "papers", copy / "papers")
    shutil.copytree(root / "reproductions", copy / "reproductions")
    path = copy / "reproductions" / NAME / "results" / RUN

    def load(change: Callable[[dict[str, Any]], None]) -> None:
        content = json.loads(path.read_text(encoding="utf8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf8")
        load_reproduced(reproductions.find(copy, NAME))

    return load


def test_a_run_says_what_was_claimed_measured_and_found(root: Path) -> None:
    run = load_reproduced(reproductions.find(root, NAME)).runs[0]
    tested, untested = run.findings
    assert (tested.verdict, tested.value, tested.interval, tested.control) == ("reproduced", 0.9, (0.8, 1.0), 0.5)
    assert tested.metric is not None and tested.metric.n == 60
    assert tested.measure is not None and tested.measure.title == "share of heads"
    assert (untested.verdict, untested.value, untested.check) == ("not tested", None, None)
    assert {figure.name: sorted(figure.files) for figure in run.figures} == {"toss": ["dark", "light"]}
    assert list(run.data) == ["head_map"]


def _no_claims(content: dict[str, Any]) -> None:
    del content["claims"]


def _odd_verdict(content: dict[str, Any]) -> None:
    content["claims"][0]["verdict"] = "proven"


def _outside(content: dict[str, Any]) -> None:
    content["figures"][0]["file"] = "../../../papers/2501.00001.yml"


def _other_name(content: dict[str, Any]) -> None:
    content["data"][0]["file"] = "smollm2-135m.full.toss.light.png"


def _missing(content: dict[str, Any]) -> None:
    content["figures"][0]["file"] = "smollm2-135m.full.toss.light.json"


@pytest.mark.parametrize("change", [_no_claims, _odd_verdict, _outside, _other_name, _missing])
def test_a_record_that_nobody_recorded_is_refused(change: Callable[..., None], changed: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=f"{RUN}: not what tools/repro --record writes"):
        changed(change)


def test_a_link_in_place_of_a_figure_is_refused(changed: Callable[..., None], tmp_path: Path) -> None:
    figure = tmp_path / "project" / "reproductions" / NAME / "results" / "smollm2-135m.full.toss.light.png"
    figure.unlink()
    figure.symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="no file of this run"):
        changed(lambda _: None)
