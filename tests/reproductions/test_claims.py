"""Every real claim can be judged fairly: the authors' own numbers pass its check, and it stands alone."""

from dataclasses import replace

import pytest

from picks.run.command import ROOT
from picks.run.reproductions import load_all
from reproductions.common.claims import ABOVE, ARITHMETIC, BELOW, PAPER, WITHIN, Claim, load_claims
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.verdicts import NEGATIVE, POSITIVE, judge_claim

CLAIMS = {
    f"{reproduction.name}-{claim.id}": claim
    for reproduction in load_all(ROOT)
    for claim in load_claims(reproduction.file).claims
}
OF_PAPERS = {key: claim for key, claim in CLAIMS.items() if claim.kind == PAPER and claim.metric}
WITH_NUMBERS = {key: claim for key, claim in OF_PAPERS.items() if claim.paper.effect}


def passed(claim: Claim, value: float) -> bool:
    """Whether a number, taken as certain, is what is claimed."""
    if claim.direction == WITHIN:
        return abs(value - claim.null) <= claim.bound
    beyond = value - claim.edge if claim.direction == ABOVE else claim.edge - value
    return beyond > 0 if claim.bound is None else beyond >= 0


@pytest.mark.parametrize("claim", WITH_NUMBERS.values(), ids=WITH_NUMBERS)
def test_the_authors_own_numbers_pass(claim):
    assert passed(claim, claim.paper.typical)
    assert claim.paper.effect[0] <= claim.paper.typical <= claim.paper.effect[1]


@pytest.mark.parametrize("claim", WITH_NUMBERS.values(), ids=WITH_NUMBERS)
def test_the_authors_own_columns_are_never_judged_against_them(claim):
    """As units, the ends and the middle of what they report; with every control passed, in the full profile."""
    effect = [*claim.paper.effect, claim.paper.typical]
    plain = replace(claim, control=None, positive_control=None, second_route=None)
    verdict = judge_claim(plain, {claim.metric: mean_of(claim.metric, effect)}, "full").verdict
    assert verdict not in NEGATIVE


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_is_a_sentence_that_stands_alone(claim):
    assert claim.statement.split()[0] not in {"It", "They", "This", "These", "That", "The same"}
    assert not claim.statement.startswith("The same")
    assert claim.statement.endswith(".")
    assert len(claim.statement.split()) > 5


@pytest.mark.parametrize("claim", OF_PAPERS.values(), ids=OF_PAPERS)
def test_a_claim_that_could_come_out_negative_has_what_that_takes(claim):
    """Either an effect and the controls for a negative word, or none of it: then it can only hold or not be told."""
    if claim.second_route is not None:
        assert claim.positive_control is not None
    if claim.control is not None:
        assert claim.control != claim.metric


@pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.metric and c.kind != ARITHMETIC], ids=lambda c: c.id)
def test_the_reverse_of_a_claim_never_holds(claim):
    """A planted wrong result, ten units on the wrong side of the edge, is not called what the paper says."""
    assert judge_claim(claim, _metrics(claim, wrong=True), "full").verdict not in POSITIVE
    assert judge_claim(claim, _metrics(claim, wrong=False), "full").verdict in POSITIVE


def _metrics(claim: Claim, *, wrong: bool) -> dict[str, Metric]:
    """Fabricated numbers on the right or the wrong side, with controls that say nothing or pass."""
    step = 0.5 * (claim.bound or 1.0)
    side = {ABOVE: 1.0, BELOW: -1.0, WITHIN: 0.0}[claim.direction]
    right, elsewhere = claim.edge + side * step, claim.edge - (side or 1.0) * 4 * step
    if claim.direction == WITHIN:
        right, elsewhere = claim.null, claim.null + 4 * claim.bound
    found = {claim.metric: _around(claim.metric, elsewhere if wrong else right, step)}
    if claim.control:
        found[claim.control] = _around(claim.control, right if wrong else elsewhere, step)
    if claim.second_route:
        found.setdefault(claim.second_route.metric, _around(claim.second_route.metric, right, step))
    if claim.positive_control:
        level = claim.positive_control.above + 1
        found.setdefault(claim.positive_control.metric, _around(claim.positive_control.metric, level, step))
    return found


def _around(name: str, mean: float, step: float) -> Metric:
    return mean_of(name, [mean + step * offset / 20 for offset in (-2, -1, 0, 1, 2)])
