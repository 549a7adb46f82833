"""Scores, maps and costs against brute force, plain passes, hand-made cases and known answers."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from reproductions import layer_linearity
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.held_out import Excerpt
from reproductions.common.regression import LinearMap, ridge
from reproductions.common.text import SEQUENCE
from reproductions.layer_linearity import method
from reproductions.layer_linearity.method import (
    CONTEXT,
    Blocks,
    Rows,
    agreement,
    curves,
    draw,
    first_tokens,
    fit,
    measure,
    most_linear,
    scores,
    table,
)
from tests.head_mapping.tiny import tiny_gemma, tiny_gpt2, tiny_llama
from tests.layer_linearity.planted import BENDS, HELD_OUT, N_BLOCKS, Toy, all_metrics, toy_run

MODELS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "gemma": tiny_gemma}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    bridge = MODELS[request.param]()
    bridge.original_model.requires_grad_(False)
    return bridge


@pytest.fixture(scope="module")
def tokens():
    """The first is alike in all texts, as it is where a tokenizer puts a special token in front."""
    found = torch.randint(2, 1300, (11, 20), generator=torch.Generator().manual_seed(0))
    found[:, 0] = 1
    return found


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def rows(n_texts=20, per_text=50, width=10, noisy=0.0):
    """A random linear map's updates, with a share of noise in their variance."""
    n = n_texts * per_text
    x, text = noise(n, width) + 3, torch.arange(n_texts).repeat_interleave(per_text)
    linear = (x - 3) @ noise(width, width, seed=1)
    linear /= linear.std()
    return Rows(x, math.sqrt(1 - noisy) * linear + math.sqrt(noisy) * noise(n, width, seed=2) + 1, text)


# Blocks


def test_blocks_one_by_one_are_the_model(model, tokens):
    *_, last = Blocks(model, tokens).states(tokens)
    expected = model.original_model.base_model(tokens, use_cache=False).last_hidden_state
    torch.testing.assert_close(model.ln_final(last), expected)


def test_states_between_blocks_are_those_that_the_model_has(model, tokens):
    _, cache = model.run_with_cache(tokens)
    found = list(Blocks(model, tokens).states(tokens))
    for block, (before, after) in enumerate(pairwise(found)):
        torch.testing.assert_close(before, cache[f"blocks.{block}.hook_in"])
        torch.testing.assert_close(after, cache[f"blocks.{block}.hook_out"])


def plain_losses(model, tokens):
    """Without `Blocks`: the library's own logits, log-probabilities one by one."""
    logits = model.original_model(tokens, use_cache=False).logits.log_softmax(-1)
    texts = [
        [-float(logits[text, place, tokens[text, place + 1]]) for place in range(CONTEXT, tokens.shape[1] - 1)]
        for text in range(len(tokens))
    ]
    return torch.tensor([sum(losses) / len(losses) for losses in texts])


def hooked_losses(model, tokens, block, update):
    """The same with a hook on one block, of torch and not of ours."""

    def hook(_, args, output):
        found = output[0] if isinstance(output, tuple) else output
        changed = torch.cat([found[:, :1], args[0][:, 1:] + update(args[0][:, 1:])], dim=1)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.blocks[block].register_forward_hook(hook)
    try:
        return plain_losses(model, tokens)
    finally:
        handle.remove()


def test_losses_are_cross_entropies(model, tokens):
    blocks = Blocks(model, tokens)
    losses = blocks.losses(tokens, next(blocks.states(tokens)), 0, {})
    torch.testing.assert_close(losses, plain_losses(model, tokens))


@pytest.mark.parametrize("block", [0, 1])
def test_costs_are_those_of_a_model_with_a_hook(model, tokens, block):
    linear = LinearMap(0.1 * noise(24, 24).float(), noise(24).float(), noise(24, seed=1).float())
    found = Blocks(model, tokens).costs(tokens, [{block: linear}, {block: torch.zeros_like}])
    for cost, update in zip(found, (linear, torch.zeros_like), strict=True):
        expected = hooked_losses(model, tokens, block, update) - plain_losses(model, tokens)
        torch.testing.assert_close(cost, expected, atol=2e-6, rtol=1e-4)
        assert cost.abs().max() > 1e-3


