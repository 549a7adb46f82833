"""Stand-ins against their identities, effects against plain passes and brute force, and known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reproductions.common import explorers
from reproductions.common.edits import logit_lens
from reproductions.common.held_out import Excerpt
from reproductions.common.latents import Dictionary
from reproductions.common.substitution import Reading, gaussian, unit
from reproductions.sae_errors import method
from reproductions.sae_errors.method import (
    MEASURED,
    Moments,
    Site,
    at_cosine,
    curves,
    measure,
    metrics,
    strongest,
    substitutes,
    toy,
)
from tests.common.axes_sae import AxesSae
from tests.common.tiny_bridge import WIDTH, WORDS, random_tokens

SITES = ("blocks.1.hook_resid_post", "blocks.1.hook_attn_out", "blocks.2.hook_mlp_out")


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(9, 12)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


# Stand-ins


@pytest.mark.parametrize("c", [-1.0, -0.5, 0.0, 0.3, 0.99, 1.0])
def test_a_point_at_a_cosine_has_exactly_that_cosine_and_length(c):
    x, direction, norm = noise(5, 7, 16), noise(5, 7, 16, seed=1), noise(5, 7, seed=2).abs()
    found = at_cosine(x, direction, torch.full_like(norm, c), norm)
    torch.testing.assert_close(found.norm(dim=-1), norm)
    torch.testing.assert_close((unit(found) * unit(x)).sum(-1), torch.full_like(norm, c))


def test_stand_ins_are_as_far_or_at_the_angle_of_the_reconstruction():
    x, x_hat = noise(3, 9, 16), noise(3, 9, 16, seed=1)
    found = substitutes(x, x_hat, noise(3, 9, 16, seed=2), Moments.of(x.flatten(0, 1)), apart=4)
    distance = (x_hat - x).norm(dim=-1)
    for name in ("random", "shaped", "other"):
        torch.testing.assert_close((found[name] - x).norm(dim=-1), distance)
    torch.testing.assert_close(found["norm"].norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(unit(found["norm"]), unit(x_hat))
    torch.testing.assert_close(found["cosine"].norm(dim=-1), x_hat.norm(dim=-1))
    torch.testing.assert_close((unit(found["cosine"]) * unit(x)).sum(-1), (unit(x_hat) * unit(x)).sum(-1))
    torch.testing.assert_close(unit(found["other"] - x)[:, 4], unit(x_hat - x)[:, 0])  # of another token of the text


def test_shaped_directions_vary_as_activations_do():
    rows = noise(4000, 6) * torch.tensor([4.0, 3.0, 2.0, 1.0, 0.1, 0.0]).double() + 5
    moments = Moments.of(rows)
    drawn = noise(20_000, 6, seed=1) @ moments.root
    torch.testing.assert_close(drawn.T.cov(), rows.T.cov(), atol=0.4, rtol=0.1)
    assert drawn[:, 5].abs().max() < 1e-6


def test_the_strongest_latents_are_kept_and_outliers_pass():
    x = noise(2, 5, WIDTH).float()
    everything = Dictionary(SITES[0], AxesSae(k=WIDTH))
    torch.testing.assert_close(strongest(everything, x, WIDTH), x)
    by_hand = torch.where(x.abs() == x.abs().max(-1, keepdim=True).values, x, 0.0)
    torch.testing.assert_close(strongest(everything, x, 1), by_hand)
    torch.testing.assert_close(strongest(Dictionary(SITES[0], AxesSae(limit=0.1)), x, 1), x)


# Sites


@pytest.fixture(scope="module")
def sites(model, tokens) -> list[Site]:
    return [measure(model, tokens, Dictionary(site, AxesSae()), 2, (1, 4), (0.9, 0.5)) for site in SITES]


def test_a_site_has_every_effect_of_every_text(sites):
    for site in sites:
        assert set(site.kl) == set(site.loss) == set(MEASURED)
        assert all(values.shape == (9,) and (values >= -1e-6).all() for values in site.kl.values())
        assert (site.at_k.shape, site.curve.shape) == ((2, 3, 9), (2, 9))
        assert 0 < site.missed < 1 and site.angles[0] < site.angles[1]
        torch.testing.assert_close(site.at_k[1, 0], site.kl["sae"])  # all active latents are the reconstruction


def test_an_autoencoder_that_misses_nothing_does_nothing(model, tokens):
    found = measure(model, tokens, Dictionary(SITES[0], AxesSae(k=WIDTH)), 1, (1, WIDTH), (0.9, 0.5))
    assert found.missed < 1e-6
    for name in ("sae", "norm", "random", "shaped", "random again"):
        torch.testing.assert_close(found.kl[name], torch.zeros(9), atol=1e-5, rtol=0)


def test_outliers_keep_what_they_have(model, tokens):
    reading = Reading(model, tokens, SITES[0])
    limit = reading.x.norm(dim=-1).median().item()
    found = measure(model, tokens, Dictionary(SITES[0], AxesSae(limit=limit)), 1, (1, 4), (0.9, 0.5))
    whole = measure(model, tokens, Dictionary(SITES[0], AxesSae()), 1, (1, 4), (0.9, 0.5))
    assert found.kl["zero"].mean() < whole.kl["zero"].mean()


def test_random_draws_are_averaged(model, tokens):
    one, two = (measure(model, tokens, Dictionary(SITES[0], AxesSae()), n, (1, 4), (0.9, 0.5)) for n in (1, 2))
    torch.testing.assert_close(one.kl["sae"], two.kl["sae"])
    assert not torch.allclose(one.kl["random"], two.kl["random"])


def test_errors_along_features_do_more_harm_in_worlds_of_features():
    found = toy()
    assert (found > 0).all() and found.mean() > 0.4


def test_metrics_are_means_over_sites_of_a_kind(sites):
    found = {metric.name: metric for metric in metrics(sites)}
    by_hand = (sites[0].kl["sae"] / sites[0].kl["random"]).log2()
    assert found["excess_resid"].value == pytest.approx(by_hand.mean().item(), rel=1e-4)
    assert found["loss_attn"].value == pytest.approx(
        (sites[1].loss["sae"] - sites[1].loss["random"]).mean().item(), rel=1e-3
    )
    for name in ("excess", "shaped", "own", "angle"):  # a second stand-in of its own kind is neither it nor far from it
        assert 0 < abs(found[f"{name}_resid_noise"].value) < 1
    few = (sites[0].at_k[0, 2] / sites[0].at_k[0, 1]).log2() + (sites[1].at_k[0, 2] / sites[1].at_k[0, 1]).log2()
    few += (sites[2].at_k[0, 2] / sites[2].at_k[0, 1]).log2()
    assert found["few_latents_noise"].value == pytest.approx(few.mean().item() / 3, rel=1e-3, abs=1e-5)
    assert found["missed"].value == pytest.approx(sum(site.missed for site in sites) / 3, rel=1e-5)
    for site in sites:
        cosines = [found[f"{name}_cosine_{site.kind}"].value for name in ("few", "all")]
        assert cosines == pytest.approx(list(site.angles), rel=1e-5)


def test_the_explorer_and_the_figure_can_be_drawn(sites):
    assert explorers.text("curves", curves(sites))
    figure = method.draw(sites)
    assert len(figure.axes) == 2


def test_texts_are_first_tokens_in_an_order_of_their_own(model):
    excerpts = [Excerpt("a", " ".join(["w1"] * 200)), Excerpt("b", "w2"), Excerpt("c", " ".join(["w3"] * 200))]
    found = method.first_tokens(model, excerpts, 2, 10)
    assert found.shape == (2, 10)
    assert (found[:, 0] == 0).all() and len(set(found[:, 1].tolist())) == 2
    assert logit_lens(model, torch.zeros(1, WIDTH)).shape[-1] == len(WORDS)


def test_in_worlds_whose_reader_sees_one_feature_a_random_point_does_more_harm_than_that_feature_alone():
    found = method.toy_of_few()
    assert (found > 0).all() and found.mean() > 0.4


def test_sparser_sites_have_numbers_of_their_own(sites):
    usual = {metric.name: metric for metric in metrics(sites)}
    both = {metric.name: metric for metric in metrics([*sites, replace(sites[0], variant="k8")])}
    assert both["excess_sparser"].units == usual["excess_resid"].units
    assert {name for name in both if name not in usual} == {name for name in both if "_sparser" in name}
    assert all(both[name].value == usual[name].value for name in usual)
    assert replace(sites[0], variant="k8").label == "1 resid k8"


def test_loss_of_few_latents_is_beside_that_of_a_random_point_of_their_angle(model, tokens):
    found = measure(model, tokens, Dictionary(SITES[0], AxesSae()), 1, (4,), (0.5,))
    reading = Reading(model, tokens, SITES[0])
    x, x_hat = reading.x, Dictionary(SITES[0], AxesSae()).reconstructed(reading.x)
    near = at_cosine(x, gaussian(x, 0), (unit(x) * unit(x_hat)).sum(-1), x_hat.norm(dim=-1))
    effects = reading.effects({"few": x_hat, "near": near})
    torch.testing.assert_close(found.few_loss, effects["few"].loss - effects["near"].loss, atol=1e-5, rtol=1e-4)


def test_robustness_is_told_for_each_site(sites):
    rows = method.robustness(sites)
    assert [row[0] for row in rows] == ["1 resid", "1 attn", "2 mlp"]
    assert all(len(row) == 4 for row in rows)
