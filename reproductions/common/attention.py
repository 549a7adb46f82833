"""Attention written out, for networks whose heads are looked at or held: n heads of width w, t of T tokens that ask."""

from __future__ import annotations

import torch
from torch import Tensor


def apart(x: Tensor, heads: int) -> Tensor:
    """Heads [..., n, T, w], of what is said of them side by side [..., T, n w]."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def together(x: Tensor) -> Tensor:
    """The inverse of `apart`."""
    return x.transpose(-3, -2).flatten(-2)


def rotated(x: Tensor, at: Tensor, base: float = 10_000.0) -> Tensor:
    """Rotary positions: x [..., t, w] of tokens `at` [t], whose dimensions 2i, 2i + 1 turn by at base^(-2i / w)."""
    angles = at[:, None] * base ** (-torch.arange(0, x.shape[-1], 2, device=x.device) / x.shape[-1])
    even, odd, cos, sin = x[..., 0::2], x[..., 1::2], angles.cos(), angles.sin()
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)


def causal_scores(queries: Tensor, keys: Tensor, at: Tensor) -> Tensor:
    """Scores q . k / sqrt(w) [..., t, T] of tokens `at` [t] for all, with rotary positions; -inf for later ones."""
    tokens = torch.arange(keys.shape[-2], device=keys.device)
    scores = rotated(queries, at) @ rotated(keys, tokens).transpose(-1, -2) * keys.shape[-1] ** -0.5
    return scores.masked_fill(tokens > at[:, None], -torch.inf)


def silenced(read: Tensor, left: Tensor | None) -> Tensor:
    """What heads read [R, B, n, t, w], with 0 for those that are not `left`, [R, n] of 0 and 1; None leaves all."""
    return read if left is None else read * left[:, None, :, None, None]
