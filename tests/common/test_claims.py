"""Verdicts are earned: by the value, every seed and the whole interval, and only while the control fails."""

import math
import re

import pytest

from reproductions.common.claims import (
    ClaimError,
    Metric,
    fell_below,
    judge,
    load_claims,
)

FILE = """\
paper: "2412.11965"
metrics:
  r: {title: a correlation, unit: r}
  shuffled: {title: its null, unit: r}
claims:
  - id: C1
    statement: Scores predict behaviour.
    paper: {value: ".9", model: big, source: table 1, seen: read}
    metric: r
    check: {relation: ">", target: 0.6, margin: 0.1, why: a reason}
    partial: {relation: ">", target: 0.3, why: a reason}
    control: shuffled
    scale: smaller
  - id: C2
    statement: Humans agree.
    paper: {value: "80 %", model: big, source: text, seen: second-hand}
    not_tested: It needs people.
    scale: "-"
"""


@pytest.fixture
def claims(tmp_path):
    path = tmp_path / "claims.yml"
    path.write_text(FILE, encoding="utf8")
    return load_claims(path)


def verdict(claims, value, interval=None, per_seed=(), control=0.0):
    metrics = {"r": Metric("r", value, 10, per_seed, interval), "shuffled": Metric("shuffled", control, 10)}
    return judge(claims, metrics)[0]


@pytest.mark.parametrize(
    ("value", "interval", "per_seed", "control", "expected"),
    [
        (0.9, (0.8, 0.95), (0.88, 0.92), 0.1, "reproduced"),
        (0.9, (0.69, 0.95), (), 0.1, "partially reproduced"),  # the interval reaches below target and margin
        (0.9, (0.8, 0.95), (0.9, 0.5), 0.1, "partially reproduced"),  # a seed that fails
        (0.5, (0.4, 0.6), (), 0.1, "partially reproduced"),
        (0.5, (0.4, 0.6), (), 0.35, "not reproduced"),  # the weaker condition is one that the control passes too
        (0.9, (0.8, 0.95), (), 0.75, "inconclusive"),  # the control passes
        (0.9, (0.2, 0.95), (), 0.1, "inconclusive"),  # the interval spans both thresholds
        (0.2, (0.1, 0.28), (), 0.1, "not reproduced"),
        (0.2, (0.1, 0.28), (), 0.9, "not reproduced"),  # a passing control cannot save a claim that fails
        (math.nan, None, (), 0.1, "inconclusive"),
        (0.0, (math.nan, math.nan), (), 0.1, "inconclusive"),  # one measurement: nothing says how far to trust it
        (0.9, (math.nan, math.nan), (), 0.1, "inconclusive"),
    ],
)
def test_verdicts(claims, value, interval, per_seed, control, expected):
    judgement = verdict(claims, value, interval, per_seed, control)
    assert judgement.verdict == expected
    assert judgement.reason


def test_a_claim_without_a_metric_is_not_tested_and_says_why(claims):
    judgement = judge(claims, {"r": Metric("r", 1.0, 1), "shuffled": Metric("shuffled", 0.0, 1)})[1]
    assert (judgement.verdict, judgement.reason) == ("not tested", "It needs people.")


def test_nothing_to_measure_on_this_model_is_not_tested(claims):
    metrics = {"r": Metric("r", math.nan, 0), "shuffled": Metric("shuffled", math.nan, 0)}
    assert judge(claims, metrics)[0].verdict == "not tested"


def test_a_metric_that_was_not_reported_is_an_error(claims):
    with pytest.raises(ClaimError, match="C1 is judged by the metric 'shuffled', which the notebook did not report"):
        judge(claims, {"r": Metric("r", 1.0, 1)})


def test_smaller_is_better_where_the_check_says_so(tmp_path):
    path = tmp_path / "claims.yml"
    path.write_text(FILE.replace('relation: ">", target: 0.6', 'relation: "<", target: 0.6'), encoding="utf8")
    claims = load_claims(path)
    assert verdict(claims, 0.45, (0.4, 0.49), control=0.9).verdict == "reproduced"
    assert claims.claims[0].check.bound == pytest.approx(0.5)


def test_metrics_survive_json_even_where_they_could_not_be_computed():
    metric = Metric("r", 0.5, 3, (0.4, 0.6), (0.3, 0.7))
    assert Metric.from_json(metric.to_json()) == metric
    lost = Metric.from_json({"name": "r", "value": None, "n": 0, "per_seed": [None], "interval": [None, None]})
    assert math.isnan(lost.value)
    assert math.isnan(lost.per_seed[0])


def test_falling_below_a_record():
    assert fell_below("partially reproduced", "reproduced")
    assert fell_below("not reproduced", "inconclusive")
    assert not fell_below("reproduced", "not reproduced")
    assert not fell_below("inconclusive", "inconclusive")


@pytest.mark.parametrize(
    ("before", "after", "line", "problem"),
    [
        ('paper: "2412.11965"', "paper: 2412.11965", 1, "must be quoted"),
        ("    metric: r\n", "    metric: q\n", 9, "'q' is not among the declared metrics"),
        ("    scale: smaller\n", "", 6, "missing: scale"),
        ("    scale: smaller\n", "    scale: smaller\n    scal: x\n", 6, "unknown key: scal"),
        ('relation: ">", target: 0.3', 'relation: ">=", target: 0.3', 11, "'>=' is unknown"),
        (", margin: 0.1, why: a reason}", ", margin: 0.1}", 10, "missing: why"),
        ("- id: C2", "- id: C1", 6, "same id"),
        ("    not_tested: It needs people.\n", "", 14, "either a `metric`"),
        ("  shuffled: {title", "  null: {title", 3, "reads a metric's name as None"),
        ("unit: r}\n  shuffled", "unit: r, tolerance: 0.1}\n  shuffled", 3, "no `why`"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, before, after, line, problem):
    assert before in FILE
    path = tmp_path / "claims.yml"
    path.write_text(FILE.replace(before, after, 1), encoding="utf8")
    with pytest.raises(ClaimError, match=f"claims.yml:{line}: .*{re.escape(problem)}"):
        load_claims(path)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    path = tmp_path / "claims.yml"
    path.write_text("paper: [", encoding="utf8")
    with pytest.raises(ClaimError, match="not readable as YAML"):
        load_claims(path)
