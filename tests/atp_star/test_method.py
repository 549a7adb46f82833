"""Estimates against finite differences and brute force, and where the answer is known; wrong versions are caught."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from picks.environment import ROOT
from reproductions.atp_star import method
from reproductions.atp_star.method import (
    ATTENTION,
    KEYS,
    KINDS,
    PATTERN,
    QUERIES,
    Found,
    Plan,
    Score,
    cancelling,
    checks,
    estimates,
    first_order,
    halves,
    nodes_of,
    pattern_changes,
    qk_fixed,
    saturated,
    slopes,
    true_effects,
)
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.patching import HEADS, MLPS, Node, Patching, Recorded, Replaced, Run
from reproductions.common.patching_cost import Cost
from reproductions.common.prompt_pairs import Pair, Texts
from reproductions.common.questions import Question
from tests.common.tiny_bridge import LAYERS, random_pair, tiny_llama

STEP = 1e-2  # norms compute in single precision


@pytest.fixture(scope="module")
def patching(model):
    return of_texts(model)


def of_texts(model):
    return Patching(model, *random_pair(9, 4), method.POINTS)


answer = Question(torch.tensor([3]), torch.tensor([7, 9]))


def runs(patching):
    return patching, patching.clean, patching.corrupted


def alone(nodes):
    return [[node] for node in nodes]


# Nodes and true effects


def test_nodes_are_queries_keys_and_outputs_and_at_positions_as_many_times(patching):
    nodes = nodes_of(patching)
    assert len(nodes) == LAYERS * (2 + 1 + 2 + 1) == len(set(nodes))
    assert len(nodes_of(patching, apart=True)) == len(nodes) * len(patching.clean.x)


def test_patching_a_node_with_itself_changes_nothing(patching):
    nodes = nodes_of(patching)
    same = patching, patching.clean, patching.clean
    torch.testing.assert_close(true_effects(*same, answer, alone(nodes)), torch.zeros(len(nodes)), atol=1e-4, rtol=0)
    for values in estimates(*same, answer, nodes, range(LAYERS)).values():
        torch.testing.assert_close(values, torch.zeros(len(nodes)), atol=1e-4, rtol=0)


# AtP


def near(base, donor, step):
    return Run(
        base.states, {name: base.values[name] + step * (donor.values[name] - base.values[name]) for name in base.values}
    )


@pytest.mark.parametrize("apart", [False, True])
def test_atp_is_the_slope_of_true_effects(patching, apart):
    nodes, (_, base, donor) = nodes_of(patching, apart), runs(patching)
    found = first_order(base, donor, slopes(patching, base, answer), nodes)[:, 0]
    moved = [true_effects(patching, base, near(base, donor, step), answer, alone(nodes)) for step in (STEP, -STEP)]
    torch.testing.assert_close(found, (moved[0] - moved[1]) / (2 * STEP), rtol=2e-2, atol=4e-3)


# QK fix


def by_head(patching, node):
    """p' - p when one head's query, or one group's key, is patched alone, in a whole pass."""
    name = f"blocks.{node.layer}.{PATTERN}"
    with Replaced(patching.model, patching.corrupted, [(0, node)]), Recorded(patching.model, [name]) as found:
        patching.blocks.run(patching.clean.x[None], 0, len(patching.blocks))
    return found.values[name][0] - patching.clean.values[name]


@pytest.mark.parametrize(
    "node", [Node(1, QUERIES, 1), Node(2, KEYS, 0), Node(0, QUERIES, 0, 3), Node(1, KEYS, 0, 1)], ids=str
)
def test_the_fix_is_the_slope_along_the_change_of_the_softmax_that_one_node_makes(patching, node):
    gradients = slopes(patching, patching.clean, answer)
    by_hand = (by_head(patching, node) * gradients[f"blocks.{node.layer}.{PATTERN}"][0]).sum()
    torch.testing.assert_close(qk_fixed(*runs(patching), gradients, [node])[0, 0], by_hand, rtol=1e-3, atol=1e-4)


def test_other_heads_patterns_stay_as_they_are(patching):
    change = by_head(patching, Node(1, QUERIES, 1))
    assert change[0].abs().max() < 1e-5 < change[1].abs().max()
    whole = pattern_changes(*runs(patching), [Node(1, QUERIES, 1)])[Node(1, QUERIES)]
    torch.testing.assert_close(whole[1], change[1])


@pytest.fixture
def linear(tmp_path):
    """A model of which nothing but the last layer's softmax is between its last queries and keys and the answer."""
    model = tiny_llama(tmp_path)
    with torch.no_grad():
        model.original_model.base_model.layers[-1].mlp.down_proj.weight.zero_()
        model.original_model.base_model.layers[-1].self_attn.q_proj.weight.mul_(8)  # and that is saturated
    return of_texts(model)


def first(patching, states):
    return states[..., -1, 0]


