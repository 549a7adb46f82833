"""From hits to metrics, on planted hits whose numbers are known."""

import math
from dataclasses import replace

import pytest
import torch

from reproductions.common.encoding import decode, encode
from reproductions.common.explorers import check
from reproductions.head_mapping import findings
from reproductions.head_mapping.ablation import Control
from reproductions.head_mapping.choosing import Chosen
from reproductions.head_mapping.dynamic import DynamicHits
from reproductions.head_mapping.findings import Scores, agreement, dealt, spearman_nonzero
from reproductions.head_mapping.method import Hits
from reproductions.head_mapping.multi_token import MultiToken
from reproductions.head_mapping.reading import CANDIDATES
from reproductions.head_mapping.salient import Describability, Operation
from tests.head_mapping.test_ablation import made
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


BOTH = [True, True]


def test_what_agrees_wholly_correlates_wholly(scores):
    found = by_name(findings.agreement_metrics(scores, BOTH))
    assert found["r_promoted_without_context"].value == pytest.approx(1.0)
    assert found["r_suppressed_without_context"].value == pytest.approx(1.0)
    assert found["rho_promoted_without_context"].value == pytest.approx(1.0)
    assert found["r_promoted_without_context_across_templates"].value == pytest.approx(1.0)
    assert found["r_promoted_without_context_shuffled"].value < 0.3
    assert 0.8 < found["r_held_out"].value < 1.0  # the halves differ, so it is not perfect
    assert len(found["r_held_out"].per_seed) == 3


def test_a_map_that_does_not_vary_has_no_correlation_and_is_not_counted(scores):
    found = by_name(findings.agreement_metrics(scores, BOTH))
    for name in ("r_promoted_with_context", "r_promoted_with_context_shuffled", "context_cost"):
        assert math.isnan(found[name].value)
        assert found[name].n == 0


def test_relations_that_chose_the_reading_are_left_out(scores):
    whole, part = (by_name(findings.agreement_metrics(scores, counted)) for counted in (BOTH, [False, True]))
    for name, metric in part.items():
        assert math.isnan(metric.units[0])
        assert metric.units[1:] == pytest.approx(whole[name].units[1:], nan_ok=True)


def test_every_condition_has_a_null_of_its_own(scores):
    """Shuffled targets that are suppressed exactly where the true ones are promoted: only one null can see it."""
    crossed = replace(scores, shuffled=(Hits(scores.shuffled[0].promoted, scores.static.suppressed),) * 3)
    found = by_name(findings.agreement_metrics(crossed, BOTH))
    assert found["r_suppressed_without_context_shuffled"].value == pytest.approx(1.0)
    assert found["r_promoted_without_context_shuffled"].value < 0.3


def test_sentences_that_disagree_do_not_predict_each_other(scores):
    other = planted(scores.pairs, {(0, 0, 0): 0.9, (1, 1, 2): 0.9}, seed=5)
    mixed = (scores.dynamic[0], replace(scores.dynamic[0], without_context=Hits(other, other)))
    found = by_name(findings.agreement_metrics(replace(scores, dynamic=mixed), BOTH))
    assert found["r_promoted_without_context_across_templates"].value < 0.2


def test_a_static_map_that_says_nothing_counts_as_no_agreement():
    dynamic = torch.tensor([[[[0.0, 0.2], [0.4, 0.9]]]])
    assert agreement(torch.zeros(1, 2, 2), dynamic) == [0.0]
    assert math.isnan(agreement(dynamic[0], torch.zeros(1, 1, 2, 2))[0])


def test_readings_are_compared_relation_by_relation(scores):
    nothing = Hits(torch.zeros_like(scores.static.promoted), scores.static.suppressed)
    found = by_name(findings.reading_metrics(scores, replace(scores, static=nothing), scores.static, BOTH))
    assert found["r_paper_reading"].value == 0.0
    assert found["r_embedding"].value == pytest.approx(1.0)
    assert found["mlp_gain"].value == pytest.approx(-1.0)
    assert found["reading_gain"].value == pytest.approx(1.0)


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
    assert found["heads_per_relation_shuffled"].value == 0.0


def test_dealing_anew_keeps_how_many_heads_of_each_layer_a_relation_has():
    implements = torch.rand(20, 4, 9, generator=torch.Generator().manual_seed(0)) < 0.2
    other = dealt(implements, seed=1)
    assert torch.equal(other.sum(2), implements.sum(2))
    assert not torch.equal(other, implements)


