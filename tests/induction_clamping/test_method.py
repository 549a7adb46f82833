"""The stack against a plain network, clamps against their definitions, hand-made circuits, and planted faults."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import pytest
import torch
from torch.nn.functional import layer_norm, one_hot, softmax

import reproductions.induction_clamping
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.curves import crossing
from reproductions.common.side_by_side import accuracy, losses
from reproductions.common.training import generator_of
from reproductions.common.verdicts import judge_claim
from reproductions.induction_clamping import method
from reproductions.induction_clamping.method import (
    CLAMPS,
    OF_HEADS,
    Batch,
    Clamp,
    Cut,
    Heads,
    Run,
    Stack,
    Task,
    Trained,
    Trial,
    back,
    curves,
    fit,
    metrics,
    planned,
    sooner,
    strength,
    toy,
)

CLAIMS = {
    claim.id: claim
    for claim in load_claims(Path(reproductions.induction_clamping.__file__).with_name("reproduction.yml")).claims
}
SEEDS = (3, 4)
FREE = CLAMPS["all"][0]


@pytest.fixture(scope="module")
def stack():
    made = Stack(Task.of(SEEDS, classes=9), SEEDS)
    with torch.no_grad():  # no gain or bias at its start, where a fault in it could hide
        for weights in made.weights.values():
            weights.add_(0.1 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)))
    return made


@pytest.fixture(scope="module")
def batch(stack):
    return stack.task.batch(generator_of(0, 0), 11)


# The task


def test_sequences_are_what_the_task_says():
    task = Task.of(SEEDS, classes=6, labels=5)
    batch = task.batch(generator_of(0, 1), 400)
    assert task.pairs.shape == (2, 8, 2) and task.exemplars.shape == (2, 6, 512)
    assert (batch.classes[..., 0] != batch.classes[..., 1]).all() and (
        batch.labels[..., 0] != batch.labels[..., 1]
    ).all()
    for values, n in ((batch.classes, 6), (batch.labels, 5), (batch.target, 2)):
        assert values.unique().tolist() == list(range(n))
    for network in range(2):
        allowed = {tuple(sorted(pair)) for pair in task.pairs[network].tolist()}
        assert {tuple(sorted(pair)) for pair in batch.labels[network].tolist()} == allowed
    assert (batch.labels[..., 0] > batch.labels[..., 1]).float().mean().item() == pytest.approx(0.5, abs=0.1)
    right = [batch.labels[r, b, batch.target[r, b]] for r in range(2) for b in range(400)]
    assert batch.answer.flatten().tolist() == right


def test_a_seed_has_its_own_task_whatever_others_there_are():
    both, alone = Task.of((3, 4)), Task.of((4,))
    assert torch.equal(both.exemplars[1], alone.exemplars[0]) and torch.equal(both.pairs[1], alone.pairs[0])
    assert not torch.equal(alone.exemplars, Task.of((4,), draw=1).exemplars)


# The network


def by_hand(stack, batch, r, b):
    """One sequence through one network, token by token and head by head; returns its logits."""
    w = {name: value[r].double() for name, value in stack.weights.items()}
    classes, labels, target = (value[r, b] for value in (batch.classes, batch.labels, batch.target))
    exemplar = {int(c): stack.task.exemplars[r, c].double() @ w["embed"] + w["embed_bias"][0] for c in classes}
    one, other = (int(c) for c in classes)
    x = torch.stack(
        [exemplar[one], w["label"][labels[0]], exemplar[other], w["label"][labels[1]], exemplar[int(classes[target])]]
    )
    for layer in range(2):
        n = layer_norm(x, (64,)) * w["gain"][layer] + w["shift"][layer]
        q, k, v = (n @ w["qkv"][layer, part] for part in range(3))
        z = torch.zeros(5, 64, dtype=torch.double)
        for head in range(8):
            own = slice(8 * head, 8 * head + 8)
            for t in range(5):
                scores = torch.stack([turned(q[t, own], t) @ turned(k[s, own], s) / 8**0.5 for s in range(t + 1)])
                z[t, own] = softmax(scores, 0) @ v[: t + 1, own]
        x = x + z @ w["out"][layer]
    return (layer_norm(x[-1], (64,)) * w["gain"][2, 0] + w["shift"][2, 0]) @ w["unembed"] + w["unembed_bias"][0]


def turned(vector, at):
    """A rotary position as complex numbers."""
    turns = torch.exp(1j * at * 10_000.0 ** (-torch.arange(0, 8, 2, dtype=torch.double) / 8))
    found = torch.view_as_complex(vector.view(4, 2).contiguous()) * turns
    return torch.view_as_real(found).flatten()


def test_a_stack_is_the_networks_one_by_one(stack, batch):
    found = stack(batch, FREE).logits
    for r, b in ((0, 0), (0, 7), (1, 3), (1, 10)):
        torch.testing.assert_close(found[r, b].double(), by_hand(stack, batch, r, b), atol=1e-4, rtol=1e-4)


def test_networks_of_a_stack_do_not_touch_each_other(stack, batch):
    loss = losses(stack(batch, FREE).logits, batch.answer)[0].mean()
    slopes = torch.autograd.grad(loss, list(stack.weights.values()))
    assert all(slope[0].abs().max() > 0 and slope[1].abs().max() == 0 for slope in slopes)


def test_a_start_depends_on_its_seed_alone():
    both, alone = Stack(Task.of((3, 4)), (3, 4)), Stack(Task.of((4,), classes=99), (4,))
    for name, weights in alone.weights.items():
        assert torch.equal(weights[0], both.weights[name][1])
    assert both.weights["embed"].std().item() == pytest.approx(512**-0.5, rel=0.02)
    assert both.weights["qkv"].std().item() == pytest.approx(1 / 8, rel=0.02)


# Clamps


def test_what_is_so_many_tokens_back():
    assert back(1).argmax(-1).tolist() == [0, 0, 1, 2, 3]
    assert back(1, asking=True).argmax(-1).tolist() == [0, 0, 1, 2, 4]
    assert back(2, asking=True).argmax(-1).tolist() == [0, 1, 0, 1, 4]
    assert (back(2).sum(-1) == 1).all()


def test_a_held_layer_1_is_a_network_without_it_whose_patterns_see_the_token_before(stack, batch):
    found, x = stack(batch, CLAMPS["layer1"][0]), stack.tokens(batch)
    moved = torch.cat([x[:, :, :1], x[:, :, :3], x[:, :, 4:]], 2)
    assert torch.equal(found.first, back(1, asking=True))
    pattern = stack.scores(1, stack.normed(1, moved), 1, torch.tensor([4])).softmax(-1)
    torch.testing.assert_close(found.patterns, pattern)
    torch.testing.assert_close(found.values, stack.part(1, 2, stack.normed(1, x), 1))


def test_a_bypassed_layer_1_reaches_the_patterns_alone(stack, batch):
    kept, free = stack(batch, CLAMPS["bypass"][0]), stack(batch, CLAMPS["none"][0])
    assert torch.equal(kept.patterns, free.patterns) and not torch.equal(kept.values, free.values)
    torch.testing.assert_close(kept.values, stack(batch, CLAMPS["layer1"][0]).values)


def test_patterns_of_layer_1_are_held_in_one_head(stack, batch):
    free = stack(batch, CLAMPS["none"][0]).first
    for name, tokens in (("previous", 1), ("previous_wrong", 2)):
        held = stack(batch, CLAMPS[name][0]).first
        assert torch.equal(held[:, :, 0], back(tokens).expand_as(held[:, :, 0]))
        assert torch.equal(held[:, :, 1:], free[:, :, 1:])


def test_attention_is_held_where_it_says(stack, batch):
    right, labels, chance = (stack(batch, CLAMPS[name][0]).patterns for name in ("match", "labels", "match_wrong"))
    assert (strength(right, batch.target) == 1).all()
    torch.testing.assert_close(labels[..., 1::2].sum(-1), torch.ones_like(labels[..., 0]))
    assert (chance.max(-1).values == 1).all() and (chance[..., 1::2].sum(-1) == 1).all()
    many = stack.task.batch(generator_of(0, 9), 2000)
    assert strength(stack(many, CLAMPS["match_wrong"][0]).patterns, many.target).abs().max() < 0.1


def test_a_held_copy_answers_by_the_scores_for_the_two_labels(stack, batch):
    found, free = stack(batch, CLAMPS["copy"][0]), stack(batch, CLAMPS["none"][0])
    odds = free.patterns[:, :, 0, 0, 1::2].log()
    for name, logits in (("copy", odds), ("mask", free.logits.gather(-1, batch.labels))):
        p = stack(batch, CLAMPS[name][0]).logits.softmax(-1)
        torch.testing.assert_close(p.gather(-1, batch.labels), logits.softmax(-1), atol=1e-5, rtol=1e-4)
    assert (found.logits.softmax(-1) > 0).sum(-1).max() == 2


def test_silenced_heads_are_as_a_network_without_them(stack, batch):
    only_first = one_hot(torch.zeros(2, dtype=torch.long), 8).float()
    cut = stack(batch, FREE, Cut(second=only_first)).logits
    torch.testing.assert_close(cut, stack(batch, CLAMPS["none"][0]).logits)
    silent = stack(batch, FREE, Cut(first=torch.zeros(2, 8))).patterns
    x = stack.normed(1, stack.tokens(batch))
    torch.testing.assert_close(silent, stack.scores(1, x, 8, torch.tensor([4])).softmax(-1))


def test_what_is_kept_of_a_clean_pass_changes_nothing(stack, batch):
    clean = stack(batch, FREE)
    kept = stack(batch, FREE, Cut(patterns=clean.patterns, values=clean.values))
    torch.testing.assert_close(kept.logits, clean.logits)
    own = stack(batch, FREE, Cut(own=True)).patterns
    assert not torch.allclose(own, clean.patterns)


def test_induction_strength_by_hand():
    patterns = torch.tensor([[0.1, 0.5, 0.1, 0.2, 0.1], [0.0, 0.3, 0.0, 0.7, 0.0]]).view(1, 2, 1, 1, 5)
    assert strength(patterns, torch.tensor([[0, 1]])).item() == pytest.approx((0.3 + 0.4) / 2)


def test_an_induction_circuit_made_by_hand_is_seen_as_one():
    """Layer 1 held, embeddings orthogonal, queries and keys the identity: attention finds the right label."""
    stack = Stack(Task.of((0,), classes=4), (0,))
    w, eye = stack.weights, torch.eye(64)
    with torch.no_grad():
        w["embed"].copy_(torch.linalg.pinv(stack.task.exemplars[0]) @ (8 * eye[:4]))
        w["label"].copy_(8 * eye[8:13])
        w["qkv"][:, 1, :2] = 0
        w["qkv"][0, 1, :2, :4, 6:8] = torch.tensor([[9.0, 0], [-9, 0], [0, 9], [0, -9]])  # where rotation is slowest
        batch = stack.task.batch(generator_of(0, 0), 200)
        held, wrong = (
            strength(stack(batch, CLAMPS[name][0]).patterns, batch.target) for name in ("both", "layer1_wrong")
        )
        copied = accuracy(stack(batch, CLAMPS["both"][0]).logits, batch.answer)
    expected = torch.tensor([1 / 3, 1 / 2])[batch.target].mean()  # exemplar 1, its label and the query carry class 1
    assert held.item() == pytest.approx(expected.item(), abs=0.02) and copied.item() == 1
    assert abs(wrong.item()) < 0.1  # the planted fault: two tokens back


# Training


def test_a_training_is_the_same_twice_and_however_long_it_goes_on():
    runs = [fit("a", Run("none", 25), SEEDS)[1] for _ in range(2)]
    assert torch.equal(runs[0].loss, runs[1].loss) and runs[0].at == (0, 10, 20, 25)
    assert runs[0].loss.shape == (4, 2) and runs[0].strength.shape == (4, 2, 1)
    assert (runs[0].loss[-1] < runs[0].loss[0]).all()
    assert torch.equal(runs[0].strength[0], fit("b", Run("none", 1), SEEDS)[1].strength[0])


# The toy


def test_the_toy_descends_by_its_slope():
    start, goal = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    found = method._fitted(start, goal, goal, [], 2)
    x = start.clone().requires_grad_()
    true = torch.einsum("ni,nj,nk->nijk", *goal)
    error = (torch.einsum("ni,nj,nk->nijk", *x) - true).square().mean((1, 2, 3))
    (slope,) = torch.autograd.grad(error.sum() / 2, x)
    after = (torch.einsum("ni,nj,nk->nijk", *(x - slope)) - true).square().mean((1, 2, 3))
    zero = true.square().mean((1, 2, 3))
    torch.testing.assert_close(found, torch.stack([error / zero, after / zero]).detach())


def test_the_toy_learns_sooner_with_a_part_held_and_never_with_a_wrong_one():
    reached = {name: crossing(range(1000), losses, 0.1) for name, losses in toy().items()}
    assert (reached["bc"] < reached["none"]).all() and (reached["wrong"] == 999).all()


# What is reported, and planted faults


def falling(run, updates):
    """A made-up training that reaches the mark after so many updates, seed by seed."""
    at = tuple(range(0, run.steps + 1, 10))
    slope = [[1.6 - (1.6 - 0.4 * log(2)) * t / own for own in updates] for t in at]
    return Trained(run, at, torch.tensor(slope), torch.zeros(len(at), 3, 1))


@pytest.fixture
def runs():
    updates = {"none": (700, 600, 800), "layer1": (160, 150, 180), "copy": (120, 110, 120), "match": (100, 90, 110)}
    updates |= {"both": (40, 45, 50), "bypass": (690, 640, 790), "mask": (650, 600, 750), "labels": (700, 610, 700)}
    return {name: falling(Run(name, 1000), own) for name, own in updates.items()}


def found_heads(n=3):
    generator = torch.Generator().manual_seed(0)
    sizes = {"wired": (n, 8, 8), "own": (n, 2)}
    one = {"every", "silent", "strangers", "kept", "cut_off", "mixed"}
    fields = Heads.__dataclass_fields__
    return Heads(**{f: torch.rand(sizes.get(f, (n,) if f in one else (n, 8)), generator=generator) for f in fields})


def test_metrics_are_halvings_by_seed(runs):
    found = {metric.name: metric for metric in metrics(runs, found_heads())}
    by_hand = [log(none / own, 2) for none, own in zip((700, 600, 800), (160, 150, 180), strict=True)]
    assert found["sooner_layer1"].units == pytest.approx(by_hand, rel=0.01)
    assert found["combined"].units == pytest.approx([log(120 / 40, 2), log(110 / 45, 2), log(120 / 50, 2)], rel=0.01)
    assert found["sooner_previous"].n == found["slower_labels"].n == 0
    declared = load_claims(Path(reproductions.induction_clamping.__file__).with_name("reproduction.yml")).metrics
    assert found.keys() <= declared.keys()


FAULTS = [
    ("C1", "layer1", (1000, 1000, 1000)),
    ("C2", "copy", (640, 620, 740)),
    ("C3", "match", (690, 650, 780)),
    ("C4", "both", (650, 640, 790)),
]


@pytest.mark.parametrize(("claim", "name", "fault"), FAULTS)
def test_a_clamp_that_does_not_help_does_not_hold(runs, claim, name, fault):
    def verdict(made):
        return judge_claim(CLAIMS[claim], {m.name: m for m in metrics(made, found_heads())}, "quick").verdict

    assert verdict(runs) == "holds"
    assert verdict(runs | {name: falling(Run(name, 1000), fault)}) != "holds"
    control = CLAIMS[claim].control.removeprefix("sooner_")
    helps_too = {control: replace(runs[name], run=runs[control].run)}
    assert verdict(runs | helps_too) != "holds"  # nor does one whose control helps as much


def test_sweeps_compare_like_with_like(runs):
    plan = planned(["none", "layer1", "both", "match"], 1000, 300, [200], [15])
    assert plan["both_15_labels"] == Run("both", 600, labels=15) and "layer1_200_classes" not in plan
    assert plan["none_redrawn"] == Run("none", 1000, draw=1)
    more = {"match_15_labels": falling(Run("match", 1000, labels=15), (200, 180, 220)), "none_redrawn": runs["none"]}
    found = {metric.name: metric for metric in metrics(runs | more, found_heads())}
    assert found["slower_labels_match"].value == pytest.approx(1, abs=0.01)
    assert found["slower_redrawn"].value == 0
    assert sooner(runs, "match", than="none").mean() > 2


@pytest.mark.parametrize("clamps", [["copy"], ["none"], ["bypass", "layer1"], []])
def test_any_clamps_may_be_left_out_and_what_is_then_unknown_is_not_counted(runs, clamps):
    plan = planned(clamps, 1000, 300, [], [])
    assert next(iter(plan)) == "none" and set(plan) == {"none", *clamps}
    found = {metric.name: metric for metric in metrics({name: runs[name] for name in plan}, found_heads())}
    assert found["plateau"].n == 3 and found["plateau_match"].n == 0
    assert all(
        found[f"sooner_{name}"].n == (3 if name in clamps else 0) for name in ("copy", "layer1", "bypass", "match")
    )


def test_what_heads_do_is_put_in_order_and_bounded():
    stack = fit("all", Run("all", 30), SEEDS)[0]
    found = method.heads(stack)
    assert found.wired.shape == (2, 8, 8) and found.own.shape == (2, 2)
    for name in Heads.__dataclass_fields__:
        assert getattr(found, name).abs().max() <= 1
    trial = Trial(stack, seed=2)
    assert torch.equal(trial.accuracy(Cut(second=torch.ones(2, 8))), found.every)
    assert all(of(found).shape == (2,) for of in OF_HEADS.values())


def test_heads_that_do_it_all_are_found_so():
    """Planted: head 0 alone suffices, head 1 does as well, the others nothing; each answers from any of layer 1."""
    fields = {name: getattr(found_heads(), name) for name in Heads.__dataclass_fields__}
    alone = torch.tensor([[0.9, 0.8] + [0.2] * 6] * 3)
    fields |= {"alone": alone, "every": torch.ones(3), "silent": torch.full((3,), 0.2), "strength": alone}
    fields |= {"without": torch.tensor([[0.8, 0.9] + [1.0] * 6] * 3)}
    found = Heads(**fields)
    assert OF_HEADS["redundant"](found).tolist() == pytest.approx([0.5] * 3)
    assert OF_HEADS["added"](found).tolist() == pytest.approx([0.1] * 3)
    assert OF_HEADS["ranked"](found).tolist() == pytest.approx([1.0] * 3)


def test_figures_and_the_explorer_can_be_drawn(runs):
    every = replace(runs["none"], strength=torch.rand(101, 3, 8))
    assert len(method.draw_toy().axes) == 3 and len(method.draw(runs).axes) == 2
    assert len(method.draw_heads(every, found_heads()).axes) == 4
    assert explorers.text("curves", curves(runs))


def test_a_clamp_holds_nothing_by_default(stack, batch):
    assert torch.equal(stack(batch, Clamp(heads=8)).logits, stack(batch, FREE).logits)
    assert isinstance(batch, Batch)
