"""The verdicts on nearly linear blocks, measured right and measured wrong, by the rule and claims of a run."""

from dataclasses import replace

import pytest
import torch

from reproductions.common.verdicts import HOLDS, POSITIVE
from reproductions.layer_linearity import method
from reproductions.layer_linearity.method import score_metrics
from tests.layer_linearity.planted import Toy, judged, toy_costs, toy_run


@pytest.fixture(scope="module")
def run():
    return toy_run(Toy())


def test_nearly_linear_blocks_hold(run):
    _, found, _ = run
    metrics = score_metrics(found)
    assert judged("L1", metrics).verdict == HOLDS
    assert judged("L1b", metrics).verdict == HOLDS
    assert judged("L2", metrics).verdict in POSITIVE  # a smaller gap than any of the authors' models has


WRONG_FITS = {
    "sign flipped": lambda linear: replace(linear, A=-linear.A),
    "transposed": lambda linear: replace(linear, A=linear.A.mT),
    "dimensions in another order": lambda linear: replace(linear, A=linear.A.roll(1, dims=1)),
    "nothing but the mean": lambda linear: replace(linear, A=torch.zeros_like(linear.A)),
    "states not centred": lambda linear: replace(linear, mean_x=torch.zeros_like(linear.mean_x)),
}


@pytest.mark.parametrize("claim", ["L1", "L1b", "L2"])
@pytest.mark.parametrize("fault", WRONG_FITS)
def test_a_wrong_fit_is_refused(monkeypatch, fault, claim):
    right = method.fit

    def wrong(*args):
        ridge, exact, copy = right(*args)
        return [WRONG_FITS[fault](ridge), WRONG_FITS[fault](exact), copy]

    monkeypatch.setattr(method, "fit", wrong)
    judgement = judged(claim, score_metrics(toy_run(Toy())[1]))
    assert judgement.verdict not in POSITIVE, (judgement.value, judgement.interval, judgement.reason)


def test_updates_that_have_nothing_to_do_with_their_tokens_are_not_linear(monkeypatch):
    """Every block's updates dealt among tokens: as high a score with the residual stream as the control's, no more."""
    right = method.Block.of

    def dealt(fitted, held_out, whole):
        return right(fitted.dealt(), held_out.dealt(), whole)

    monkeypatch.setattr(method.Block, "of", dealt)
    metrics = score_metrics(toy_run(Toy())[1])
    assert judged("L1", metrics).verdict not in POSITIVE
    assert judged("L1b", metrics).verdict not in POSITIVE


def test_replacing_nearly_linear_blocks_costs_less_than_removing_them(run):
    blocks, found, held_out = run
    judgement = judged("P2", toy_costs(blocks, held_out, found))
    assert judgement.verdict == HOLDS, (judgement.value, judgement.control, judgement.reason)


WRONG_MAPS = {
    "another block's": lambda found: [other.linear for other in [*found[1:], found[0]]],
    "sign flipped": lambda found: [WRONG_FITS["sign flipped"](block.linear) for block in found],
    "dealt anew": lambda found: [block.dealt for block in found],
    "nothing": lambda found: [replace(b.linear, A=0 * b.linear.A, mean_y=0 * b.linear.mean_y) for b in found],
}


@pytest.mark.parametrize("fault", WRONG_MAPS)
def test_wrong_maps_are_no_replacement(run, fault):
    blocks, found, held_out = run
    wrong = [replace(block, linear=linear) for block, linear in zip(found, WRONG_MAPS[fault](found), strict=True)]
    judgement = judged("P2", toy_costs(blocks, held_out, wrong))
    assert judgement.verdict not in POSITIVE, (judgement.value, judgement.interval, judgement.control, judgement.reason)


def test_blocks_that_bend_more_cost_more(run):
    blocks, found, held_out = run
    assert judged("P1", toy_costs(blocks, held_out, found)).verdict == HOLDS


def test_scores_of_other_blocks_choose_none(run):
    blocks, found, held_out = run
    wrong = [
        replace(block, values=found[place].values) for block, place in zip(found, [5, 2, 7, 0, 4, 1, 6, 3], strict=True)
    ]
    assert judged("P1", toy_costs(blocks, held_out, wrong)).verdict not in POSITIVE