def of_last(patching, kinds, apart=False):
    return [node for node in nodes_of(patching, apart) if node.layer == LAYERS - 1 and node.point in kinds]


def test_the_fix_is_exact_where_all_behind_the_softmax_is_linear_and_atp_is_not(linear):
    nodes = of_last(linear, (QUERIES, KEYS), apart=True)
    true = true_effects(*runs(linear), first, alone(nodes))
    found = estimates(*runs(linear), first, nodes, range(LAYERS))
    assert true.abs().max() > 0.1
    torch.testing.assert_close(found["qk"], true, atol=1e-4, rtol=1e-3)
    assert (found["atp"] - true).abs().max() > 0.1


def test_outputs_of_the_last_layer_are_attributed_exactly_where_all_behind_them_is_linear(linear):
    nodes = of_last(linear, (HEADS, MLPS))
    found = first_order(*runs(linear)[1:], slopes(linear, linear.clean, first), nodes)[:, 0]
    torch.testing.assert_close(found, true_effects(*runs(linear), first, alone(nodes)), atol=1e-4, rtol=1e-3)


def test_a_saturated_softmax_hides_an_effect_from_atp_alone():
    gap = torch.tensor([2.0, 6.0, 10.0, 14.0])
    case = saturated(gap, -2 * gap, torch.ones(4))
    share = (case["atp"] / case["true"]).abs()
    assert (share.diff() < 0).all() and share[-1] < 0.05
    torch.testing.assert_close(case["qk"], case["true"])


# GradDrop


def frozen(patching, layer):
    """What a run would be whose layer adds what it adds now, whatever it reads."""
    base, given = patching.clean, {}
    for point in (ATTENTION, MLPS):
        with Recorded(patching.model, [f"blocks.{layer}.{point}"]) as found:
            patching.run(base.x)
        given[f"blocks.{layer}.{point}"] = found.values[f"blocks.{layer}.{point}"][0]
    return [(name, lambda _, hook, kept=kept: kept[None].clone()) for name, kept in given.items()]


@pytest.mark.parametrize("dropped", range(LAYERS))
def test_a_dropped_layer_is_one_that_adds_what_it_adds_whatever_it_reads(patching, dropped):
    nodes = [Node(layer, HEADS, 0) for layer in range(LAYERS) if layer != dropped]
    _, base, donor = runs(patching)
    found = first_order(base, donor, slopes(patching, base, answer, [dropped]), nodes)[:, 1]
    with patching.model.hooks(fwd_hooks=frozen(patching, dropped)):
        moved = [
            torch.stack([true_effects(patching, base, near(base, donor, step), answer, [[node]])[0] for node in nodes])
            for step in (STEP, -STEP)
        ]
    torch.testing.assert_close(found, (moved[0] - moved[1]) / (2 * STEP), rtol=2e-2, atol=4e-3)


def test_nodes_of_a_dropped_layer_have_no_gradient_and_the_mean_is_over_the_others(patching):
    nodes, (_, base, donor) = nodes_of(patching), runs(patching)
    gradients = slopes(patching, base, answer, range(LAYERS))
    each = first_order(base, donor, gradients, nodes)
    fixed = qk_fixed(patching, base, donor, gradients, [node for node in nodes if node.point in (QUERIES, KEYS)])
    own = [place for place, node in enumerate(nodes) if node.point in (QUERIES, KEYS)]
    each[own] = fixed
    for place, node in enumerate(nodes):
        assert each[place, 1 + node.layer].abs() < 1e-6
    found = estimates(*runs(patching), answer, nodes, range(LAYERS))
    torch.testing.assert_close(found["star"], each[:, 1:].abs().sum(1) / (LAYERS - 1))
    torch.testing.assert_close(each[:, 0], found["qk"])


def test_an_effect_that_a_later_layer_undoes_is_seen_by_graddrop_alone():
    case = cancelling(torch.tensor([2.0]), 30, torch.tensor([0.001]))
    assert case["true"].item() == pytest.approx(1, abs=0.01)
    assert case["atp"].abs().item() < 0.01
    assert case["star"].item() == pytest.approx(2 / 29, rel=0.1)


def test_constructed_worlds_need_fewer_checks():
    for toy in (method.saturation_toy(), method.cancellation_toy()):
        assert sum(value > 0 for value in toy) > 18


# Random halves


def test_joint_effects_are_those_of_all_nodes_of_a_half(patching):
    nodes = nodes_of(patching)
    member = halves(len(nodes), 3, 0)
    patches = [[node for node, own in zip(nodes, row, strict=True) if own] for row in member]
    by_hand = torch.cat([true_effects(*runs(patching), answer, [patch]) for patch in patches])
    found = true_effects(*runs(patching), answer, method.by_members(nodes, member))
    torch.testing.assert_close(found, by_hand, atol=1e-4, rtol=1e-4)


# Scores, verdicts, planted faults


