"""Features of both kinds are read, written along and clamped as their definitions say."""

import pytest
import torch

from reproductions.common.edits import Edited, final_states
from reproductions.output_centric import features
from reproductions.output_centric.features import MLP, NEURON, RESIDUAL, Feature, Neurons, clamps, neurons, sample
from tests.common.tiny_bridge import LAYERS, WIDTH, tiny_gemma
from tests.output_centric.tiny import LATENTS, tiny_latents, tiny_model

D_MLP = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def values():
    return torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(0))


def test_a_clamped_latent_moves_the_stream_along_its_decoder_row_alone(values):
    latents, indices, to = tiny_latents(), torch.tensor([4, 7, 30]), torch.tensor([5.0, -2.0, 0.0])

    clamped = latents.clamped(values, indices, to)

    codes = latents.dictionary.sae.encode(values)
    for row, (index, value) in enumerate(zip(indices, to, strict=True)):
        change = (value - codes[row, :, index])[:, None] * latents.dictionary.sae.W_dec[index]
        assert torch.allclose(clamped[row] - values[row], change, atol=1e-5)


def test_clamping_to_what_it_is_changes_nothing(values):
    latents = tiny_latents()
    code = latents.dictionary.sae.encode(values)[0, 2]
    active = int(code.argmax())

    clamped = latents.clamped(values[:1, 2:3], torch.tensor([active]), code[active][None])

    assert torch.allclose(clamped, values[:1, 2:3], atol=1e-5)


def test_outliers_excite_no_latent_and_pass_unchanged(values):
    limit = values.norm(dim=-1).median().item()
    latents = tiny_latents(limit=limit)
    outlier = values.norm(dim=-1) > limit

    active = latents.activations(values, torch.arange(LATENTS))

    assert (active[outlier] == 0).all()
    assert (active[~outlier] > 0).any(-1).all()
    assert torch.equal(latents.reconstructed(values)[outlier], values[outlier])
    assert not torch.allclose(latents.reconstructed(values)[~outlier], values[~outlier])


def test_both_sides_of_a_neuron_make_up_its_value(model):
    source, post = neurons(model, 1), torch.randn(2, 4, D_MLP)

    both = source.activations(post, torch.arange(source.n))

    assert source.n == 2 * D_MLP
    assert torch.allclose(both[..., :D_MLP] - both[..., D_MLP:], post)
    assert (both >= 0).all()


def test_a_neurons_sides_write_in_opposite_directions(model):
    source = neurons(model, 1)

    assert torch.equal(source.directions(torch.tensor([3])), -source.directions(torch.tensor([3 + D_MLP])))
    assert torch.equal(source.directions(torch.tensor([3]))[0], model.blocks[1].mlp.W_out[3])


def test_a_clamped_neuron_has_the_value_with_its_sign(model):
    source, post = neurons(model, 1), torch.randn(2, 4, D_MLP)

    clamped = source.clamped(post, torch.tensor([3, 5 + D_MLP]), torch.tensor([7.0, 7.0]))

    assert (clamped[0, :, 3] == 7).all()
    assert (clamped[1, :, 5] == -7).all()
    untouched = clamped.clone()
    untouched[0, :, 3], untouched[1, :, 5] = post[0, :, 3], post[1, :, 5]
    assert torch.equal(untouched, post)


def test_where_mlps_have_a_norm_behind_them_its_gains_count(tmp_path):
    gemma = tiny_gemma(tmp_path)
    source, tokens = neurons(gemma, 1), torch.randint(1, 51, (1, 6))
    read = {}

    def keep(name):
        return lambda values: read.setdefault(name, values)

    with Edited(gemma, {source.hook: keep("post"), "blocks.1.hook_mlp_out": keep("out")}):
        gemma(tokens)
    written = read["post"] @ source.W_out  # up to the length that the norm divides by

    assert torch.allclose(
        torch.nn.functional.normalize(written, dim=-1), torch.nn.functional.normalize(read["out"], dim=-1), atol=1e-4
    )


def mixed(model):
    """Features of three sources, the rows of which alternate."""
    latents, others = tiny_latents(), neurons(model, 0)
    return [Feature(latents, 3), Feature(others, 9), Feature(latents, 11), Feature(neurons(model, 2), 40)]


@pytest.mark.parametrize("reconstruct", [False, True])
def test_a_batch_of_clamps_equals_one_at_a_time(model, reconstruct):
    chosen, to, rows = mixed(model), torch.tensor([3.0, -4.0, 5.0, 6.0]), 2
    tokens = torch.randint(1, 51, (rows, 6), generator=torch.Generator().manual_seed(1))

    together = final_states(model, tokens.repeat(4, 1), clamps(chosen, to, rows, reconstruct=reconstruct))

    for number, feature in enumerate(chosen):
        alone = final_states(model, tokens, clamps([feature], to[number][None], rows, reconstruct=reconstruct))
        assert torch.allclose(together[number * rows :][:rows], alone, atol=1e-4)
        assert not torch.allclose(alone, final_states(model, tokens), atol=1e-2)


@pytest.fixture
def there(model, monkeypatch):
    rates = torch.ones(LATENTS)
    rates[::2] = 0
    monkeypatch.setattr(features, "firing_rates", lambda name, hook: rates)
    residual = [tiny_latents(f"blocks.{layer}.hook_resid_post") for layer in range(2)]
    return {RESIDUAL: residual, MLP: [], NEURON: [neurons(model, layer) for layer in range(LAYERS)]}


def test_a_sample_is_even_and_has_no_dead_features(there):
    drawn = sample(there, "tiny/model", 7, seed=0)

    by_hook = {hook: sum(f.source.hook == hook for f in drawn) for hook in {f.source.hook for f in drawn}}
    assert sorted(by_hook.values()) == [3, 3, 4, 5, 5]  # the share of the family without sources is the others'
    assert all(f.index % 2 for f in drawn if f.source.family == RESIDUAL)
    assert len({(f.source.hook, f.index) for f in drawn}) == len(drawn)
    assert [f.name for f in sample(there, "tiny/model", 7, seed=0)] == [f.name for f in drawn]
    assert [f.name for f in sample(there, "tiny/model", 7, seed=1)] != [f.name for f in drawn]


def test_features_have_names_and_titles():
    W_out = torch.zeros(D_MLP, WIDTH)

    assert Feature(Neurons(W_out, 4), 8).name == "neuron-4/8+"
    assert Feature(Neurons(W_out, 4), 8 + D_MLP).name == "neuron-4/8-"
    assert Feature(Neurons(W_out, 4), 8 + D_MLP).title == "neuron 8 of layer 4, negative side"
    assert Feature(tiny_latents(), 8).name == "resid-1/8"
    assert Feature(tiny_latents("blocks.1.hook_mlp_out"), 8).title == "latent 8, MLP output of layer 1"
