"""One rule for all claims: where the interval lies, what the controls say, and what a negative word takes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from reproductions.common import stats, verdicts
from reproductions.common.claims import (
    ARITHMETIC,
    OURS,
    PAPER,
    Claim,
    ClaimError,
    PaperValue,
    PositiveControl,
    SecondRoute,
)
from reproductions.common.metrics import Metric, difference_of, mean_of, missing, plain, share_of
from reproductions.common.verdicts import CANNOT_TELL, HOLDS, NOT_SEEN, NOT_TESTED, OPPOSITE, WEAKER, judge_claim

AUTHORS = PaperValue(".8", "big", "table 1", "read", effect=(0.7, 0.9), comparable=True)
CLAIM = Claim(
    id="C1",
    kind=PAPER,
    fact="prediction",
    statement="Scores predict behaviour.",
    scale="smaller",
    paper=AUTHORS,
    metric="r",
    unit="relation",
    control="shuffled",
    positive_control=PositiveControl("seen", 0.5),
    second_route=SecondRoute("other", "the model is small"),
)


def around(name: str, mean: float, spread: float = 0.1, n: int = 20) -> Metric:
    """A metric whose interval lies about `mean`, about half a spread wide on both sides."""
    steps = np.linspace(-1, 1, n)
    return mean_of(name, (mean + spread * (steps - steps.mean())).tolist())


def judged(claim: Claim = CLAIM, profile: str = "full", **given: Metric) -> verdicts.Judgement:
    metrics = {"r": around("r", 0.8), "shuffled": around("shuffled", 0.0), "seen": around("seen", 0.9)}
    metrics["other"] = around("other", 0.0)
    return judge_claim(claim, metrics | given, profile)


def test_the_claimed_side_holds():
    found = judged()
    assert (found.verdict, found.reason) == (HOLDS, "all of the interval is above 0")
    assert found.control == pytest.approx(0.0)
    assert found.p_value < 0.001


def test_a_share_of_all_is_not_certain_beside_a_control_that_does_it_too():
    claim = replace(CLAIM, null=0.5, paper=replace(AUTHORS, effect=None, comparable=False))
    found = judged(claim, r=share_of("r", 16, 16), shuffled=share_of("shuffled", 21, 26))
    assert (found.verdict, found.reason) == (CANNOT_TELL, "the control does it too (0.81)")
    assert judged(claim, r=share_of("r", 16, 16), shuffled=share_of("shuffled", 14, 26)).verdict == HOLDS


def test_short_of_the_authors_range_is_weaker_only_where_it_can_be_compared():
    assert judged(r=around("r", 0.4)).verdict == WEAKER
    assert judged(r=around("r", 0.68)).verdict == HOLDS  # the interval reaches into the authors' range
    elsewhere = replace(CLAIM, paper=replace(AUTHORS, comparable=False))
    assert judged(elsewhere, r=around("r", 0.4)).verdict == HOLDS


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (around("shuffled", 0.0), HOLDS),
        (around("shuffled", 0.02), HOLDS),  # its interval reaches the null
        (around("shuffled", -0.4), HOLDS),  # beyond the null on the other side
        (around("shuffled", 0.1), HOLDS),  # off the null, but the value differs from it beyond doubt
        (around("shuffled", 0.8, spread=0.2), CANNOT_TELL),  # it does the same
        (missing("shuffled"), CANNOT_TELL),  # not measured: no control
        (mean_of("shuffled", [math.nan] * 20), CANNOT_TELL),
        (mean_of("shuffled", [0.1]), CANNOT_TELL),  # one value has no interval
    ],
)
def test_a_control_must_be_measured_and_clean(control, expected):
    assert judged(shuffled=control).verdict == expected


def test_not_seen_takes_all_four():
    nothing = around("r", 0.0)
    assert judged(r=nothing).verdict == NOT_SEEN
    assert "the model is small" in judged(r=nothing).reason
    assert judged(profile="quick", r=nothing).verdict == CANNOT_TELL
    assert judged(replace(CLAIM, positive_control=None), r=nothing).verdict == CANNOT_TELL
    assert judged(replace(CLAIM, second_route=None), r=nothing).verdict == CANNOT_TELL
    assert judged(r=nothing, other=around("other", 0.5)).verdict == CANNOT_TELL


def test_not_seen_takes_a_run_that_could_have_seen_it():
    wide = around("r", 0.0, spread=2.5)  # sees gaps of about 1
    found = judged(r=wide)
    assert found.verdict == CANNOT_TELL
    assert found.reason == f"spans 0: n = 20 sees gaps of {wide.detectable:.2g}"
    assert (
        judged(replace(CLAIM, paper=replace(AUTHORS, effect=None, comparable=False)), r=around("r", 0.0)).verdict
        == CANNOT_TELL
    )
    spanning = replace(
        CLAIM, paper=replace(AUTHORS, effect=(-0.1, 0.9))
    )  # the authors themselves saw less than nothing
    assert judged(spanning, r=around("r", 0.0)).verdict == CANNOT_TELL


def test_the_opposite_takes_all_four():
    against, other = around("r", -0.5), around("other", -0.3)
    assert judged(r=against, other=other).verdict == OPPOSITE
    assert judged(profile="quick", r=against, other=other).verdict == CANNOT_TELL
    assert judged(r=against).verdict == CANNOT_TELL  # the second route spans the null
    assert judged(replace(CLAIM, positive_control=None), r=against, other=other).verdict == CANNOT_TELL


@pytest.mark.parametrize("value", [0.8, 0.0, -0.5])
def test_an_instrument_that_sees_nothing_tests_nothing(value):
    found = judged(r=around("r", value), seen=around("seen", 0.45))
    assert found.verdict == NOT_TESTED
    assert "positive control" in found.reason


@pytest.mark.parametrize(
    "metric",
    [missing("r"), mean_of("r", [0.5]), mean_of("r", [0.5] * 20), plain("r", 0.9, 20), mean_of("r", [math.nan] * 20)],
)
def test_what_was_not_measured_is_not_tested(metric):
    found = judged(r=metric)
    assert found.verdict == NOT_TESTED
    assert found.reason


def test_smaller_is_claimed_where_the_direction_says_so():
    below = replace(CLAIM, direction="below", null=0.5)
    assert judged(below, r=around("r", 0.3), shuffled=around("shuffled", 0.5)).verdict == HOLDS
    assert judged(below, r=around("r", 0.3), shuffled=around("shuffled", 0.2)).verdict == CANNOT_TELL
    assert judged(below, r=around("r", 0.8), other=around("other", 0.9)).verdict == OPPOSITE


def test_two_things_are_alike_within_the_papers_bound():
    alike = replace(CLAIM, direction="within", bound=0.1)
    far = around("shuffled", 0.5)
    assert judged(alike, r=around("r", 0.02), shuffled=far).verdict == HOLDS
    assert judged(alike, r=around("r", 0.09), shuffled=far).verdict == CANNOT_TELL
    assert judged(alike, r=around("r", 0.02), shuffled=around("shuffled", 0.01)).verdict == CANNOT_TELL
    assert judged(alike, r=around("r", -0.5), shuffled=far, other=around("other", -0.4)).verdict == NOT_SEEN
    assert judged(alike, r=around("r", -0.5), shuffled=far, other=around("other", 0.12)).verdict == CANNOT_TELL
    assert judged(alike, r=around("r", 0.02), shuffled=far).p_value < 0.05


def test_a_bound_takes_the_nulls_place():
    close = replace(CLAIM, direction="below", bound=0.2)
    assert judged(close, r=around("r", 0.1), shuffled=around("shuffled", 0.6)).verdict == HOLDS
    assert judged(close, r=around("r", 0.19), shuffled=around("shuffled", 0.6)).verdict == CANNOT_TELL
    further = judged(
        close, r=around("r", 0.4), other=around("other", 0.5)
    )  # not close, and no opposite of close either
    assert (further.verdict, "above the bound of 0.2" in further.reason) == (NOT_SEEN, True)


def test_shares_and_differences_are_judged_by_the_same_rule():
    half = replace(CLAIM, null=0.5)
    assert judged(half, r=share_of("r", 60, 64), shuffled=share_of("shuffled", 31, 64)).verdict == HOLDS
    assert judged(half, r=share_of("r", 18, 32), shuffled=share_of("shuffled", 16, 32)).verdict == CANNOT_TELL
    gap = difference_of("r", [1.0, 0.9, 1.1, 1.2], [0.1, 0.2, 0.0, 0.1])
    assert judged(r=gap).verdict == HOLDS


def test_the_quick_profile_leaves_to_the_full_one_what_it_cannot_decide():
    claim = replace(CLAIM, full_only="n = 5 sees gaps of 0.9", metric="not reported")
    for profile in ("quick", "full"):  # a full one whose parameters leave the part out has not got the number either
        found = judge_claim(claim, {}, profile)
        assert (found.verdict, found.reason) == (NOT_TESTED, "full profile only: n = 5 sees gaps of 0.9")


def test_arithmetic_shows_its_number_and_no_word():
    claim = replace(CLAIM, kind=ARITHMETIC, control=None, positive_control=None, second_route=None)
    found = judged(claim, r=plain("r", 0.25, 1))
    assert (found.verdict, found.value) == (None, 0.25)


def test_a_claim_without_a_metric_says_why():
    found = judged(replace(CLAIM, metric=None, not_tested="It needs people."))
    assert (found.verdict, found.reason) == (NOT_TESTED, "It needs people.")


def test_a_metric_that_was_not_reported_is_an_error():
    with pytest.raises(ClaimError, match="C1 is judged by the metric 'r', which the notebook did not report"):
        judge_claim(CLAIM, {}, "full")


def test_what_chosen_parameters_leave_out_is_not_tested():
    left_out = verdicts.judge_claim(CLAIM, {}, "quick", chosen=True)
    assert (left_out.verdict, left_out.reason) == ("not tested", "the parameters chosen for this run leave it out")
    with pytest.raises(ClaimError, match="'shuffled'"):
        verdicts.judge_claim(CLAIM, {"r": around("r", 0.8)}, "quick", chosen=True)


def test_facts_are_counted_and_not_claims():
    holds = judged()
    again = judged(replace(CLAIM, id="C2"), r=around("r", 0.0))
    third = judged(replace(CLAIM, id="C3", fact="other"), profile="quick", r=around("r", 0.0))
    ours = judged(replace(CLAIM, id="C4", fact="ours", kind=OURS))
    found = [holds, again, third, ours]
    assert [(fact.slug, fact.verdict) for fact in verdicts.facts(found)] == [
        ("prediction", HOLDS),
        ("other", CANNOT_TELL),
        ("ours", HOLDS),
    ]
    assert verdicts.in_words(verdicts.count_facts(found)) == "1 fact holds, 1 cannot be told"
    assert verdicts.in_words({HOLDS: 3, NOT_TESTED: 1}) == "3 facts hold, 1 is not tested"


def test_holm_counts_what_survives_among_all_that_was_tested():
    weak = mean_of("r", [0.5, 0.1, 0.4, 0.02, 0.4])  # p = .03
    found = [judged(replace(CLAIM, id=f"C{i}", fact=f"f{i}"), r=weak) for i in range(3)]
    assert all(judgement.verdict in verdicts.POSITIVE for judgement in found)
    assert verdicts.surviving(found[:1]) == 1
    assert verdicts.surviving(found) == 0


def test_falling_below_a_record():
    assert verdicts.fell_below(WEAKER, HOLDS)
    assert verdicts.fell_below(NOT_SEEN, CANNOT_TELL)
    assert not verdicts.fell_below(HOLDS, NOT_SEEN)
    assert not verdicts.fell_below(CANNOT_TELL, CANNOT_TELL)
    assert not verdicts.fell_below(None, HOLDS)


@pytest.mark.parametrize(("true", "least", "most"), [(0.0, 0.0, 0.04), (0.8, 0.75, 1.0)])
def test_size_and_power_of_the_rule(true, least, most):
    """Where there is nothing, one run in forty holds; what four of five runs should see, they see."""
    source, n, spread = np.random.default_rng(0), 12, 1.0
    scale = spread * stats.seen_errors(n) / math.sqrt(n) / 0.8
    plainly = replace(CLAIM, control=None, no_control="simulated", positive_control=None)
    held = [
        judge_claim(
            plainly, {"r": mean_of("r", source.normal(true * scale, spread, n)), "other": missing("other")}, "full"
        )
        for _ in range(300)
    ]
    assert least <= np.mean([found.verdict in verdicts.POSITIVE for found in held]) <= most
