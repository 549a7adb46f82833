"""Records as the site reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from picks.run import reproductions
from picks.site.results import load_reproduced
from reproductions.common.errors import UserError
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
    tested, _, untested, *_ = run.findings
    assert (tested.verdict, tested.judgement.value, tested.judgement.control) == ("holds", 0.9, 0.5)
    assert tested.metric is not None and tested.judgement.n == tested.metric.n == 12
    spec = tested.spec(tested.claim.metric)
    assert spec is not None and (spec.title, tested.unit) == ("share of heads", "share")
    assert (untested.verdict, untested.measured, untested.spec(untested.claim.metric)) == ("not tested", False, None)
    assert {figure.name: sorted(figure.files) for figure in run.figures} == {"toss": ["dark", "light"]}
    assert list(run.data) == ["head_map"]


def test_findings_stand_fact_by_fact_and_name_what_they_are(root: Path) -> None:
    run = load_reproduced(reproductions.find(root, NAME)).runs[0]
    assert [(finding.id, finding.under and finding.under.id) for finding in run.findings] == [
        *(("C1", None), ("C6", "C1"), ("C2", None), ("C3", None), ("C4", None), ("C5", None)),
    ]
    assert [finding.id for finding in run.own] == ["C3"]
    assert {finding.id: finding.afterthought for finding in run.findings if finding.afterthought} == {
        "C4": "the first coin had no edge"
    }
    assert {finding.id: finding.verdict for finding in run.findings}["C5"] is None


def test_only_facts_of_the_paper_are_counted(root: Path) -> None:
    run = load_reproduced(reproductions.find(root, NAME)).runs[0]
    assert run.counts == {"holds": 1, "opposite": 1, "not tested": 1}


def test_a_claim_whose_check_has_changed_since_is_known(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(root / "papers", copy / "papers")
    shutil.copytree(root / "reproductions", copy / "reproductions")
    path = copy / "reproductions" / NAME / "reproduction.yml"
    content = yaml.safe_load(path.read_text(encoding="utf8"))
    content["claims"][0] |= {"null": 0.4, "statement": "Another claim."}
    content["claims"][1] |= {"scale": "another remark", "statement": "Today's wording."}
    path.write_text(json.dumps(content), encoding="utf8")
    run = load_reproduced(reproductions.find(copy, NAME)).runs[0]
    assert [finding.id for finding in run.findings if finding.reworded] == ["C1"]
    shown = {finding.id: finding.claim for finding in run.findings}
    assert shown["C1"].statement != "Another claim."  # what was judged
    assert (shown["C2"].statement, shown["C2"].scale) == ("Today's wording.", "another remark")


def _no_claims(content: dict[str, Any]) -> None:
    del content["claims"]


def _odd_verdict(content: dict[str, Any]) -> None:
    content["claims"][0]["verdict"] = "proven"


def _no_verdict(content: dict[str, Any]) -> None:
    content["claims"][0]["verdict"] = None


def _odd_number(content: dict[str, Any]) -> None:
    content["claims"][0]["control"] = "<b>"


def _outside(content: dict[str, Any]) -> None:
    content["figures"][0]["file"] = "../../../papers/2501.00001.yml"


def _other_name(content: dict[str, Any]) -> None:
    content["data"][0]["file"] = "smollm2-135m.full.toss.light.png"


def _missing(content: dict[str, Any]) -> None:
    content["figures"][0]["file"] = "smollm2-135m.full.toss.light.json"


@pytest.mark.parametrize(
    "change", [_no_claims, _odd_verdict, _no_verdict, _odd_number, _outside, _other_name, _missing]
)
def test_a_record_that_nobody_recorded_is_refused(change: Callable[..., None], changed: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=f"{RUN}: not what tools/repro --record writes"):
        changed(change)


def test_a_link_in_place_of_a_figure_is_refused(changed: Callable[..., None], tmp_path: Path) -> None:
    figure = tmp_path / "project" / "reproductions" / NAME / "results" / "smollm2-135m.full.toss.light.png"
    figure.unlink()
    figure.symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="no file of this run"):
        changed(lambda _: None)