def made_up(seed, wrong=False):
    """A pair whose AtP is close to the truth but for some queries and keys, which the fix mends; or all of it dealt."""
    random = torch.Generator().manual_seed(seed)
    n, layers = 240, 4
    places = torch.stack([torch.arange(n) % layers, torch.arange(n) // layers % 4, torch.arange(n) // (4 * layers)], 1)
    true = torch.randn(n, generator=random) ** 3
    close = true * (1 + 0.1 * torch.randn(n, generator=random))
    saturated_ones = (places[:, 1] < 2) & (torch.rand(n, generator=random) < 0.3)
    atp = torch.where(saturated_ones, close * 0.01, close)
    halves, other = true + 9 * torch.randn(n, generator=random), torch.randn(n, generator=random)
    named = {"atp": atp, "qk": close, "star": close.abs(), "halves": halves, "other 0": other, "other 1": other.roll(1)}
    if wrong:
        named = {name: values[torch.randperm(n, generator=random)] for name, values in named.items()}
    seconds = dict.fromkeys(("true", "atp", "star", "halves"), 1.0)
    return Found("capitals", places, true, named, seconds, seed, (20.0, 40.0), (1.0, 30.0))


COSTS = [Cost(10, 1.0, 20.0, 5.0, 10.0)]


PLANTED = ("recall_atp", "slope", "sign", "rank", "rival", "qk_saved", "qk_closer", "short_saved", "star_saved")
CONTROLS = ("recall_atp_dealt", "slope_other", "sign_other", "qk_saved_dealt", "qk_closer_dealt", "short_saved_dealt")


def by_name(found, apart=(), top=10):
    return {metric.name: metric for metric in method.metrics(found, apart, top, COSTS)}


def test_what_was_planted_is_found_and_its_controls_are_not():
    found = by_name([made_up(seed) for seed in range(20)])
    for name in PLANTED:
        assert found[name].interval[0] > 0, name
    for name in (
        "recall_atp_dealt",
        "slope_other",
        "sign_other",
        "qk_saved_dealt",
        "qk_closer_dealt",
        "short_saved_dealt",
    ):
        assert found[name].interval[0] <= 0.05, name


def test_estimates_of_the_wrong_nodes_find_nothing():
    found = by_name([made_up(seed, wrong=True) for seed in range(20)])
    assert sum(found[name].interval[0] > 0 for name in PLANTED) <= 1  # of nine intervals at 95 %


def test_metrics_are_those_that_are_declared_and_nothing_is_left_out(monkeypatch):

    declared = load_claims(ROOT / "reproductions/atp_star/reproduction.yml").metrics
    assert set(by_name([made_up(0)])) <= set(declared)


def test_bounds_are_counted_against_what_was_missed():
    pairs = [made_up(0), replace(made_up(1), bounds=(0.5, 1.0))]
    found = by_name(pairs)
    assert found["bound_exceeded"].value == 0.5
    assert found["bound_wide"].units == pytest.approx((torch.tensor(20.0).log2().item(), -1.0), rel=1e-4)


def test_single_positions_are_told_apart_and_missing_where_there_are_none():
    pairs = [made_up(seed) for seed in range(3)]
    assert by_name(pairs)["qk_saved_apart"].n == 0
    assert by_name(pairs, pairs)["qk_saved_apart"].units == by_name(pairs)["qk_saved"].units


def test_a_dealt_estimate_has_the_changes_of_its_kind_and_not_at_their_nodes():
    one = made_up(0)
    found = Score(one, "all", 10).dealt("qk", "atp")
    for kind in range(len(KINDS)):
        own = one.places[:, 1] == kind
        moved, really = ((values - one.estimates["atp"])[own] for values in (found, one.estimates["qk"]))
        torch.testing.assert_close(moved.sort().values, really.sort().values, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, one.estimates["qk"])


def test_a_pair_is_measured_whole_and_at_single_positions(model, monkeypatch):
    monkeypatch.setattr(
        method, "other_questions", lambda model, family: [Question(torch.tensor([1]), torch.tensor([2]))] * 2
    )
    pair = Pair(Texts("a", "b", ("c",), ("d",)), *random_pair(9, 6), torch.tensor([3]), torch.tensor([7]))
    plan = Plan.of(model, halves=8, checked=10, dropped=2, seed=0)
    assert len(plan.layers) == 2 and len(Plan.of(model, 8, 10, 0, 0).layers) == LAYERS
    found, apart = (method.measure(model, "capitals", pair, plan, apart=single) for single in (False, True))
    assert len(apart.true) == 3 * len(found.true) and not apart.bounds
    assert set(by_name([found], [apart], top=3))
    assert Score(found, "attention", 3).of(checks, found.true) == 0
    assert explorers.text("grid", method.grid([found]))
    assert len(method.draw([found], 3, COSTS).axes) == len(method.draw_cases().axes) == 2
    assert method.by_family([found], 3)[0][:2] == ("capitals", "1")
    assert method.cost(model, pair).patches == len(found.true)