def test_a_blocks_own_update_costs_nothing_and_several_are_replaced_at_once(model, tokens):
    blocks = Blocks(model, tokens)
    before = list(blocks.states(tokens))
    own = {block: lambda x, block=block: (before[block + 1] - before[block])[:, 1:] for block in (0, 1)}
    one, both, none = blocks.costs(tokens, [{1: own[1]}, own, {0: torch.zeros_like, 1: torch.zeros_like}])
    torch.testing.assert_close(one, torch.zeros(11), atol=1e-5, rtol=0)
    torch.testing.assert_close(both, torch.zeros(11), atol=1e-5, rtol=0)
    assert none.abs().max() > 1e-3


def test_logits_in_parts_are_the_same(monkeypatch, tokens):
    model = tiny_llama()
    whole = Blocks(model, tokens).costs(tokens, [{1: torch.zeros_like}])
    monkeypatch.setattr(method, "LOGITS", 7)
    monkeypatch.setattr("reproductions.common.blocks.BATCH", 3)
    torch.testing.assert_close(Blocks(model, tokens).costs(tokens, [{1: torch.zeros_like}]), whole)


# Scores


def as_published(x, y):
    """The paper's formula with NumPy: centred, divided by Frobenius norms, least squares."""
    x, y = (np.asarray(values) - np.asarray(values).mean(0) for values in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    A = np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - np.linalg.norm(x @ A - y) ** 2


def test_scores_in_sample_are_the_papers():
    found = rows(noisy=0.4)
    one_text = Rows(found.x, found.u, torch.zeros_like(found.text))
    values = scores(one_text, fit(found)[1])
    assert values["linearity_with_residual"].item() == pytest.approx(as_published(found.x, found.x + found.u))
    assert values["linearity_without_residual"].item() == pytest.approx(as_published(found.x, found.u))


def test_by_hand():
    """x 0, 2, 4 and u 1, 1, 4: slope 3/4, error 3/2; u varies by 6 about its mean, y by 26."""
    x, u = torch.tensor([0.0, 2, 4]), torch.tensor([1.0, 1, 4])
    twice = Rows(x.repeat(2)[:, None], u.repeat(2)[:, None], torch.tensor([0, 0, 0, 1, 1, 1]))
    linear = fit(twice, (0.0,))[0]
    assert linear.A.item() == pytest.approx(3 / 4)
    values = scores(twice, linear, "_here")
    assert values["linearity_without_residual_here"].tolist() == pytest.approx([1 - 1.5 / 6] * 2)
    assert values["linearity_with_residual_here"].tolist() == pytest.approx([1 - 1.5 / 26] * 2)
    assert values["residual_gap_here"].tolist() == pytest.approx([1.5 / 6 - 1.5 / 26] * 2)


def test_both_scores_have_one_error():
    """1 - L_with = r (1 - L_without), for any map and every text."""
    found, linear = rows(noisy=0.3), LinearMap(noise(10, 10, seed=5), noise(10), noise(10, seed=6))
    values = scores(found, linear)
    y_mean = linear.mean_x + linear.mean_y
    share = found.sums(found.u - linear.mean_y) / found.sums(found.x + found.u - y_mean)
    expected = share * (1 - values["linearity_without_residual"])
    torch.testing.assert_close(1 - values["linearity_with_residual"], expected)


@pytest.mark.parametrize("noisy", [0.0, 0.25, 0.5])
def test_what_is_linear_is_found_on_other_texts(noisy):
    every = rows(n_texts=80, per_text=100, noisy=noisy)
    fitted, held_out = (
        Rows(every.x[part], every.u[part], every.text[part]) for part in (slice(4000, None), slice(4000))
    )
    found = scores(held_out, fit(fitted)[0])["linearity_without_residual"].mean().item()
    assert found == pytest.approx(1 - noisy, abs=0.01)


def test_noise_is_predicted_in_sample_by_d_over_n_and_not_elsewhere():
    every = rows(n_texts=40, per_text=20, width=80, noisy=1.0)
    fitted, held_out = (Rows(every.x[part], every.u[part], every.text[part]) for part in (slice(400), slice(400, None)))
    best, exact, _ = fit(fitted)
    pooled = Rows(fitted.x, fitted.u, torch.zeros_like(fitted.text))
    assert scores(pooled, exact)["linearity_without_residual"].item() == pytest.approx(80 / 399, abs=0.02)
    elsewhere = Rows(held_out.x, held_out.u, held_out.text - 20)
    assert scores(elsewhere, exact)["linearity_without_residual"].mean() < -0.1
    assert -0.1 < scores(elsewhere, best)["linearity_without_residual"].mean() < 0.02


def test_ridge_is_that_of_the_normal_equations_with_a_penalty():
    """Least squares on data to which rows of the penalty's root were added."""
    x, u = noise(30, 6), noise(30, 6, seed=1)
    penalty = 0.3 * float((x.mT @ x).trace()) / 6
    more_x, more_u = np.vstack([x, math.sqrt(penalty) * np.eye(6)]), np.vstack([u, np.zeros((6, 6))])
    expected = np.linalg.lstsq(more_x, more_u, rcond=None)[0]
    np.testing.assert_allclose(ridge(x.mT @ x, x.mT @ u, 0.3), expected, atol=1e-12)


def test_the_strength_is_that_which_carries_over():
    """Pure noise takes the strongest penalty there is, a noiseless map the weakest."""
    for found, strength in ((rows(noisy=1.0), 1.0), (rows(), 1e-4)):
        means = found.x.mean(0), found.u.mean(0)
        x, u = found.x - means[0], found.u - means[1]
        torch.testing.assert_close(fit(found)[0].A, ridge(x.mT @ x, x.mT @ u, strength))


def test_a_scaled_copy_is_found_by_its_one_number():
    found = rows(noisy=1.0)
    copy = fit(Rows(found.x, -0.4 * found.x + 7, found.text))[2]
    torch.testing.assert_close(copy.A, -0.4 * torch.eye(10, dtype=torch.double))
    torch.testing.assert_close(copy(found.x), -0.4 * found.x + 7)


# Rows


def test_the_first_position_and_sinks_do_not_count():
    x, y = torch.ones(2, 4, 3), torch.full((2, 4, 3), 2.0)
    x[0, 2] *= 100  # long before the block
    y[1, 3] *= 100  # long after it
    found = Rows.of(x, y, (10.0, 10.0))
    assert found.text.tolist() == [0, 0, 1, 1]
    assert torch.equal(found.x, torch.ones(4, 3)) and torch.equal(found.u, torch.ones(4, 3))
    assert len(Rows.of(x, y).x) == 8


def test_dealing_keeps_each_texts_updates_and_breaks_pairs():
    found = rows(n_texts=5)
    dealt = found.dealt()
    assert torch.equal(dealt.x, found.x) and not torch.equal(dealt.u, found.u)
    for text in range(5):
        before, after = (sorted(each.u[found.text == text].tolist()) for each in (found, dealt))
        assert before == after


def test_planted_updates_are_one_linear_map_of_any_states():
    found = rows()
    first, second = found.planted(), Rows(2 * found.x, found.u, found.text).planted()
    torch.testing.assert_close(second.u, 2 * first.u)
    assert scores(first, fit(first)[0])["linearity_without_residual"].min() > 0.999
    assert first.u.norm() == pytest.approx(found.x.norm().item(), rel=0.5)


# Texts


def test_tokens_are_those_of_the_beginning():
    model = tiny_gpt2()
    excerpts = [Excerpt("a", " ".join(f"w{place + start}" for place in range(300))) for start in (2, 500)]
    one, several = first_tokens(model, excerpts), first_tokens(model, excerpts, most=5)
    assert one.shape == (2, SEQUENCE) and several.shape == (4, SEQUENCE)
    assert one[:, 1:].tolist() == [[start + place for place in range(SEQUENCE - 1)] for start in (2, 500)]


# A whole run


@pytest.fixture(scope="module")
def run():
    return toy_run(Toy())


def test_what_a_run_reports_is_what_was_declared(run):
    blocks, found, held_out = run
    declared = load_claims(Path(layer_linearity.__file__).with_name("reproduction.yml")).metrics
    reported = all_metrics(blocks, found, held_out)
    assert {metric.name for metric in reported} == set(declared)
    assert len(reported) == len(declared)
    assert all(math.isfinite(metric.value) for metric in reported)


def test_linear_blocks_score_one_and_cost_nothing_to_replace():
    blocks, found, held_out = toy_run(Toy(bend=0.0))
    for name in ("linearity_with_residual", "linearity_without_residual", "linearity_with_residual_as_published"):
        assert table(found, name).min() > 0.9999
    assert table(found, "copy_score").max() < 0.95
    values = {metric.name: metric.value for metric in all_metrics(blocks, found, held_out)}
    assert values["cost"] == pytest.approx(0, abs=0.01 * values["cost_removed"])
    assert values["cost_removed"] > 0.1


def test_blocks_that_bend_least_are_the_most_linear(run):
    _, found, _ = run
    score = table(found, "linearity_without_residual").mean(1)
    assert score.shape == (N_BLOCKS,)
    assert spearmanr(score, BENDS).statistic < -0.9
    assert most_linear(found) == [BENDS.index(0.02), BENDS.index(0.05)]


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_scores_of_a_tiny_model_are_those_of_its_states(make):
    """Each block's scores, held out and as published, from states that the library's own cache holds."""
    model = make()
    tokens = torch.randint(2, 1300, (40, 16), generator=torch.Generator().manual_seed(1))
    found = measure(Blocks(model, tokens), tokens[10:], tokens[:10])
    _, cache = model.run_with_cache(tokens)
    for place, block in enumerate(found):
        x, y = (cache[f"blocks.{place}.hook_{end}"].double() for end in ("in", "out"))
        fitted_x, fitted_u = x[10:].flatten(0, 1), (y - x)[10:].flatten(0, 1)
        centred_x, centred_u = fitted_x - fitted_x.mean(0), fitted_u - fitted_u.mean(0)
        error = centred_u - centred_x @ torch.linalg.lstsq(centred_x, centred_u).solution
        by_text = error.view(30, 16, -1).square().sum((1, 2)) / centred_u.view(30, 16, -1).square().sum((1, 2))
        torch.testing.assert_close(
            block.values["linearity_without_residual_as_published"], 1 - by_text, atol=1e-4, rtol=1e-4
        )
        ratio = (y - x)[:10, 1:].square().sum((1, 2)) / y[:10, 1:].square().sum((1, 2))
        torch.testing.assert_close(block.values["norm_ratio"], ratio.sqrt(), atol=0.1, rtol=0)  # but for sinks


def test_ranks_agree_as_spearman_says():
    a, b = noise(30), noise(30, seed=1)
    b[:4] = 0.0  # ties
    assert agreement(a, b).mean().item() == pytest.approx(spearmanr(a, b).statistic)
    assert agreement(a, a).mean().item() == pytest.approx(1)
    assert agreement(a, -a).mean().item() == pytest.approx(-1)


def test_the_explorers_data_are_curves_of_all_texts_and_of_each_source(run):
    _, found, _ = run
    sources = ["novel", "speeches"] * (HELD_OUT // 2)
    content = json.loads(json.dumps(explorers.check("curves", curves(found, sources))))
    assert content["x"]["values"] == list(range(N_BLOCKS))
    by_group = {(one["name"], one["group"]): one["values"] for one in content["series"]}
    score = table(found, "linearity_with_residual")
    assert by_group["with the residual stream", "all texts"] == pytest.approx(score.mean(1).tolist())
    assert by_group["with the residual stream", "speeches"] == pytest.approx(score[:, 1::2].mean(1).tolist())


def test_the_figure_shows_scores_and_costs(run):
    blocks, found, held_out = run
    removed = blocks.costs(held_out, [{place: torch.zeros_like} for place in range(N_BLOCKS)])
    figure = draw(found, removed / 2, removed)
    assert isinstance(figure, Figure)
    left, right = figure.axes
    assert len(left.lines) == len(method.CURVES)
    assert len(right.collections) == 2
    np.testing.assert_allclose(right.collections[1].get_offsets()[:, 1], removed.mean(1), rtol=1e-5)