def test_heads_that_share_relations_by_design_do_so_more_than_when_dealt_anew(scores):
    implements = torch.zeros(12, 2, 9, dtype=torch.bool)
    implements[:, 1, 4] = True  # one head for all
    counts = [findings._carries_two(dealt(implements, seed)).double().mean() for seed in range(20)]
    assert findings._carries_two(implements).all()
    assert max(counts) < 1.0


def test_groups_of_one_cannot_be_compared(scores):
    found = by_name(findings.group_metrics(scores, group_size=1))
    assert found["group_difference"].n == 0


def test_ablation_metrics_average_seeds_within_a_relation_and_then_relations():
    a = made("a", base=1.0, curve=(0.2,), random=((1.0,), (0.8,)), controls=(Control(0.1, 0.0, 1.0),))
    b = made("b", base=1.0, curve=(0.6,), random=((1.0,), (0.8,)))
    found = by_name(findings.ablation_metrics([[a, b], [replace(a, curve=(0.4,))]], ["b", "none", "a"]))
    assert found["ablation_drop"].units == pytest.approx((0.4, math.nan, 0.7), nan_ok=True)
    assert found["ablation_drop"].per_seed == (pytest.approx(0.6), pytest.approx(0.6))
    assert found["ablation_drop_random"].value == pytest.approx(0.1)
    assert found["ablation_drop_all"].value == pytest.approx(1.0)
    assert found["ablation_nats"].value == pytest.approx(2.5)
    assert found["control_task_gap"].n == 1  # relation b had no control task
    assert found["control_task_gap"].value == pytest.approx(0.7 - 0.1)
    assert found["control_task_nats"].value == pytest.approx(2.0)


def test_salience_metrics_compare_layers():
    """Six layers of two heads, all of the upper half described, and relation 0 in its last head."""
    places = [(layer, head) for layer in range(6) for head in range(2)]
    tokens = torch.zeros(15, dtype=torch.long)
    operations = [Operation(layer, head, tokens, tokens[:, None]) for layer, head in places]
    described = torch.tensor([layer >= 3 for layer, _ in places])
    rules = torch.tensor([0.1 * layer for layer, _ in places])
    scores = torch.stack([rules, rules, rules], dim=1)
    phi = torch.zeros(1, 6, 2)
    phi[0, 5, 1] = 0.4
    found = by_name(
        findings.salience_metrics(
            Describability(operations, scores, described, torch.zeros(12, dtype=torch.bool)), [0.2, 0.4], 6, phi
        )
    )
    assert (found["describable_upper"].value, found["describable_upper"].n) == (1.0, 6)
    assert (found["describable_early"].value, found["describable_early"].n) == (0.0, 4)
    assert found["describable_gap"].value == 1.0
    assert found["describable_permuted"].value == 0.0
    assert found["rule_gap"].value == pytest.approx(0.4 - 0.05)
    assert found["rules_of_relation_heads"].value == pytest.approx(0.5)
    assert found["saliency_gain"].value == pytest.approx(0.3)


@pytest.mark.parametrize(
    "result",
    [
        [made(controls=(Control(0.1, 0.2, 0.3),))],
        Chosen(CANDIDATES[3], (True, False), CANDIDATES, ((0.1, 0.2),) * len(CANDIDATES)),
        [MultiToken("r", 9, 0.5, 0.4, 0.1, 0.3, 0.2)],
    ],
)
def test_what_the_expensive_steps_find_can_be_kept(result):
    assert decode(*encode(result, "a result")) == result


def test_the_explorer_holds_every_score_and_some_pairs(scores):
    relations = {name: _titled(name) for name in scores.pairs.names}
    decode = [word_tokenizer().decode([token]) for token in range(1300)]
    data = check("grid", findings.explorer(scores, relations, decode))
    first = data["items"][0]
    assert (data["rows"]["names"], data["columns"]["names"]) == ([0, 1, 2, 3], [0, 1, 2])
    assert first["values"]["static"][3][0] == pytest.approx(float(scores.phi()[0, 3, 0]), abs=1e-3)
    assert len(first["examples"]) == 8
    source, target = first["examples"][0].split(" → ")
    assert source == target


def _titled(name):
    from reproductions.head_mapping.relations import Relation

    return Relation(name, name, "algorithmic", "{}", (), 1, "-", "-", ())
