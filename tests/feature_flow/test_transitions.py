"""Transition maps on a hand-made case, and where the answer is known."""

import math

import pytest
import torch
from torch import Tensor

from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import Weights
from reproductions.feature_flow import transitions
from reproductions.feature_flow.method import (
    NONE,
    Matches,
    MatchingError,
    directions,
    hungarian,
    random_permutation,
    top_matches,
    typical_activations,
)
from reproductions.feature_flow.transitions import OWN, TransitionMap, Values, explained

D, LATENTS, K = 32, 40, 3


def matches(indices: list[list[int]], n_sources: int, scores: list[list[float]] | None = None) -> Matches:
    found = torch.tensor(indices)
    return Matches(torch.ones(found.shape) if scores is None else torch.tensor(scores), found, n_sources)


def autoencoder(seed: int = 0):
    """A small TopK autoencoder of SAELens, random, with the decoder's transpose as the encoder."""
    generator = torch.Generator().manual_seed(seed)
    decoder = directions(torch.randn(LATENTS, D, generator=generator))
    weights = Weights(decoder.T.contiguous(), torch.zeros(LATENTS), decoder, torch.randn(D, generator=generator))
    return as_topk(weights, K, "tiny/model", "blocks.0.hook_resid_post", "cpu")


def rows(sae, tokens: int = 200, seed: int = 1, noise: float = 0.1) -> Tensor:
    """Sums of some of its directions."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(tokens, LATENTS, generator=generator).topk(K).indices
    codes = torch.zeros(tokens, LATENTS).scatter_(1, chosen, 5 + torch.rand(tokens, K, generator=generator))
    return sae.decode(codes) + noise * torch.randn(tokens, D, generator=generator)


Z = torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 8.0]])


def test_forward_maps_give_and_add_up() -> None:
    transition = TransitionMap.forward(matches([[3], [0], [3]], n_sources=4))
    assert transition(Z).tolist() == [[2, 0, 0, 5], [0, 0, 0, 8]]


def test_backward_maps_take_and_serve_many() -> None:
    transition = TransitionMap.backward(matches([[2], [0], [2], [2]], n_sources=3))
    assert transition(Z).tolist() == [[4, 1, 4, 4], [8, 0, 8, 8]]


def test_top_k_maps_add_k_activations_or_weigh_them_by_their_scores() -> None:
    pairs = matches([[0, 1], [2, 1]], 3, scores=[[1.0, 0.5], [0.25, 0.0]])
    assert TransitionMap.backward(pairs)(Z).tolist() == [[3, 6], [0, 8]]
    assert TransitionMap.backward(pairs, scored=True)(Z).tolist() == [[2, 1], [0, 2]]


def test_a_match_that_there_is_not_maps_nothing() -> None:
    missing = matches([[2, 0], [1, NONE], [NONE, NONE]], 3, scores=[[1, 1], [1, math.nan], [math.nan, math.nan]])
    for scored in (False, True):
        assert TransitionMap.backward(missing, scored=scored)(Z).tolist() == [[5, 2, 0], [8, 0, 0]]


def test_folding_turns_typical_activations_into_typical_activations() -> None:
    typical_a, typical_b = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([10.0, 6.0, 3.0])
    transition = TransitionMap.forward(matches([[0], [1], [2]], 3)).folded(typical_a, typical_b)
    assert transition(torch.stack([typical_a, typical_a / 2])).tolist() == [[10, 6, 0], [5, 3, 0]]
    assert transition(torch.ones(1, 3)).tolist() == [[10, 3, 0]]


def values(a: Tensor, b: Tensor, texts: int = 4) -> Values:
    """Equally long texts, one behind the other."""
    return Values(a, b, torch.arange(len(a)) * texts // len(a))


def test_the_identity_between_equal_autoencoders_explains_exactly_what_the_autoencoder_does() -> None:
    sae = autoencoder()
    x = rows(sae, noise=0.5)
    identity = TransitionMap.forward(matches([[i] for i in range(LATENTS)], LATENTS))
    found = explained({"identity": identity}, sae, sae, values(x, x))
    rebuilt = sae(x)
    expected = 1 - (x - rebuilt).double().square().sum() / (x - x.mean(0)).double().square().sum()
    assert torch.equal(found["identity"], found[OWN])
    assert found[OWN].mean().item() == pytest.approx(expected.item(), abs=1e-6)
    assert 0.3 < expected < 0.999


def test_each_text_has_its_own_share_and_their_mean_is_that_of_all_tokens() -> None:
    a, b = autoencoder(0), autoencoder(1)
    x_a, x_b = rows(a), rows(b)
    transition = TransitionMap.forward(top_matches(a.W_dec, b.W_dec))
    text = torch.arange(200) // 71  # two texts of 71 tokens, one of 58
    found = explained({"top": transition}, a, b, Values(x_a, x_b, text))["top"]
    missed = (x_b - b.decode(transition(a.encode(x_a)))).double().square().sum(1)
    variance = (x_b - x_b.mean(0)).double().square().sum()
    for number in range(3):
        assert found[number].item() == pytest.approx(1 - (3 * missed[text == number].sum() / variance).item(), abs=1e-6)
    assert found.mean().item() == pytest.approx(1 - (missed.sum() / variance).item(), abs=1e-6)


def test_the_size_of_the_batches_does_not_matter(monkeypatch) -> None:
    a, b = autoencoder(0), autoencoder(1)
    pairs = values(rows(a), rows(b))
    maps = {"top": TransitionMap.forward(top_matches(a.W_dec, b.W_dec))}
    whole = explained(maps, a, b, pairs)
    monkeypatch.setattr(transitions, "TOKENS_AT_ONCE", 7)
    parts = explained(maps, a, b, pairs)
    for name in (OWN, "top"):
        torch.testing.assert_close(parts[name], whole[name], atol=1e-6, rtol=1e-6)


def test_a_shuffled_and_rescaled_site_is_predicted_by_matching_and_folding_and_not_by_a_random_map() -> None:
    """B has A's directions in another order, and its activations are four times as large."""
    a = autoencoder()
    order = torch.randperm(LATENTS, generator=torch.Generator().manual_seed(2))
    decoder, bias = a.W_dec.data[order], 4 * a.b_dec.data
    b = as_topk(Weights(decoder.T.contiguous(), torch.zeros(LATENTS), decoder, bias), K, "m", "s", "cpu")
    x_a = rows(a)
    x_b = 4 * x_a
    cosine = TransitionMap.forward(top_matches(a.W_dec, b.W_dec))
    typical = typical_activations([a.encode(x_a)]), typical_activations([b.encode(x_b)])
    drawn = random_permutation(a.W_dec, b.W_dec, torch.Generator().manual_seed(3))
    maps = {
        "cosine": cosine,
        "folded": cosine.folded(*typical),
        "permutation": TransitionMap.forward(hungarian(a.W_dec, b.W_dec)).folded(*typical),
        "random": TransitionMap.forward(drawn).folded(*typical),
    }
    found = {name: shares.mean().item() for name, shares in explained(maps, a, b, values(x_a, x_b)).items()}
    assert found["folded"] == pytest.approx(found[OWN], abs=0.02)
    assert found["permutation"] == found["folded"]
    assert found["random"] < 0.2 < found["cosine"] < found["folded"] - 0.2


def test_activations_of_different_tokens_are_refused() -> None:
    with pytest.raises(MatchingError, match="5 tokens"):
        Values(torch.ones(5, D), torch.ones(6, D), torch.zeros(5, dtype=torch.long))


def test_every_third_text_is_learnt_from_and_the_others_are_explained() -> None:
    text = torch.tensor([0, 0, 1, 2, 3, 4, 4, 5, 6, 7])
    x = torch.arange(10.0)[:, None].expand(10, D)
    learnt, tested = Values(x, 2 * x, text).divided()
    assert learnt.a[:, 0].tolist() == [0, 1, 4, 8] and learnt.text.tolist() == [0, 0, 1, 2]
    assert tested.b[:, 0].tolist() == [4, 6, 10, 12, 14, 18] and tested.text.tolist() == [0, 1, 2, 2, 3, 4]


def test_where_nothing_varies_nothing_is_explained() -> None:
    sae = autoencoder()
    x = torch.zeros(4, D)
    assert not explained({}, sae, sae, values(x, x))[OWN].isfinite().any()
