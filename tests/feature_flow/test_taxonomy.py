"""The taxonomy on planted dictionaries, of which it is known where each direction came from, and on unrelated ones."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from reproductions.feature_flow.method import MLP, MODULES, Matches, Predecessors, Sources, directions, predecessors
from reproductions.feature_flow.taxonomy import (
    NEWBORN,
    PROCESSED,
    QUANTILES,
    STATES,
    TRANSLATED,
    UNEXPLAINED,
    CalibrationError,
    Keep,
    Null,
    Thresholds,
    classify,
    exceeded_by,
    rotation,
    seed_level,
    shares,
    turned,
)

D, N = 128, 400
RATE = 0.01


def drawn(n: int, generator: torch.Generator) -> Tensor:
    return directions(torch.randn(n, D, generator=generator))


def sources_of(generator: torch.Generator) -> Sources:
    return Sources(*(drawn(N, generator) for _ in MODULES))


@dataclass(frozen=True)
class Planted:
    """Targets, of which a quarter each is carried over, carried over and added to, written anew, and from nowhere."""

    targets: Tensor
    sources: Sources
    state: Tensor
    residual: Tensor  # the true predecessor in the residual stream, where there is one


def planted(seed: int, noise: float = 0.5) -> Planted:
    """The order of the targets is random, and noise is added to all of them."""
    generator = torch.Generator().manual_seed(seed)
    sources = sources_of(generator)
    quarter = N // 4
    parents = torch.randperm(N, generator=generator)[: 2 * quarter]
    carried, changed = sources.residual[parents].split(quarter)
    added, born = sources.mlp[torch.randperm(N, generator=generator)[: 2 * quarter]].split(quarter)
    born = torch.cat([born[: quarter // 2], sources.attention[: quarter - quarter // 2]])
    targets = torch.cat([carried, changed + added, born, drawn(quarter, generator)])
    targets = directions(directions(targets) + noise * drawn(N, generator))
    state = torch.tensor([TRANSLATED, PROCESSED, NEWBORN, UNEXPLAINED]).repeat_interleave(quarter)
    order = torch.randperm(N, generator=generator)
    padded = torch.cat([parents, torch.full((2 * quarter,), -1)])
    return Planted(targets[order], sources, state[order], padded[order])


@pytest.mark.parametrize("seed", range(3))
def test_the_taxonomy_recovers_what_was_planted(seed: int) -> None:
    truth = planted(seed)
    found = predecessors(truth.targets, truth.sources)
    states = classify(found, Null.of(truth.targets, truth.sources).thresholds(RATE))
    assert (states == truth.state).double().mean() > 0.95
    has_parent = truth.residual >= 0
    assert torch.equal(found.residual.source[has_parent], truth.residual[has_parent])


def test_a_known_rotation_between_the_dictionaries_hides_everything_until_it_is_undone() -> None:
    truth = planted(0)
    turn = rotation(D, torch.Generator().manual_seed(5))
    targets = truth.targets @ turn
    thresholds = Null.of(targets, truth.sources).thresholds(RATE)
    hidden = shares(classify(predecessors(targets, truth.sources), thresholds))
    assert hidden["unexplained"] > 0.94
    undone = classify(predecessors(targets @ turn.T, truth.sources), thresholds)
    assert (undone == truth.state).double().mean() > 0.95


def test_more_noise_hides_predecessors_and_invents_none() -> None:
    truth = planted(1, noise=4.0)
    thresholds = Null.of(truth.targets, truth.sources).thresholds(RATE)
    assert shares(classify(predecessors(truth.targets, truth.sources), thresholds))["unexplained"] > 0.8


def found_of_nothing(keep: Keep, decay: float, seeds: int = 10) -> dict[str, int]:
    """How many of `seeds` * N targets are above the threshold in each source, though nothing is related to anything.

    The i-th dimension of all dictionaries has the variance i^-decay.
    """
    above = dict.fromkeys(MODULES, 0)
    scale = torch.arange(1, D + 1) ** (-decay / 2)
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(1000 + seed)
        targets, *rest = (directions(torch.randn(N, D, generator=generator) * scale) for _ in range(4))
        sources = Sources(*rest)
        thresholds = Null.of(targets, sources, keep=keep, seed=seed).thresholds(RATE)
        found = predecessors(targets, sources)
        for module in MODULES:
            above[module] += int((found[module].best > thresholds[module]).sum())
    return above


@pytest.mark.parametrize(("keep", "decay"), [("nothing", 0), ("mean", 0), ("shape", 0), ("shape", 0.5), ("shape", 1)])
def test_on_unrelated_dictionaries_it_finds_no_more_than_the_stated_rate(keep: Keep, decay: float) -> None:
    """Over 10 seeds each source is above its threshold as often as stated, up to 99.9 % of what chance allows."""
    above = found_of_nothing(keep, decay)
    assert max(above.values()) <= stats.binom(10 * N, RATE).ppf(0.999)
    assert min(above.values()) >= stats.binom(10 * N, RATE).ppf(0.001)  # a threshold that nothing exceeds is no use


def test_a_rotation_that_loses_the_shape_finds_what_is_not_there() -> None:
    assert min(found_of_nothing("nothing", decay=1, seeds=2).values()) > 0.5 * 2 * N


def test_what_the_null_says_of_thresholds_is_what_unrelated_dictionaries_show() -> None:
    generator = torch.Generator().manual_seed(2)
    targets, sources = drawn(2000, generator), sources_of(generator)
    null = Null.of(targets, sources)
    for thresholds in (null.thresholds(0.1), replace(null.thresholds(0.1), mlp=0.3)):
        expected, found = null.shares(thresholds), shares(classify(predecessors(targets, sources), thresholds))
        for state in STATES:
            assert found[state] == pytest.approx(expected[state], abs=0.03)
    module = 1 - 0.9**2
    independent = {
        "translated": 0.1 * (1 - module),
        "processed": 0.1 * module,
        "newborn": 0.9 * module,
        "unexplained": 0.9 * (1 - module),
    }
    assert null.shares(null.thresholds(0.1)) == pytest.approx(independent, abs=0.01)


def test_a_direction_that_all_share_matches_unless_it_is_kept_in_the_null_or_taken_out() -> None:
    generator = torch.Generator().manual_seed(3)
    common = drawn(1, generator)
    targets, *rest = (directions(drawn(N, generator) + common) for _ in range(4))
    sources = Sources(*rest)

    def explained(t: Tensor, s: Sources, keep: Keep) -> float:
        thresholds = Null.of(t, s, keep=keep).thresholds(RATE)
        return 1 - shares(classify(predecessors(t, s), thresholds))["unexplained"]

    centred = Sources(*(directions(rows, centred=True) for rows in sources))
    assert explained(targets, sources, "nothing") > 0.9
    assert explained(targets, sources, "mean") < 0.08
    assert explained(targets, sources, "shape") < 0.08
    assert explained(directions(targets, centred=True), centred, "nothing") < 0.08


def test_the_null_depends_on_its_seed_alone() -> None:
    truth = planted(0)
    once, again, other = (Null.of(truth.targets, truth.sources, seed=seed).scores(MLP) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_a_rotation_keeps_angles_and_the_directions_it_is_told_to() -> None:
    generator = torch.Generator().manual_seed(0)
    kept = torch.randn(2, D, generator=generator)
    for turn in (rotation(D, generator), rotation(D, generator, kept)):
        torch.testing.assert_close(turn @ turn.T, torch.eye(D), atol=1e-5, rtol=0)
    torch.testing.assert_close(kept @ rotation(D, generator, kept), kept, atol=1e-4, rtol=0)
    assert not torch.allclose(kept @ rotation(D, generator), kept, atol=0.5)


def test_rotations_are_uniform() -> None:
    """Each direction is turned in each direction: mean 0, variance 1 / d, and as often reflected as not."""
    generator = torch.Generator().manual_seed(0)
    turns = torch.stack([rotation(4, generator) for _ in range(4000)])
    torch.testing.assert_close(turns.mean(0), torch.zeros(4, 4), atol=0.04, rtol=0)
    torch.testing.assert_close(turns.var(0), torch.full((4, 4), 0.25), atol=0.03, rtol=0)
    assert abs((torch.linalg.det(turns) > 0).double().mean() - 0.5) < 0.04


def test_a_reflection_keeps_mean_and_covariance_and_loses_the_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = directions(torch.randn(3000, 16, generator=generator) * torch.arange(1, 17) + 5 * torch.eye(16)[3])
    other = turned(rows, "shape", generator)
    torch.testing.assert_close(other.norm(dim=1), torch.ones(3000))
    torch.testing.assert_close(other.mean(0), rows.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(other.T.cov(), rows.T.cov(), atol=0.01, rtol=0)
    assert (rows * other).sum(1).median() < 0.6


def test_a_mean_of_nothing_can_be_kept() -> None:
    turn = rotation(6, torch.Generator().manual_seed(0), torch.zeros(1, 6))
    torch.testing.assert_close(turn @ turn.T, torch.eye(6), atol=1e-5, rtol=0)


def test_the_threshold_is_an_order_statistic_and_never_too_low() -> None:
    null = torch.arange(1.0, 100.0)  # 99 scores
    assert exceeded_by(null, 0.01) == 99
    assert exceeded_by(null, 0.1) == 90
    assert exceeded_by(null, 0.099) == 91


@pytest.mark.parametrize("rate", [0.005, 0.0, -1.0, 1.0])
def test_a_rate_that_the_scores_cannot_tell_is_refused(rate: float) -> None:
    with pytest.raises(CalibrationError, match="cannot be told from 99 scores"):
        exceeded_by(torch.arange(99.0), rate)


def test_the_states_are_the_papers() -> None:
    scores = torch.tensor([[0.9, 0.0, 0.0], [0.9, 0.9, 0.0], [0.9, 0.0, 0.9], [0.0, 0.9, 0.0], [0.0, 0.0, 0.9]])
    scores = torch.cat([scores, torch.full((1, 3), 0.5)])  # at the threshold is not above it
    found = Predecessors(*(Matches(s[:, None], torch.zeros(6, 1, dtype=torch.long), 1) for s in scores.unbind(1)))
    states = classify(found, Thresholds(0.5, 0.5, 0.5))
    words = ["translated", "processed", "processed", "newborn", "newborn", "unexplained"]
    assert [STATES[state] for state in states] == words
    assert shares(states) == {word: words.count(word) / 6 for word in STATES}


def test_a_second_training_tells_how_much_can_be_found_at_all() -> None:
    generator = torch.Generator().manual_seed(0)
    shared = drawn(300, generator)
    first = torch.cat([shared, drawn(100, generator)])
    second = torch.cat([directions(shared + 0.3 * drawn(300, generator)), drawn(50, generator)])
    level = seed_level(first, second, threshold=0.5)
    assert level.found == pytest.approx(0.75)
    assert list(level.quantiles) == sorted(level.quantiles)
    assert level.quantiles[QUANTILES.index(0.5)] == pytest.approx(1 / math.sqrt(1 + 0.3**2), abs=0.02)
