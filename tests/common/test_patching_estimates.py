"""Places of the nodes that matter by hand; random halves and the bound where effects add up and are known."""

from __future__ import annotations

import pytest
import torch

from reproductions.common.patching_estimates import bound, by_halves, checks, halves, recall


def test_checks_and_recall_by_hand():
    true = torch.tensor([5.0, -4.0, 1.0, 0.5, 0.1, 0.0, 0.2, 0.3])
    estimate = torch.tensor([3.0, 0.1, -2.0, 1.0, 0.0, 0.05, 0.2, 0.3])
    assert recall(true, estimate, 2) == pytest.approx(0.5 - 2 / 8)
    assert checks(true, estimate, 2) == pytest.approx(torch.tensor(6 / 2).log2().item())
    assert checks(true, true, 2) == 0


def test_random_halves_find_effects_that_add_up():
    effects, member = torch.randn(30, generator=torch.Generator().manual_seed(0)), halves(30, 4000, 0)
    torch.testing.assert_close(by_halves(member, member.float() @ effects), effects, atol=0.25, rtol=0)


def test_only_nodes_that_are_left_are_in_random_halves():
    left = torch.arange(20) >= 5
    member = halves(20, 200, 0, left)
    assert not member[:, :5].any() and (member[:, 5:].float().mean(0) - 0.5).abs().max() < 0.15


@pytest.mark.parametrize("strong", [0.0, 3.0, 30.0])
def test_the_bound_is_exceeded_by_no_more_than_one_in_twenty_where_effects_add_up(strong):
    exceeded = 0
    for seed in range(400):
        effects = torch.randn(60, generator=torch.Generator().manual_seed(seed))
        effects[0] = strong
        exceeded += bound(halves(60, 48, seed + 1000).float() @ effects) < effects.abs().max()
    assert exceeded <= 400 * 0.05


def test_a_bound_without_its_confidence_is_caught_by_one_dominant_node():
    effects = torch.zeros(60)
    effects[0] = 1.0
    spread = [2 * (halves(60, 48, seed).float() @ effects).std(correction=0) for seed in range(200)]
    assert sum(value < 1 for value in spread) > 20  # the bound must be wider than the spread alone
