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


def test_salient_tokens_and_their_targets_equal_the_whole_product(heads, monkeypatch):
    monkeypatch.setattr(salient, "CHUNK", 500)
    allowed = everything_but(0, 7)
    for operation in salient.salient_operations(heads, allowed)[::3]:
        x = heads.sources(torch.arange(VOCABULARY))[min(operation.layer, 1)]
        out = x @ heads.W_VO(operation.layer, operation.head)
        saliency = (out.norm(dim=1) / x.norm(dim=1)).masked_fill(~allowed, -1)
        assert set(operation.sources.tolist()) == set(saliency.topk(15).indices.tolist())
        logits = (out[operation.sources] @ heads.W_U).masked_fill(~allowed, -torch.inf)
        assert torch.equal(operation.targets, logits.topk(5).indices)


def test_largest_entries_are_those_of_the_whole_matrix(heads, monkeypatch):
    monkeypatch.setattr(salient, "ROWS", 50)
    allowed = everything_but(3)
    x = heads.sources(torch.arange(VOCABULARY))[1]
    M = x @ heads.W_VO(2, 1) @ heads.W_U
    M[3], M[:, 3] = -torch.inf, -torch.inf
    expected = {divmod(int(place), VOCABULARY) for place in M.flatten().topk(15).indices}
    assert set(salient.largest_entries(heads, 2, 1, allowed)) == expected


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


def test_coherence_tells_a_cluster_from_scattered_tokens():
    unit = torch.nn.functional.normalize(torch.cat([torch.eye(4), torch.tensor([[1.0, 0.1, 0, 0]])]), dim=1)
    assert salient.coherence(torch.tensor([0, 4]), unit) > 0.99
    assert salient.coherence(torch.tensor([0, 1, 2]), unit) == pytest.approx(0.0)
    assert salient.coherence(torch.tensor([2, 2]), unit) == 1.0


def test_permuted_heads_pass_at_about_the_stated_rate():
    """Scores and null from one distribution: the share that passes is the false-positive rate."""
    generator = torch.Generator().manual_seed(0)
    null, same = torch.rand(3000, 3, generator=generator), torch.rand(3000, 3, generator=generator)
    share = float(salient.describable(same, null).float().mean())
    assert 0.03 < share < 0.07
    assert salient.describable(same + 1, null).all()


def test_describability_compares_with_heads_permuted_another_way(heads):
    decode, _ = salient.text_tokens(word_tokenizer(), VOCABULARY)
    found = salient.describability(heads, decode, everything_but(0), frozenset(), seeds=[0, 1])
    assert found.described.shape == found.permuted.shape == (2, 3, 4)
    assert len(found.operations) == 12


def test_control_tokens_are_not_text():
    decode, allowed = salient.text_tokens(word_tokenizer(), 5)
    assert decode[3] == "w3"
    assert allowed.tolist() == [False, False, True, True, True]


def test_frequent_tokens_are_the_first_of_the_allowed_ones():
    allowed = torch.tensor([False, True, True, False, True])
    assert salient.most_frequent(allowed, 2).tolist() == [False, True, True, False, False]


def test_a_sample_is_drawn_from_the_upper_half_and_differs_by_seed(heads):
    operations = salient.salient_operations(heads, everything_but(0))
    first, second = salient.sample_upper(operations, 3, [0, 1], size=3)
    assert all(operation.layer >= 1.5 for operation in first)
    assert {o.head for o in first} != {o.head for o in second}
