"""Autoencoders: trained on planted directions, rounded to 8 bits, loaded, and refused where they are not whole."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from reproductions.common.autoencoders import firing_rates, load_sae, ordinary, shipped, shipped_sites
from reproductions.common.autoencoders.codes import principal_components, random_dictionary
from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import AutoencoderError, Weights, as_shipped, dequantise, quantise
from reproductions.common.autoencoders.training import Recipe, Scaling, train

MODEL, SITE = "smollm2-135m", "blocks.7.hook_resid_post"
D, PLANTED, K = 24, 40, 3
SCALE, OFFSET = 37.0, 100.0
RECIPE = Recipe(k=K, expansion=3, epochs=12, batch=256, learning_rate=5e-3, dead_after=2560)


@pytest.fixture(scope="module")
def directions() -> Tensor:
    drawn = torch.randn(PLANTED, D, generator=torch.Generator().manual_seed(1))
    return drawn / drawn.norm(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def planted(directions: Tensor) -> Tensor:
    """Rows that are sums of three of the directions, far from the origin and at a scale of their own."""
    generator = torch.Generator().manual_seed(2)
    chosen = torch.rand(8_000, PLANTED, generator=generator).topk(K).indices
    strengths = torch.zeros(8_000, PLANTED).scatter_(1, chosen, 1 + torch.rand(8_000, K, generator=generator))
    return (SCALE * strengths @ directions + OFFSET).half()


@pytest.fixture(scope="module")
def trained(planted: Tensor) -> Weights:
    return train(planted, RECIPE, SITE, 0, "cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def written(folder: Path, trained: Weights) -> Path:
    path = shipped.path_of(MODEL, SITE, 0)
    rates = torch.arange(D * 3) / 100
    shipped.write(path, trained, rates, {"site": SITE, "seed": 0, "k": K, "outlier_norm": 7.5})
    return path


def _explained(x: Tensor, reconstructed: Tensor) -> float:
    return 1 - ((x - reconstructed).square().sum() / (x - x.mean(0)).square().sum()).item()


def test_training_recovers_planted_directions(trained: Weights, directions: Tensor) -> None:
    best = (directions @ trained.W_dec.T).amax(dim=1)
    assert (best > 0.9).float().mean() > 0.8
    torch.testing.assert_close(trained.W_dec.norm(dim=1), torch.ones(D * 3))


def test_training_beats_a_random_dictionary_and_principal_components(trained: Weights, planted: Tensor) -> None:
    x, mean = planted.float(), planted.float().mean(0)
    sae = as_topk(trained, K, MODEL, SITE, "cpu")
    random = _explained(x, random_dictionary(mean, D * 3, K)(x))
    components = _explained(x, principal_components(planted, mean, K)(x))
    assert _explained(x, sae.decode(sae.encode(x))) > max(random, components) + 0.1


def test_an_autoencoder_has_k_active_latents(trained: Weights, planted: Tensor) -> None:
    acts = as_topk(trained, K, MODEL, SITE, "cpu").encode(planted[:100].float())
    assert (acts > 0).sum(1).max() <= K
    assert (acts >= 0).all()


def test_training_again_gives_the_same_and_another_site_or_seed_another_start(planted: Tensor) -> None:
    short = Recipe(k=K, expansion=2, batch=256)
    first = train(planted[:2560], short, SITE, 0, "cpu")
    assert torch.equal(first.W_enc, train(planted[:2560], short, SITE, 0, "cpu").W_enc)
    assert not torch.allclose(first.W_enc, train(planted[:2560], short, SITE, 1, "cpu").W_enc)
    assert not torch.allclose(first.W_enc, train(planted[:2560], short, "blocks.8.hook_mlp_out", 0, "cpu").W_enc)


def test_the_callers_random_numbers_are_left_alone(planted: Tensor) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(planted[:512], Recipe(k=K, batch=256), SITE, 0, "cpu")
    assert torch.equal(torch.rand(3), expected)


def test_rows_are_scaled_to_zero_mean_and_a_mean_squared_norm_of_d(planted: Tensor) -> None:
    scaling = Scaling.of(planted, "cpu")
    scaled = (planted.float() - scaling.mean) * scaling.factor
    torch.testing.assert_close(scaled.mean(0), torch.zeros(D), atol=1e-3, rtol=0)
    torch.testing.assert_close(scaled.square().sum(1).mean(), torch.tensor(float(D)), rtol=1e-3, atol=0)


def test_principal_components_choose_the_largest_coefficients_of_each_token() -> None:
    basis = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0))).Q
    large = torch.tensor([[9.0, 0, 0, 0], [-9.0, 0, 0, 0], [0, 5.0, 0, 0], [0, -5.0, 0, 0]])
    small = torch.tensor([[0, 0, 2.0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1.0], [0, 0, 0, 1.0]])
    coefficients = torch.cat([large, large])
    rows = (coefficients + torch.cat([small, -small])) @ basis
    exact = principal_components(rows, torch.zeros(4), 2)(rows)
    torch.testing.assert_close(exact, rows, atol=1e-4, rtol=0)
    single = principal_components(rows, torch.zeros(4), 1)(rows)
    torch.testing.assert_close(single, coefficients @ basis, atol=1e-4, rtol=0)


def test_a_random_dictionary_solves_least_squares_on_the_directions_it_chose() -> None:
    generator = torch.Generator().manual_seed(0)
    x, mean = torch.randn(5, D, generator=generator), torch.randn(D, generator=generator)
    found = random_dictionary(mean, 50, K, seed=3)(x)
    directions = torch.randn(50, D, generator=torch.Generator().manual_seed(3))
    directions /= directions.norm(dim=1, keepdim=True)
    for row, reconstructed in zip(x - mean, found - mean, strict=True):
        basis = directions[(directions @ row).argsort(descending=True)[:K]]
        best = torch.linalg.lstsq(basis.T, row[:, None]).solution[:, 0] @ basis
        torch.testing.assert_close(reconstructed, best, atol=1e-3, rtol=0)


def test_rounding_is_off_by_half_a_step_at_most() -> None:
    rows = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-8, 8, 20)[:, None]
    rounded, scale = quantise(rows)
    assert rounded.dtype == torch.int8
    assert torch.equal(rounded.abs().amax(dim=1), torch.full((20,), 127, dtype=torch.int8))
    assert ((dequantise(rounded, scale) - rows).abs() <= 0.501 * scale[:, None]).all()
    assert torch.equal(dequantise(*quantise(torch.zeros(1, 4))), torch.zeros(1, 4))


def test_rounding_costs_less_than_a_hundredth_of_the_variance(trained: Weights, planted: Tensor) -> None:
    x = planted.float()
    full, rounded = (as_topk(weights, K, MODEL, SITE, "cpu") for weights in (trained, as_shipped(trained)))
    cost = _explained(x, full.decode(full.encode(x))) - _explained(x, rounded.decode(rounded.encode(x)))
    assert 0 < abs(cost) < 0.01


@pytest.mark.usefixtures("written")
def test_what_was_written_is_loaded_as_an_object_of_saelens(trained: Weights, planted: Tensor) -> None:
    sae, expected = load_sae(MODEL, SITE), as_shipped(trained)
    assert torch.equal(sae.W_dec, expected.W_dec)
    assert torch.equal(sae.W_enc, expected.W_enc)
    assert sae.cfg.architecture() == "topk"
    assert (sae.cfg.d_in, sae.cfg.d_sae, sae.cfg.k) == (D, D * 3, K)
    assert (sae.cfg.metadata.model_name, sae.cfg.metadata.hook_name) == (MODEL, SITE)
    assert sae.cfg.metadata.outlier_norm == 7.5
    assert sae.W_dec.dtype == torch.float32
    assert not any(weight.requires_grad for weight in sae.parameters())
    x = planted[:10].float()
    by_hand = ((x - expected.b_dec) @ expected.W_enc + expected.b_enc).topk(K)
    torch.testing.assert_close(sae.encode(x).gather(1, by_hand.indices), by_hand.values.relu())


@pytest.mark.usefixtures("written")
def test_one_of_this_project_is_not_for_outliers_and_one_without_a_limit_for_all(trained: Weights) -> None:
    rows = 7.5 * torch.tensor([0.9, 1.1])[:, None] * torch.nn.functional.normalize(torch.ones(2, D))
    assert ordinary(load_sae(MODEL, SITE), rows).tolist() == [True, False]
    assert ordinary(as_topk(trained, K, MODEL, SITE, "cpu"), rows).tolist() == [True, True]


@pytest.mark.usefixtures("written")
def test_firing_rates_come_along() -> None:
    assert torch.equal(firing_rates(MODEL, SITE), torch.arange(D * 3) / 100)


def test_a_weight_takes_one_byte(written: Path) -> None:
    tensors = load_file(written)
    assert {name: tensor.dtype for name, tensor in tensors.items() if name in ("W_enc", "W_dec")} == {
        "W_enc": torch.int8,
        "W_dec": torch.int8,
    }
    assert sum(tensor.nbytes for tensor in tensors.values()) < 2 * D * 3 * (D + 12) + 4 * D


def test_an_altered_file_is_refused(written: Path) -> None:
    content = bytearray(written.read_bytes())
    content[-1] ^= 1
    written.write_bytes(content)
    with pytest.raises(AutoencoderError, match="is not the file that its card describes"):
        load_sae(MODEL, SITE)


@pytest.mark.parametrize("card", ["{", None])
def test_a_file_without_its_card_is_refused(written: Path, card: str | None) -> None:
    written.with_suffix(".json").unlink()
    if card:
        written.with_suffix(".json").write_text(card, encoding="utf8")
    with pytest.raises(AutoencoderError, match="is not the file that its card describes"):
        load_sae(MODEL, SITE)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(("site", "seed"), [("blocks.8.hook_resid_post", 0), (SITE, 1), ("blocks.7.mlp", 0)])
def test_an_unknown_site_is_refused_and_the_known_ones_are_named(site: str, seed: int) -> None:
    with pytest.raises(AutoencoderError, match=rf"no autoencoder of {MODEL} for .* there are {SITE}\."):
        load_sae(MODEL, site, seed)


def test_a_second_seed_has_a_file_of_its_own(written: Path, trained: Weights) -> None:
    second = shipped.path_of(MODEL, SITE, 1)
    assert second != written
    shipped.write(second, trained, torch.zeros(D * 3), {"site": SITE, "seed": 1, "k": K - 1, "outlier_norm": 7.5})
    assert shipped_sites(MODEL) == [(SITE, 0), (SITE, 1)]
    assert load_sae(MODEL, SITE, seed=1).cfg.k == K - 1
    with pytest.raises(AutoencoderError, match=rf"there are {SITE}, {SITE} \(seed 1\)"):
        load_sae(MODEL, SITE, seed=2)


@pytest.mark.usefixtures("folder")
def test_for_a_model_without_any_it_is_said_how_released_ones_are_named() -> None:
    with pytest.raises(AutoencoderError, match=r"none comes with this project.* release/id"):
        load_sae("gpt2", "blocks.8.hook_resid_pre")


@pytest.mark.parametrize(
    ("site", "why"),
    [
        ("gpt2-small-res-jb/blocks.8.hook_resid_pre", "it is not in the cache, and the model hub cannot be reached"),
        ("gpt2-small-res-jb/blocks.99", "ID blocks.99 not found in release gpt2-small-res-jb"),
        ("no-such-release/blocks.8", "Release no-such-release not found"),
    ],
)
def test_a_released_one_that_cannot_be_had_is_told_in_one_line(
    site: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(AutoencoderError) as refused:
        load_sae("gpt2", site)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("card", sorted(shipped.FOLDER.glob("*/*.json")), ids=lambda card: card.stem)
def test_the_autoencoders_that_come_along_are_whole_and_worth_having(card: Path) -> None:
    weights, rates, found = shipped.read(card.with_suffix(".safetensors"))
    assert (weights.W_dec.norm(dim=1) - 1).abs().max() < 0.01
    assert rates.shape == weights.b_enc.shape
    assert abs(found["rounding_cost"]) < 0.005
    explained = {name: found[name]["explained_variance"] for name in ("autoencoder", "random_dictionary")}
    assert explained["autoencoder"] > explained["random_dictionary"]
    assert json.loads(card.read_text(encoding="utf8"))["held_out_sha256"]


def test_all_that_come_along_fit_into_36_mib() -> None:
    assert sum(file.stat().st_size for file in shipped.FOLDER.rglob("*.safetensors")) < 36 * 2**20
