"""Salient operations against whole products, and their stand-ins for a description on hand-made cases."""

import pytest
import torch

from reproductions.head_mapping import salient
from reproductions.head_mapping.method import Heads
from tests.head_mapping.tiny import VOCABULARY, tiny_llama, word_tokenizer


@pytest.fixture(scope="module")
def heads():
    return Heads.of(tiny_llama())


def everything_but(*tokens: int) -> torch.Tensor:
    allowed = torch.ones(VOCABULARY, dtype=torch.bool)
    allowed[list(tokens)] = False
    return allowed


PLACES = [(0, 1), (1, 0), (2, 1), (2, 3)]


def test_salient_tokens_and_their_targets_equal_the_whole_product(heads, monkeypatch):
    monkeypatch.setattr(salient, "CHUNK", 500)
    allowed = everything_but(0, 7)
    variants = [heads, heads.permuted(0)]
    for matrices, operations in zip(variants, salient.salient_operations(variants, PLACES, allowed), strict=True):
        assert [(operation.layer, operation.head) for operation in operations] == PLACES
        for operation in operations:
            x = matrices.sources(torch.arange(VOCABULARY))[operation.layer]
            out = x @ matrices.W_VO(operation.layer, operation.head)
            saliency = (out.norm(dim=1) / x.norm(dim=1)).masked_fill(~allowed, -1)
            assert set(operation.sources.tolist()) == set(saliency.topk(15).indices.tolist())
            logits = (out[operation.sources] @ matrices.W_U).masked_fill(~allowed, -torch.inf)
            assert torch.equal(operation.targets, logits.topk(5).indices)


def test_largest_entries_are_those_of_the_whole_matrix(heads, monkeypatch):
    monkeypatch.setattr(salient, "ROWS", 50)
    tokens = everything_but(3).nonzero().squeeze(1)
    x = heads.sources(torch.arange(VOCABULARY))[2]
    M = x @ heads.W_VO(2, 1) @ heads.W_U
    M[3], M[:, 3] = -torch.inf, -torch.inf
    expected = {divmod(int(place), VOCABULARY) for place in M.flatten().topk(15).indices}
    assert set(salient.largest_entries(heads, x[tokens], (2, 1), tokens)) == expected


def test_gains_are_those_of_the_salient_tokens_over_the_largest_entries(heads, monkeypatch):
    """Rules that only pairs from one of the two lists follow."""
    decode, allowed = salient.text_tokens(word_tokenizer(), VOCABULARY)
    (operation,) = salient.salient_operations([heads], [(2, 1)], allowed)[0]
    mapped = zip(operation.sources.tolist(), operation.targets[:, 0].tolist(), strict=True)
    known = frozenset((decode[a], decode[b]) for a, b in mapped)
    plain = salient.saliency_gains(heads, [(2, 1)], decode, allowed, frozenset())
    told = salient.saliency_gains(heads, [(2, 1)], decode, allowed, known)
    assert told[0] > plain[0]
    assert salient.saliency_gains(heads, [], decode, allowed, known) == []


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Paris", " paris", True),
        ("walk", " walking", True),
        ("interpre", "interpretation", True),
        ("cat", "category", False),
        ("be", "been", False),
        ("big", "small", True),
        ("dog", "house", False),
        (" ", "house", False),
    ],
)
def test_a_rule_is_the_same_word_a_common_stem_or_a_known_pair(source, target, expected):
    assert salient.follows_rule(source, target, frozenset({("big", "small")})) is expected


def test_coherence_tells_a_cluster_from_scattered_tokens_seen_from_the_centre():
    centre = torch.tensor([3.0, -2.0, 0.0, 1.0])
    embeddings = centre + torch.cat([torch.eye(4), torch.tensor([[2.0, 0.1, 0, 0]])])
    assert salient.coherence(torch.tensor([0, 4]), embeddings, centre) > 0.99
    assert salient.coherence(torch.tensor([0, 1, 2]), embeddings, centre) == pytest.approx(0.0, abs=1e-6)
    assert salient.coherence(torch.tensor([2, 2]), embeddings, centre) == 1.0


def test_permuted_heads_pass_at_about_the_stated_rate():
    """Scores and null from one distribution: the share that passes is the false-positive rate."""
    generator = torch.Generator().manual_seed(0)
    null, same = torch.rand(3000, 3, generator=generator), torch.rand(3000, 3, generator=generator)
    share = float(salient.describable(same, null).float().mean())
    assert 0.03 < share < 0.07
    assert salient.describable(same + 1, null).all()


def test_describability_compares_with_heads_permuted_another_way(heads):
    decode, _ = salient.text_tokens(word_tokenizer(), VOCABULARY)
    found = salient.describability(heads, PLACES, decode, everything_but(0), frozenset())
    assert found.described.shape == found.permuted.shape == (4,)
    assert found.scores.shape == (4, 3)
    assert len(found.operations) == 4


def test_control_tokens_are_not_text():
    decode, allowed = salient.text_tokens(word_tokenizer(), 5)
    assert decode[3] == "w3"
    assert allowed.tolist() == [False, False, True, True, True]


def test_frequent_tokens_are_the_first_of_the_allowed_ones():
    allowed = torch.tensor([False, True, True, False, True])
    assert salient.most_frequent(allowed, 2).tolist() == [False, True, True, False, False]


def test_samples_are_random_heads_of_their_layers():
    assert (salient.upper_half(6), salient.upper_half(7)) == (range(3, 6), range(4, 7))
    assert salient.first_third(7) == range(2)
    first, second = (salient.sample_places(range(2, 6), 9, size=12, seed=seed) for seed in (0, 1))
    assert len(set(first)) == 12
    assert first == sorted(first)
    assert {layer for layer, _ in first} <= {2, 3, 4, 5}
    assert first != second
    assert len(salient.sample_places(range(2), 3, size=99)) == 6
