"""Attention against PyTorch's own, and rotary positions against complex numbers."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from reproductions.common.attention import apart, causal_scores, rotated, silenced, together


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def turned(x, at):
    """Pairs of dimensions as complex numbers."""
    turns = torch.exp(1j * at[:, None] * 10_000.0 ** (-torch.arange(0, 6, 2, dtype=torch.double) / 6))
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (3, 2))) * turns).flatten(-2)


def test_rotary_positions_turn_pairs_of_dimensions():
    x, at = drawn(2, 4, 6), torch.tensor([0, 1, 3, 7])
    torch.testing.assert_close(rotated(x, at), turned(x, at), atol=1e-6, rtol=1e-6)
    assert torch.equal(rotated(x, at)[:, 0], x[:, 0])


def test_scores_depend_on_how_far_tokens_lie_apart():
    queries, keys = drawn(1, 6).expand(5, 6), drawn(1, 6, seed=1).expand(5, 6)
    scores = causal_scores(queries, keys, torch.arange(5))
    for back in range(5):
        torch.testing.assert_close(scores.diagonal(-back), scores[back, 0].expand(5 - back), atol=1e-6, rtol=1e-6)
    assert (scores[1, 0] - scores[0, 0]).abs() > 1e-3


def test_attention_is_that_of_pytorch_for_all_tokens_and_for_some():
    queries, keys, values, every = (
        drawn(2, 3, 5, 6),
        drawn(2, 3, 5, 6, seed=1),
        drawn(2, 3, 5, 6, seed=2),
        torch.arange(5),
    )
    expected = scaled_dot_product_attention(turned(queries, every), turned(keys, every), values, is_causal=True)
    for at in (every, torch.tensor([4]), torch.tensor([3, 1])):
        found = causal_scores(queries[:, :, at], keys, at).softmax(-1) @ values
        torch.testing.assert_close(found, expected[:, :, at], atol=1e-6, rtol=1e-6)


def test_heads_lie_side_by_side():
    x = drawn(2, 5, 6)
    assert torch.equal(apart(x, 3)[1, 2, 4], x[1, 4, 4:]) and torch.equal(together(apart(x, 3)), x)


def test_silenced_heads_read_nothing():
    read, left = drawn(2, 4, 3, 5, 6), torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    found = silenced(read, left)
    assert (found[0, :, 1] == 0).all() and (found[1, :, 0] == 0).all()
    assert torch.equal(found[0, :, [0, 2]], read[0, :, [0, 2]]) and silenced(read, None) is read
