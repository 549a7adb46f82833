"""Effects against passes with one hook, choices against hand-made cases, and planted faults."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import pearsonr

from picks.environment import ROOT
from reproductions.activation_patching import method
from reproductions.activation_patching.method import (
    Effects,
    Noise,
    alike,
    at_best,
    beyond,
    chosen,
    corruption_metrics,
    deviation,
    facts,
    grid,
    heads,
    kinship,
    maps,
    negative_metrics,
    noisy,
    of_heads,
    swapped,
    task_metrics,
    two_names,
    window_metrics,
    windows,
)
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.metrics import mean_of
from reproductions.common.patching_cost import Cost
from reproductions.common.prompt_pairs import Pair, Texts, indirect_objects
from reproductions.common.verdicts import POSITIVE, judge_claim
from tests.common.test_prompt_pairs import many, words_of
from tests.common.tiny_bridge import LAYERS, random_tokens

CLAIMS = {claim.id: claim for claim in load_claims(ROOT / "reproductions/activation_patching/reproduction.yml").claims}
BEGIN, LENGTH, N = 4, 9, 6
RIGHT, WRONG = torch.tensor([3]), torch.tensor([7, 9])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made_pairs(n=N, length=LENGTH):
    """Pairs of random texts that differ in one token."""
    found = []
    for number, clean in enumerate(random_tokens(n, length)):
        corrupted = clean.clone()
        corrupted[BEGIN] = clean[BEGIN] % 49 + 1
        found.append(Pair(Texts(f"text {number}", "", ("a",), ("b",)), clean, corrupted, RIGHT, WRONG))
    return found


@pytest.fixture(scope="module")
def pairs():
    return made_pairs()


def metrics_of(logits, clean):
    """The three metrics, written out."""
    p, q = clean.softmax(-1), logits.softmax(-1)
    return torch.stack([(q[3] / (q[7] + q[9])).log(), q[3], -(p * (p / q).log()).sum()])


def restored_in_one_pass(model, text, values, node):
    """Logits of a text with one node of a run whose values are given."""

    def replace(activation, hook):
        changed = activation.clone()
        changed[0, BEGIN:][node.place] = values[node.name][0, BEGIN:][node.place]
        return changed

    with model.hooks(fwd_hooks=[(node.name, replace)]), torch.no_grad():
        return model(text[None])[0, -1]


def test_effects_are_those_of_passes_with_one_hook(model, pairs):
    found = swapped(model, pairs[:2], heads(model))
    for pair, nodes, taken in zip(pairs, found.nodes, found.taken, strict=False):
        logits, values = model.run_with_cache(pair.clean[None])
        clean, corrupted = (
            metrics_of(logits[0, -1], logits[0, -1]),
            metrics_of(model(pair.corrupted[None])[0, -1], logits[0, -1]),
        )
        torch.testing.assert_close(taken, clean - corrupted)
        for place, (node,) in enumerate(heads(model)):
            after = metrics_of(restored_in_one_pass(model, pair.corrupted, values, node), logits[0, -1])
            torch.testing.assert_close(nodes[:, place], after - corrupted, atol=1e-5, rtol=1e-4)


def test_noise_is_on_what_differs_alone_and_halves_are_other_draws(model, pairs):
    one, other = noisy(model, pairs[:2], heads(model), Noise(1, 4))
    again, _ = noisy(model, pairs[:2], heads(model), Noise(1, 4))
    torch.testing.assert_close(one.nodes, again.nodes)
    assert not torch.allclose(one.nodes, other.nodes)
    none, _ = noisy(model, pairs[:2], heads(model), Noise(0, 2))
    assert none.nodes.abs().max() < 1e-5
    far, _ = noisy(model, pairs[:2], heads(model), Noise(50, 2))
    assert far.taken[:, 2].min() > none.taken[:, 2].max()  # further from the clean prediction


def test_the_noise_is_measured_in_the_embeddings_own_deviation(model, pairs):
    rows = torch.cat([pair.clean[1:] for pair in pairs])
    torch.testing.assert_close(deviation(model, pairs), model.original_model.get_input_embeddings()(rows).std().item())


def test_every_corruption_is_of_the_same_prompts():
    model = words_of(
        [
            texts
            for corrupt in ("giver", "another", "names", "others")
            for texts in many(lambda random, c=corrupt: indirect_objects(random, c))
        ]
    )
    by_name = {name: two_names(model, name, 8) for name in method.CORRUPTIONS}
    clean = [pair.texts.clean for pair in by_name["swapped"]]
    assert all([pair.texts.clean for pair in own] == clean for own in by_name.values())
    assert [pair.texts.corrupted for pair in by_name["swapped"]] != [
        pair.texts.corrupted for pair in by_name["swapped_again"]
    ]
    with pytest.raises(ValueError, match="not 20: ask for fewer"):
        method.prompts(model, lambda _: Texts("a", "b c", ("d",), ("e",)), 20, 0)


def test_windows_are_neighbouring_layers_at_one_position(model):
    found = windows(model, 2, 1)
    assert [[node.layer for node in patch] for patch in found] == [[1, 2], [2]]
    assert {node.position for patch in found for node in patch} == {1}


def test_facts_have_every_window_of_every_prompt(model, monkeypatch):
    monkeypatch.setattr(method, "prompts", lambda *_: made_pairs())
    found = facts(model, N, Noise(3, 2))
    assert {tuple(own.nodes.shape) for own in found.values()} == {(N, 3, 3 * (LAYERS - 1) + 1)}
    widths = method.by_width(found["swapped"])
    torch.testing.assert_close(widths[3][..., -1], widths[1][..., -1])  # the last window is one layer


# Hand-made effects


def effects(ld, p=None, kl=None, taken=1.0):
    """Effects [N, n] in each metric."""
    ld = torch.as_tensor(ld, dtype=torch.float)
    nodes = torch.stack([ld, ld if p is None else p, ld if kl is None else kl], 1)
    return Effects(nodes, torch.full(nodes.shape[:2], taken))


def by_name(metrics):
    return {metric.name: metric for metric in metrics}


def test_heads_are_chosen_where_they_are_not_scored():
    ld = torch.zeros(4, 8)
    ld[0::2, :3], ld[1::2, 5:] = -1.0, -1.0  # each half has heads of its own
    found = effects(ld)
    assert chosen(found, -1).sort(1).values.tolist() == [[5, 6, 7], [0, 1, 2]] * 2
    assert of_heads(found, chosen(found, -1), -1).abs().max() == 0  # what one half has, the other has not
    assert chosen(effects(-ld), 1).sort(1).values.tolist() == [[5, 6, 7], [0, 1, 2]] * 2


def test_shares_add_up_to_one_in_size():
    found = effects(drawn(5, 12))
    torch.testing.assert_close(found.shares.abs().sum(-1), torch.ones(5, 3))


def test_a_metric_that_shows_less_of_what_is_against_the_answer_hides_it():
    ld = drawn(20, 30).abs() * 0.01
    ld[:, :3], ld[:, 3:6] = -1.0, 1.0
    cut = ld.clamp(min=0)
    found = by_name(negative_metrics(effects(ld, p=cut), effects(ld, p=cut), 0))
    assert judge_claim(CLAIMS["N1"], found, "full").verdict in POSITIVE
    assert judge_claim(CLAIMS["N2"], found, "full").verdict in POSITIVE
    same = by_name(negative_metrics(effects(ld), effects(ld), 0))
    assert judge_claim(CLAIMS["N2"], same, "full").verdict not in POSITIVE
    assert same["hidden"].value == pytest.approx(0, abs=1e-6)
    dealt = ld.gather(1, drawn(20, 30).argsort(1))
    assert (
        judge_claim(CLAIMS["N1"], by_name(negative_metrics(effects(dealt), effects(dealt), 0)), "full").verdict
        not in POSITIVE
    )


def corruptions(noise_one, noise_other, seed=0):
    """Effects of twenty prompts in which two choices of swapped tokens nearly agree."""
    true = drawn(20, 40, seed=seed)
    near = {
        name: effects(true + 0.2 * drawn(20, 40, seed=place))
        for place, name in enumerate(("swapped", "swapped_again"), 1)
    }
    return by_name(corruption_metrics(near, [effects(noise_one(true)), effects(noise_other(true))]))


def test_noise_that_ranks_heads_otherwise_is_told_from_noise_that_agrees_and_from_noise_without_sense():
    other = drawn(20, 40, seed=7)
    differs = corruptions(lambda _: other, lambda _: other + 0.1 * drawn(20, 40, seed=8))
    assert judge_claim(CLAIMS["C1"], differs, "full").verdict in POSITIVE
    for error in (0.2, 1.0, 3.0):  # of draws, about the same heads
        agrees = corruptions(*[lambda true, s=s, e=error: true + e * drawn(20, 40, seed=s) for s in (8, 9)])
        assert judge_claim(CLAIMS["C1"], agrees, "full").verdict not in POSITIVE
    senseless = corruptions(*[lambda _, s=s: drawn(20, 40, seed=s) for s in (8, 9)])
    assert judge_claim(CLAIMS["C1"], senseless, "full").verdict not in POSITIVE


def test_errors_of_other_sizes_are_no_disagreement():
    found = []
    for seed in range(20):
        true, error = drawn(8, 200, seed=seed) ** 3, drawn(4, 8, 200, seed=seed + 50)
        found += beyond((true + 0.3 * error[0], true + 0.3 * error[1]), (true + 3 * error[2], true + 3 * error[3]))
    assert abs(sum(found) / len(found)) < 0.01


def test_the_disagreement_of_one_prompt_by_hand():
    one, again, other, more = drawn(4, 30, seed=3)

    def r(a, b):
        return pearsonr(a, b).statistic

    across = [r(a, b) for a in (one, again) for b in (other, more)]
    product = r(one, again) * r(other, more)
    expected = math.copysign(abs(product) ** 0.5, product) - sum(across) / 4
    assert beyond((one[None], again[None]), (other[None], more[None])) == [pytest.approx(expected)]


def layers_restored(single, excess=0.0, noise=1.0):
    """Effects of windows over ten layers whose parts add up, and an excess of each window of several."""
    single = torch.as_tensor(single, dtype=torch.float)
    widths = [
        torch.stack([single[:, at : at + width].sum(1) for at in range(single.shape[1])], 1) for width in method.WIDTHS
    ]
    more = [own + excess * (width > 1) for own, width in zip(widths, method.WIDTHS, strict=True)]
    whole = torch.cat([*more, torch.ones(len(single), 1)], 1)
    return {"swapped": effects(whole), "noise": effects(noise * whole)}


def test_windows_that_only_add_up_have_no_excess():
    single = 0.1 + 0.01 * drawn(20, 10)
    found = by_name(window_metrics(layers_restored(single)))
    assert found["window_excess"].value == pytest.approx(0, abs=1e-6)
    assert found["peak_gap"].value == pytest.approx(0, abs=1e-6)
    more = by_name(window_metrics(layers_restored(single, 0.2, noise=2.0)))
    assert more["window_excess"].value == pytest.approx(0.2, abs=1e-6)
    assert judge_claim(CLAIMS["W1"], more, "full").verdict in POSITIVE
    filled = by_name(window_metrics(layers_restored(torch.full((20, 10), 0.2) + 0.001 * drawn(20, 10), noise=0.9)))
    assert judge_claim(CLAIMS["W1"], filled, "full").verdict == "not tested"  # five together restore all
    assert more["window_excess_noise_p"].value > more["window_excess"].value
    assert more["window_excess_3"].value == pytest.approx(0.2, abs=1e-6)
    assert more["peak_gap"].value == pytest.approx(more["peak_swapped"].value, abs=1e-6)


def test_a_peak_is_chosen_in_the_other_half():
    values = torch.zeros(4, 3, 5)
    values[0::2, 0, 1], values[1::2, 0, 3] = 1.0, 1.0
    assert at_best(values, values)[:, 0].tolist() == [0, 0, 0, 0]
    values[..., 2] = 2.0
    assert at_best(values, values).tolist() == [[2.0] * 3] * 4


def test_kinship_tells_kinds_apart_and_nothing_where_there_are_none():
    one, other = drawn(30), drawn(30, seed=1)
    cases = torch.stack([one, one, one, other, other, other]) + 0.1 * drawn(6, 30, seed=2)
    assert min(kinship(cases, ["a"] * 3 + ["b"] * 3)) > 0.5
    assert len(kinship(cases, ["a"] * 6)) == 3
    assert all(torch.tensor(kinship(cases, ["a"] * 6)).isnan())


def test_tasks_whose_heads_are_the_same_are_seldom_said_to_differ():
    held = 0
    for seed in range(40):
        both = drawn(60, seed=seed) + drawn(16, 60, seed=seed + 100)
        tasks = {method.TWO_NAMES: effects(both[:8]), "agreement": effects(both[8:])}
        found = by_name(task_metrics(tasks, ["When", "When", "After", "After"] * 2))
        found["agreement"] = mean_of("agreement", [0.8, 0.9, 0.85])
        held += judge_claim(CLAIMS["T1"], found, "full").verdict in POSITIVE
    assert held <= 3


def test_the_explorer_and_figures_show_every_head(model, pairs):
    found = swapped(model, pairs, heads(model))
    shown = maps(model, {"swapped": found})
    assert explorers.text("grid", grid({"a third person gives": shown["swapped"]}))
    figure = method.draw_heads(shown["swapped"], shown["swapped"])
    assert len(figure.axes[2].lines[-1].get_xdata()) == len(heads(model))
    assert shown["swapped"].shape == (3, LAYERS, model.cfg.n_heads)


def test_ways_to_find_heads_are_held_against_every_patch(model, pairs):
    found = {
        name: swapped(model, own, heads(model)) for name, own in (("swapped", pairs), ("swapped_again", pairs[::-1]))
    }
    noise = Effects(found["swapped"].nodes.flip(1), found["swapped"].taken)
    cost = Cost(patches=12, together=2.0, loop=60.0, operations=1.0, rate=1.0)

    ways = method.ways(model, pairs, found, noise, 3, cost)

    gradient, together, alone, again, noisy = ways.values()
    assert together == ([2.0] * N, pytest.approx([1.0] * N)) and alone == ([60.0] * N, pytest.approx([1.0] * N))
    assert again[0] == [2.0] * N and min(again[1]) < 0.9
    assert noisy == ([6.0] * N, alike(found["swapped"].nodes[:, 0], found["swapped"].nodes[:, 2]))
    slopes = torch.stack([method.by_gradient(model, pair) for pair in pairs])
    assert gradient[1] == alike(found["swapped"].nodes[:, 0], slopes) and gradient[0][0] > 0


def test_one_gradient_is_the_slope_of_a_growing_patch(model, pairs):
    """Finite differences of runs in which a head's output is brought a little nearer to the clean run's."""
    pair, width = pairs[0], model.cfg.n_heads
    runs = [model.run_with_cache(text[None])[1] for text in (pair.corrupted, pair.clean)]
    for number, slope in enumerate(method.by_gradient(model, pair).tolist()):
        layer, head = divmod(number, width)
        name = f"blocks.{layer}.attn.hook_z"
        step = (runs[1][name] - runs[0][name])[0, :, head]
        reached = []
        for size in (-0.01, 0.01):
            with model.hooks(fwd_hooks=[(name, lambda z, hook, head=head, by=size * step: moved(z, head, by))]):
                reached.append(metrics_of(model(pair.corrupted[None])[0, -1].detach(), torch.zeros(51))[0])
        assert slope == pytest.approx(float(reached[1] - reached[0]) / 0.02, abs=2e-3, rel=2e-2)


def moved(z, head, by):
    changed = z.clone()
    changed[0, :, head] += by
    return changed
