"""Shares against brute force and worlds that are known, parts against identities, and planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from picks.environment import ROOT
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.edits import final_states
from reproductions.common.excerpts import Texts
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import mean_of
from reproductions.common.verdicts import POSITIVE, judge_claim
from reproductions.sae_dark_matter import method
from reproductions.sae_dark_matter.method import (
    Costs,
    Rows,
    Site,
    agreement,
    as_published,
    decompose,
    grid,
    intervene,
    metrics,
    planted,
    rows_of,
    shrunk,
    sibling_metrics,
    squared,
    study,
    without,
    world,
)
from tests.common.axes_sae import AxesSae
from tests.common.tiny_bridge import WIDTH, WORDS

SITES = ("blocks.1.hook_resid_post", "blocks.1.hook_attn_out", "blocks.2.hook_mlp_out")
CLAIMS = {claim.id: claim for claim in load_claims(ROOT / "reproductions/sae_dark_matter/reproduction.yml").claims}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def texts(n, length, seed):
    tokens = torch.randint(1, len(WORDS), (n, length), generator=torch.Generator().manual_seed(seed))
    return Texts(tokens, torch.arange(n))


@pytest.fixture(scope="module")
def made():
    """Rows of forty and of eight texts whose error is in part linear in x."""
    text, x = torch.arange(48).repeat_interleave(30), drawn(48 * 30, 12) + 1
    e = x @ drawn(12, 12, seed=1) / 4 + drawn(48 * 30, 12, seed=2)
    first = text < 40
    return Rows(x[first], e[first], text[first]), Rows(x[~first], e[~first], text[~first] - 40)


# Shares


def test_a_share_is_that_of_each_text():
    rows = Rows(drawn(30, 4), drawn(30, 4, seed=1), torch.arange(3).repeat_interleave(10))
    y, predicted, mean = drawn(30, 2, seed=2), drawn(30, 2, seed=3), torch.tensor([0.1, -0.2])
    for text, share in enumerate(rows.share(y, predicted, mean).tolist()):
        some = rows.text == text
        spread = (y[some] - mean).square().sum()
        assert share == pytest.approx(float(1 - (y[some] - predicted[some]).square().sum() / spread), rel=1e-5)
    torch.testing.assert_close(rows.share(y, y, mean), torch.ones(3).double())
    torch.testing.assert_close(rows.share(y, mean.expand_as(y), mean), torch.zeros(3).double())


def test_shares_are_those_of_least_squares_on_other_texts(made):
    fitted, held = made
    x, e = fitted.x.numpy(), fitted.e.numpy()
    solved = np.linalg.lstsq(np.c_[x, np.ones(len(x))], e, rcond=None)[0]
    missed = held.e.numpy() - np.c_[held.x.numpy(), np.ones(len(held.x))] @ solved
    found = decompose(fitted, held)
    for text in range(8):
        some = held.text.numpy() == text
        spread = ((held.e.numpy() - e.mean(0))[some] ** 2).sum()
        assert found.shares["vector"][text] == pytest.approx(1 - (missed[some] ** 2).sum() / spread, abs=4e-3)
    np.testing.assert_allclose(
        found.sizes["unpredictable"], [(missed[held.text.numpy() == text] ** 2).sum() for text in range(8)], rtol=1e-2
    )
    assert found.shares["vector_dealt"].abs().max() < 0.05 < found.shares["vector"].min()


def test_an_error_that_is_linear_is_predicted_whole_and_noise_not_at_all(made):
    fitted, held = made
    A = drawn(12, 12, seed=5)
    linear = decompose(replace(fitted, e=fitted.x @ A + 2), replace(held, e=held.x @ A + 2))
    assert (linear.shares["vector"] > 0.9999).all()
    noise = decompose(replace(fitted, e=drawn(1200, 12, seed=6)), replace(held, e=drawn(240, 12, seed=7)))
    assert noise.shares["vector"].mean() < 0.005


def test_an_error_as_long_as_the_activation_is_told_by_its_length(made):
    found = decompose(*(replace(rows, e=rows.x.flip(1)) for rows in made)).shares
    assert (found["length"] > 0.9999).all() and decompose(*made).shares["length"].mean() < 0.6


def test_the_way_of_the_authors_is_the_mean_over_dimensions_of_tokens_left_out(made):
    rows, _ = made
    y = rows.e
    fitted, held = method.dealt(len(y)).chunk(2)
    A = np.linalg.lstsq(rows.x[fitted].double().numpy(), y[fitted].double().numpy(), rcond=None)[0]
    missed = y[held].double().numpy() - rows.x[held].double().numpy() @ A
    spread = (y[held] - y[held].mean(0)).double().numpy()
    text = rows.text[held].numpy()
    by_hand = [np.mean(1 - (missed[text == t] ** 2).sum(0) / (spread[text == t] ** 2).sum(0)) for t in range(40)]
    np.testing.assert_allclose(as_published(rows, y), by_hand, rtol=1e-5)


def test_the_reconstruction_of_a_layer_before_predicts_what_was_made_of_it(made):
    fitted, held = made
    earlier = drawn(len(fitted.x), 12, seed=8), drawn(len(held.x), 12, seed=9)
    B = drawn(12, 12, seed=10)
    known = [replace(rows, e=before @ B, before=before) for rows, before in zip(made, earlier, strict=True)]
    found = decompose(*known).shares
    assert found["vector"].mean() < 0.05 and (found["earlier"] > 0.9).all() and found["earlier_dealt"].mean() < 0.05
    assert found["earlier_own"].mean() < 0.05
    assert "earlier" not in decompose(fitted, held).shares


def test_planted_worlds_are_what_they_are_said_to_be():
    left_out, false, x = world(3, 20_000, 32, 84, 4)
    assert torch.linalg.matrix_rank(left_out) == 4
    assert (left_out @ false.T)[:200, :200].abs().max() < 1e-4  # in other dimensions
    solved = torch.linalg.lstsq(torch.cat([x, torch.ones(20_000, 1)], 1), torch.cat([left_out, squared(left_out)], 1))
    again = torch.cat([x, torch.ones(20_000, 1)], 1) @ solved.solution
    torch.testing.assert_close(again, torch.cat([left_out, squared(left_out)], 1), atol=1e-2, rtol=0)
    both = torch.stack([squared(false)[:, 0], squared(x)[:, 0]])
    assert abs(float(both.corrcoef()[0, 1])) < 0.03


def test_what_was_planted_is_found_and_no_more():
    found = {name: values.mean().item() for name, values in planted(worlds=6).items()}
    assert found["planted_vector"] == pytest.approx(1, abs=0.04)
    assert found["planted_norm"] == pytest.approx(1, abs=0.08)
    assert found["planted_parts"] == pytest.approx(1, abs=0.05)
    assert abs(found["planted_vector_nothing"]) < 0.02 and abs(found["planted_norm_nothing"]) < 0.03


@pytest.mark.parametrize("fault", ["scored on what was fitted", "uncentred"])
def test_a_wrong_share_is_caught_by_its_control(made, fault):
    """Noise whose mean is not 0, from few rows: a wrong way of scoring calls it predictable, and dealt rows as well."""
    few = Rows(drawn(60, 12), drawn(60, 12, seed=1) + 1, torch.arange(12).repeat_interleave(5))
    regression = method.Regression(few.x, few.text, [0.0])
    mean = torch.zeros(12) if fault == "uncentred" else few.e.mean(0)
    shares = [few.share(y, regression.fit(y)(few.x), mean) for y in (few.e, few.e[method.dealt(60)])]
    names = ("vector_resid", "vector_resid_dealt", "planted_vector", "vector_resid_published")
    units = [*(share.tolist() for share in shares), [1.0, 1.01, 0.99], [0.1, 0.2, 0.15]]
    found = {name: mean_of(name, some) for name, some in zip(names, units, strict=True)}
    assert found["vector_resid"].value > 0.1
    assert judge_claim(CLAIMS["V1"], found, "full").verdict not in POSITIVE


# Tokens


def test_what_is_left_of_the_predictable_part_does_not_pass_as_news_from_before(made):
    """The layer before knows the activation and nothing else: it predicts no more of u than the activation does."""
    known = [replace(rows, before=rows.x + 0.1 * drawn(*rows.x.shape, seed=11)) for rows in made]
    found = decompose(*known).shares
    units = {
        "earlier": found["earlier"],
        "earlier_own": found["earlier_own"],
        "planted_vector": torch.tensor([1.0, 1.01]),
    }
    judged = judge_claim(CLAIMS["E1"], {name: mean_of(name, some.tolist()) for name, some in units.items()}, "full")
    assert judged.verdict not in POSITIVE


def test_encoding_some_at_a_time_is_the_same(monkeypatch):
    dictionary, x = Dictionary(SITES[0], AxesSae()), drawn(50, WIDTH)
    monkeypatch.setattr(method, "AT_ONCE", 7)
    torch.testing.assert_close(method.reconstructed(dictionary, x), dictionary.reconstructed(x))


def test_outliers_of_a_site_and_before_it_are_left_out():
    x = {name: drawn(2, 5, WIDTH, seed=seed) for seed, name in enumerate(("blocks.0.hook_resid_post", SITES[0]))}
    limits = [some.norm(dim=-1).median().item() for some in x.values()]
    before, own = (Dictionary(name, AxesSae(limit=limit)) for name, limit in zip(x, limits, strict=True))
    kept = (x[before.site].norm(dim=-1) <= limits[0]) & (x[own.site].norm(dim=-1) <= limits[1])
    rows = rows_of(x, torch.tensor([4, 9]), own, [own, before])
    assert torch.equal(rows.x, x[own.site][kept])
    assert torch.equal(rows.text, torch.tensor([4, 9])[kept.nonzero()[:, 0]])
    torch.testing.assert_close(rows.before, before.reconstructed(x[before.site][kept]))
    torch.testing.assert_close(rows.e, rows.x - own.reconstructed(rows.x))
    assert rows_of(x, torch.tensor([4, 9]), own, [own]).before is None


# Costs


def test_what_is_missing_adds_up():
    x, e, p = (drawn(3, 8, 16, seed=seed) for seed in range(3))
    found = without(x, e, p)
    torch.testing.assert_close(found["sae"], x - e)
    torch.testing.assert_close(found["predictable"] + found["unpredictable"] - found["sae"], x)
    for part, size in (("predictable", p), ("unpredictable", e - p)):
        for suffix in ("noise", "again"):
            torch.testing.assert_close((found[f"{part}_{suffix}"] - x).norm(dim=-1), size.norm(dim=-1))
    put_back = found["other"] - found["sae"]
    torch.testing.assert_close(put_back.norm(dim=-1), (e - p).norm(dim=-1))
    cosines = torch.cosine_similarity(put_back[:, 4], (e - p)[:, 0], dim=-1)  # of another token of the text
    torch.testing.assert_close(cosines, torch.ones(3))


@pytest.mark.parametrize("site", SITES)
def test_costs_are_those_of_a_plain_pass(model, site):
    held, dictionary = texts(8, 12, 1), Dictionary(site, AxesSae())
    (parts,) = study(model, [dictionary], texts(40, 20, 0), held)
    found = intervene(model, held.tokens, dictionary, parts.error)
    clean, changed = (
        model.original_model.lm_head(states)[:, 1:-1].log_softmax(-1)
        for states in (
            final_states(model, held.tokens),
            final_states(model, held.tokens, {site: lambda x: x - parts.error(x)}),
        )
    )
    kl = (clean.exp() * (clean - changed)).sum(-1).mean(-1)
    torch.testing.assert_close(found.kl["predictable"], kl, atol=1e-5, rtol=1e-3)


def test_an_autoencoder_that_misses_nothing_costs_nothing_and_outliers_keep_what_they_have(model):
    fitted, held = texts(20, 20, 0), texts(8, 12, 1)
    (parts,) = study(model, [Dictionary(SITES[0], AxesSae())], fitted, held)
    for whole in (Dictionary(SITES[0], AxesSae(k=WIDTH)), Dictionary(SITES[0], AxesSae(limit=1e-6))):
        assert intervene(model, held.tokens, whole, parts.error).kl["sae"].abs().max() < 1e-6


# Metrics


@pytest.fixture(scope="module")
def sites(model):
    fitted, held = texts(40, 20, 0), texts(8, 12, 1)
    dictionaries = [Dictionary(site, AxesSae()) for site in SITES]
    found = study(model, dictionaries, fitted, held, [Dictionary("blocks.0.hook_resid_post", AxesSae())])
    pairs = zip(dictionaries, found, strict=True)
    return [Site(parts, intervene(model, held.tokens, one, parts.error)) for one, parts in pairs]


def test_metrics_are_means_over_texts(sites):
    found = {metric.name: metric for metric in metrics(sites)}
    resid = sites[0]
    assert found["gap_resid"].value == pytest.approx(
        float((resid.parts.shares["norm"] - resid.parts.shares["vector"]).mean()), rel=1e-3
    )
    assert found["earlier"].value == pytest.approx(float(resid.parts.shares["earlier"].mean()), rel=1e-3)
    assert found["back_unpredictable_resid"].value == pytest.approx(
        float((resid.costs.loss["sae"] - resid.costs.loss["predictable"]).mean()), rel=1e-3, abs=1e-6
    )
    named = {name for claim in CLAIMS.values() for name in (claim.metric, claim.control) if name}
    assert named - set(found) == {"contexts", "contexts_dealt", "width", "width_seed"}


def test_a_part_is_dear_that_does_more_harm_than_its_share(sites):
    sizes = {"predictable": torch.tensor([1.0, 2.0]), "unpredictable": torch.tensor([4.0, 8.0])}
    kl = {"predictable": torch.tensor([0.1, 0.2]), "unpredictable": torch.tensor([0.4, 3.2])}
    site = Site(replace(sites[0].parts, sizes=sizes), Costs(kl, {}))
    torch.testing.assert_close(site.dear(), torch.tensor([0.0, 2.0]))
    in_loss = Site(
        site.parts, Costs({}, {"predictable": torch.tensor([0.1, 0.2]), "unpredictable": torch.tensor([0.4, 1.6])})
    )
    torch.testing.assert_close(in_loss.dear_in_loss(), torch.tensor([0.0, 1.0]))


def test_width_takes_more_off_one_part(sites):
    wide = replace(sites[0].parts, sizes={part: torch.ones(8) for part in method.PARTS})
    narrow = replace(wide, sizes={"predictable": torch.full([8], 4.0), "unpredictable": torch.full([8], 2.0)})
    torch.testing.assert_close(shrunk(narrow, wide), torch.ones(8))
    found = {metric.name: metric for metric in sibling_metrics(wide, narrow, wide)}
    assert found["width"].value == pytest.approx(1) and found["width_seed"].value == 0
    assert found["contexts"].value == pytest.approx(1) and abs(found["contexts_dealt"].value) < 0.4


def test_ranks_are_compared_within_texts():
    text = torch.arange(3).repeat_interleave(20)
    a, b = drawn(60), drawn(60, seed=1)
    by_hand = [spearmanr(a[text == one], b[text == one]).statistic for one in range(3)]
    assert agreement(a, b + 100 * text, text) == pytest.approx(by_hand)


def test_the_explorer_and_the_figure_can_be_drawn(sites):
    content = grid(sites)
    assert explorers.text("grid", content)
    shown = {item["title"]: item["values"] for item in content["items"]}
    assert shown["share predicted: the error vector"]["found"][1][2] == pytest.approx(
        float(sites[2].parts.shares["vector"].mean()), abs=1e-4
    )
    assert shown["KL without all of the error"]["control"] == [[None] * 3] * 2
    assert len(method.draw(sites).axes) == 2
