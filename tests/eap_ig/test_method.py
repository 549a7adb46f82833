"""EAP and EAP-IG on tiny random models: against the parts they are made of, and with faults planted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from reproductions.common.answer_metrics import kl
from reproductions.common.edges import Edges, Graph, greedy
from reproductions.common.prompt_pairs import Pair, Texts
from reproductions.eap_ig import method
from reproductions.eap_ig.method import Settings, Task
from tests.common.tiny_bridge import random_pair

BEGIN, LENGTH = 3, 6
SETTINGS = Settings(scored=2, held=3, steps=4, sizes=[50, 200, 600], exact=1, deals=2)
COSTS = {"seconds_eap": 1.0, "seconds_ig": 2.0, "seconds_each": 100.0, "seconds_run": 0.1}


def made_pair(seed):
    return Pair(Texts("", "", (), ()), *random_pair(LENGTH, BEGIN, seed), torch.tensor([3]), torch.tensor([7, 8]))


@pytest.fixture
def some():
    return [made_pair(seed) for seed in range(10)]


@pytest.fixture
def found(model, some, monkeypatch):
    monkeypatch.setattr(method, "pairs", lambda model, task, n, seed=0: some[:n])
    return method.measure(model, "agreement", SETTINGS)


@pytest.fixture
def one(model, some):
    """The first deal."""
    return method.deal(model, "agreement", some[:5], SETTINGS, torch.Generator().manual_seed(0))


def test_scores_are_means_over_pairs_of_gradients_at_the_right_points(model, some):
    found = method.score(model, "capitals", some[:2], steps=4)
    each = []
    for pair in some[:2]:
        edges = Edges(model, pair.clean, pair.corrupted)
        clean = edges.logits(edges.clean.inputs[-1, -1])
        points = {"eap": edges.clean.sources[:1], "ig": edges.between(4)[:4], "kl": edges.between(4)[:4]}
        losses = {"ig": lambda logits, p=pair: logits[..., 3] - logits[..., p.wrong].logsumexp(-1)}
        losses |= {"eap": losses["ig"], "kl": lambda logits, clean=clean: kl(logits, clean)}
        each.append({k: edges.scores(next(iter(edges.gradients(x, [losses[k]]))).mean(0)) for k, x in points.items()})
    for name in method.METHODS:
        torch.testing.assert_close(found.scores[name], (each[0][name] + each[1][name]) / 2)
    torch.testing.assert_close(found.sums["ig"], torch.stack([own["ig"][0].sum() for own in each]))
    assert not torch.allclose(found.scores["eap"], found.scores["ig"])


def test_ig_adds_up_and_kl_at_the_clean_run_is_nothing(model, some):
    fine, coarse = (method.score(model, "agreement", some, steps) for steps in (256, 4))
    error = [(found.sums["ig"] - found.true).abs().sum() for found in (fine, coarse)]
    assert error[0] < 0.1 * fine.true.abs().sum() and error[0] < 0.3 * error[1]
    assert fine.degenerate.max() < 1e-4


def test_circuits_are_those_of_the_search_and_what_is_left_of_them(model, one):
    graph = Graph.of(model)
    circuits = method.chosen(graph, one.scored, one.edges)
    assert circuits["ig"].sum((1, 2)).tolist() == one.edges
    (whole,), (strong,), (weak,) = (circuits[name] for name in ("compared", "strongest", "weakest"))
    few, strengths = method.tenth(one.edges[1]), one.scored.scores["ig"].abs()
    assert whole.sum() - strong.sum() == whole.sum() - weak.sum() == few
    assert strengths[whole & ~strong].min() >= strengths[strong].max()
    assert strengths[whole & ~weak].max() <= strengths[weak].min()
    assert whole[tuple(greedy(graph, one.scored.scores["ig"], 3).T)].all()


def test_distances_are_those_of_plain_runs(model, one, some):
    circuits = method.chosen(Graph.of(model), one.scored, one.edges)
    for place, pair in enumerate(some[2:5]):
        edges = Edges(model, pair.clean, pair.corrupted)
        p = edges.left(circuits["eap"]).softmax(-1)
        torch.testing.assert_close(one.answers["eap"][place], p[:, 3] - p[:, [7, 8]].sum(-1), atol=1e-4, rtol=1e-4)
    assert one.distance("eap").shape == (3, 3) and set(one.overlap) == {"ig", "eap", "ig_dealt"}
    gap = one.nearer("ig", "eap") + one.nearer("eap", "ig")
    torch.testing.assert_close(gap, torch.zeros(1))


def test_a_deal_is_a_case_with_circuits_of_its_own(model, one, found, some):
    other = method.deal(model, "agreement", some[5:], SETTINGS, torch.Generator().manual_seed(1))
    assert found.deals == 2 and found.distance("ig").shape == (6, 3)
    torch.testing.assert_close(found.answers["ig"], torch.cat([one.answers["ig"], other.answers["ig"]]))
    assert not torch.equal(*(method.chosen(Graph.of(model), own.scored, own.edges)["ig"] for own in (one, other)))
    gaps = (found.distance("eap") - found.distance("ig")).mean(1)
    torch.testing.assert_close(found.nearer("ig", "eap"), torch.stack([gaps[:3].mean(), gaps[3:].mean()]))


def test_nothing_is_nearer_than_all_edges(model, some, monkeypatch):
    monkeypatch.setattr(method, "pairs", lambda model, task, n, seed=0: some[:n])
    found = method.measure(model, "capitals", replace(SETTINGS, sizes=[1, 1000]))
    assert found.distance("ig")[:, 1].max() < 1e-3 and found.whole["ig"][:, 1].abs().max() < 1e-3
    torch.testing.assert_close(found.kept("eap")[:, 1].mean(), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_what_is_shown_is_there_for_every_task(found):
    metrics = {metric.name: metric for metric in method.metrics([found], COSTS)}
    assert metrics["gain_capitals"].n == 0 and math.isnan(metrics["gain_capitals"].value)
    assert metrics["gain_agreement"].units == pytest.approx(found.nearer("ig", "eap").tolist(), rel=1e-3)
    assert metrics["overlap_ig"].n == 2 and metrics["complete"].n == 4
    figure = method.draw([found], COSTS)
    assert len(figure.axes) == 2
    assert len(method.curves([found])["series"]) == 5


def test_a_swap_of_the_methods_turns_the_sign(found):
    """A fault that must not come out as the claim: EAP's circuits in the place of EAP-IG's."""
    answers, whole = ({**own, "ig": own["eap"], "eap": own["ig"]} for own in (found.answers, found.whole))
    swapped: Task = replace(found, answers=answers, whole=whole)
    torch.testing.assert_close(swapped.nearer("ig", "eap"), -found.nearer("ig", "eap"))
    torch.testing.assert_close(swapped.nearer("ig", "eap", whole=True), -found.nearer("ig", "eap", whole=True))


def test_overlap_of_the_nodes_that_matter_most_is_above_chance():
    graph = Graph(layers=4, heads=3, groups=1)
    nodes = [1, 5, 16]
    chosen = torch.zeros_like(graph.edges)
    chosen[nodes, -1] = True
    effects = torch.zeros(len(graph.source_kinds) - 1)
    effects[[place - 1 for place in nodes]] = 1.0
    circuits = dict.fromkeys(("ig", "eap", "ig_dealt"), chosen[None])
    found = method.overlap(graph, circuits, effects, 0)["ig"]
    chance = (2 * 2 / 12 + 1 * 1 / 4) / 3 if graph.source_kinds[16] == 2 else (3 * 3 / 12) / 3
    assert found == pytest.approx(1 - chance)
    assert method.overlap(graph, circuits, -effects, 0)["ig"] < 0
