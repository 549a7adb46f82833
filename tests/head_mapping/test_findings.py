"""From hits to metrics, on planted hits whose numbers are known."""

import math
from dataclasses import replace

import pytest
import torch

from reproductions.head_mapping import findings
from reproductions.head_mapping.ablation import Ablation
from reproductions.head_mapping.dynamic import DynamicHits
from reproductions.head_mapping.findings import Scores, agreement, spearman_nonzero
from reproductions.head_mapping.method import Hits
from tests.head_mapping.test_method import random_pairs
from tests.head_mapping.tiny import word_tokenizer

SHAPE = (4, 3)  # layers, heads


def planted(pairs, strength: dict[tuple[int, int, int], float], seed: int = 0) -> torch.Tensor:
    """Hits [N, L, H]: (relation, layer, head) -> the chance of a hit; 0 elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    hits = torch.zeros(len(pairs), *SHAPE, dtype=torch.bool)
    for (relation, layer, head), chance in strength.items():
        rows = pairs.relation == relation
        hits[rows, layer, head] = torch.rand(int(rows.sum()), generator=generator) < chance
    return hits


STRENGTH = {(0, 3, 0): 0.9, (0, 2, 1): 0.5, (1, 3, 0): 0.8, (1, 0, 2): 0.3}


@pytest.fixture
def scores() -> Scores:
    """The model does what its parameters say, and the null is empty but for one chance hit in an early layer."""
    pairs = random_pairs(80)
    static = planted(pairs, STRENGTH)
    none = torch.zeros_like(static)
    chance = none.clone()
    chance[0, 1, 1] = True
    same = Hits(static, static)
    return Scores(pairs, (0, 1, 2), same, (Hits(chance, none),) * 3, (DynamicHits(Hits(none, none), same),) * 2)


def by_name(metrics):
    return {metric.name: metric for metric in metrics}


def test_what_agrees_wholly_correlates_wholly(scores):
    found = by_name(findings.agreement_metrics(scores))
    assert found["r_promoted_without_context"].value == pytest.approx(1.0)
    assert found["r_suppressed_without_context"].value == pytest.approx(1.0)
    assert found["rho_nonzero"].value == pytest.approx(1.0)
    assert found["r_shuffled"].value < 0.3
    assert 0.8 < found["r_held_out"].value < 1.0  # the halves differ, so it is not perfect
    assert len(found["r_held_out"].per_seed) == 3


def test_a_map_that_does_not_vary_has_no_correlation_and_is_not_counted(scores):
    found = by_name(findings.agreement_metrics(scores))
    assert math.isnan(found["r_promoted_with_context"].value)
    assert found["r_promoted_with_context"].n == 0


def test_a_static_map_that_says_nothing_counts_as_no_agreement():
    dynamic = torch.tensor([[[[0.0, 0.2], [0.4, 0.9]]]])
    assert agreement(torch.zeros(1, 2, 2), dynamic) == [0.0]
    assert math.isnan(agreement(dynamic[0], torch.zeros(1, 1, 2, 2))[0])


def test_the_first_mlp_gains_what_its_reading_agrees_better(scores):
    nothing = Hits(torch.zeros_like(scores.static.promoted), scores.static.suppressed)
    found = by_name(findings.reading_metrics(scores, {"embedding": nothing, "sum": scores.static}))
    assert found["r_sum"].value == pytest.approx(1.0)
    assert found["r_embedding"].value == 0.0
    assert found["mlp_gain"].value == pytest.approx(1.0)


def test_agreement_repeats_the_static_map_for_each_template():
    static = torch.tensor([[[0.0, 0.2], [0.4, 0.9]]])
    dynamic = torch.stack([static, 1 - static])
    assert agreement(static, dynamic) == [pytest.approx(0.0, abs=1e-6)]
    assert agreement(static, dynamic[:1]) == [pytest.approx(1.0)]


def test_rank_correlation_leaves_out_heads_that_are_zero_both_ways():
    static = torch.tensor([0.0] * 50 + [0.1, 0.2, 0.3]).numpy()
    dynamic = torch.tensor([0.0] * 50 + [0.3, 0.2, 0.1]).numpy()
    assert spearman_nonzero(static, dynamic) == pytest.approx(-1.0)


def test_layout_counts_heads_and_relations(scores):
    found = by_name(findings.layout_metrics(scores))
    # heads that implement something: (3, 0) two relations, (2, 1) one, (0, 2) one; layers 2 and 3 are the upper half
    assert found["upper_share"].value == pytest.approx(2 / 3)
    assert found["upper_share"].n == 3
    assert found["upper_share_chance"].value == 0.0
    assert found["multi_relation_share"].value == pytest.approx(1 / 3)
    assert found["heads_per_relation"].value == 2.0
    assert found["relations_per_head"].value == pytest.approx(4 / 3)
    assert found["heads_per_relation_shuffled"].value == 0.0


def test_groups_of_one_cannot_be_compared(scores):
    found = by_name(findings.group_metrics(scores, group_size=1))
    assert found["group_difference"].n == 0


def test_ablation_metrics_average_seeds_within_a_relation_and_then_relations():
    made = Ablation("a", 10, ((0, 0),), 1.0, (1,), (0.2,), ((1.0,), (0.8,)), (0.1, 0.3))
    other = replace(made, relation="b", curve=(0.6,), control_drops=())
    found = by_name(findings.ablation_metrics([[made, other], [replace(made, curve=(0.4,))]]))
    assert found["ablation_drop"].value == pytest.approx((0.7 + 0.4) / 2)
    assert found["ablation_drop"].per_seed == (pytest.approx(0.6), pytest.approx(0.6))
    assert found["ablation_drop_random"].value == pytest.approx(0.1)
    assert found["ablation_gap"].value == pytest.approx(0.45)
    assert found["control_task_gap"].n == 1  # relation b had no control task
    assert found["control_task_gap"].value == pytest.approx(0.7 - 0.2)


def test_salience_metrics_compare_layers():
    described = torch.zeros(2, 6, 2, dtype=torch.bool)
    described[:, 3:] = True
    found = by_name(findings.salience_metrics(described, torch.zeros_like(described)))
    assert found["describable_upper"].value == 1.0
    assert found["describable_gap"].value == 1.0
    assert found["describable_gap"].interval == (1.0, 1.0)
    assert found["describable_permuted"].value == 0.0


def test_the_explorer_holds_every_score_and_some_pairs(scores):
    relations = {name: _titled(name) for name in scores.pairs.names}
    decode = [word_tokenizer().decode([token]) for token in range(1300)]
    data = findings.explorer(scores, relations, decode)
    first = data["relations"][0]
    assert data["shape"] == {"layers": 4, "heads": 3}
    assert first["static"][3][0] == pytest.approx(float(scores.phi()[0, 3, 0]), abs=1e-3)
    assert len(first["examples"]) == 8
    assert first["examples"][0][0] == first["examples"][0][1]


def _titled(name):
    from reproductions.head_mapping.relations import Relation

    return Relation(name, name, "algorithmic", "{}", (), 1, "-", "-", ())
