"""Likeness inside and across groups, on planted similarities."""

import math

import pytest
import torch

from reproductions.common.stats import mean_interval, nan_mean
from reproductions.head_mapping.groups import (
    group_similarity,
    overlap_similarity,
    relation_similarity,
    self_differences,
    weight_similarity,
)
from reproductions.head_mapping.method import Heads
from tests.head_mapping.tiny import tiny_llama


def planted(n_layers: int = 8, noise: float = 0.0) -> torch.Tensor:
    """phi [R, L, H] of four heads: 0 and 1 implement relation 0, 2 and 3 relation 1."""
    phi = torch.zeros(2, n_layers, 4)
    phi[0, :, :2] = 0.8
    phi[1, :, 2:] = 0.6
    return phi + noise * torch.rand(phi.shape, generator=torch.Generator().manual_seed(0))


def test_planted_groups_are_found():
    found = group_similarity(relation_similarity(planted(noise=0.1)), group_size=2)
    assert found.within > 0.98
    assert found.between < 0.5
    assert mean_interval(found.differences)[0] > 0.5
    assert found.p_value < 0.01


def test_random_scores_show_no_groups():
    phi = torch.rand(5, 12, 4, generator=torch.Generator().manual_seed(1))
    found = group_similarity(relation_similarity(phi), group_size=2)
    assert found.p_value > 0.05
    low, high = mean_interval(found.differences)
    assert low < 0 < high


def test_silent_heads_and_layers_without_both_kinds_do_not_count():
    phi = planted(n_layers=3)
    phi[:, 0] = 0.0
    phi[:, 1, 2:] = 0.0  # only one group speaks: no pair across groups
    found = group_similarity(relation_similarity(phi), group_size=2, permutations=10)
    assert found.n_layers == 1
    assert nan_mean(found.differences) == pytest.approx(1.0)
    assert [math.isnan(value) for value in found.differences] == [True, True, False]


@pytest.mark.parametrize("group_size", [1, 4])
def test_a_model_without_two_real_groups_cannot_be_tested(group_size):
    found = group_similarity(relation_similarity(planted()), group_size)
    assert found.n_layers == 0
    assert math.isnan(nan_mean(found.differences))
    assert math.isnan(found.p_value)


def test_weight_similarity_is_the_cosine_of_the_whole_matrices():
    heads = Heads.of(tiny_llama())
    a, b = heads.W_VO(1, 0).flatten(), heads.W_VO(1, 3).flatten()
    expected = torch.nn.functional.cosine_similarity(a, b, dim=0)
    torch.testing.assert_close(weight_similarity(heads)[1, 0, 3], expected, atol=1e-5, rtol=1e-4)


def test_overlap_is_the_share_of_relations_that_both_score_on():
    phi = torch.tensor([[0.5, 0.1, 0.0], [0.2, 0.0, 0.0], [0.0, 0.3, 0.0]])[:, None]  # [R=3, L=1, H=3]
    found = overlap_similarity(phi)[0]
    assert found[0, 1] == pytest.approx(1 / 3)
    assert found[0, 2] == 0.0
    assert math.isnan(found[2, 2])


def test_a_head_is_like_itself_in_a_second_measurement_and_a_shuffled_one_is_not():
    first = torch.rand(6, 9, 4, generator=torch.Generator().manual_seed(0))
    again = first + 0.01 * torch.rand(first.shape, generator=torch.Generator().manual_seed(1))
    assert mean_interval(self_differences(first, again))[0] > 0
    others = torch.rand(6, 9, 4, generator=torch.Generator().manual_seed(2))
    assert abs(nan_mean(self_differences(first, others))) < 0.05
