"""Networks side by side, trained as one stack: R of them, the first dimension of every weight. None touches another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, layer_norm

from reproductions.common.training import seeded


def stacked(seeds: Sequence[int], start: Callable[[], Mapping[str, Tensor]]) -> torch.nn.ParameterDict:
    """The weights of a network for each seed; each start depends on its seed alone."""
    starts = [seeded(seed, start) for seed in seeds]
    return torch.nn.ParameterDict({name: torch.stack([own[name] for own in starts]) for name in starts[0]})


def truncated_normal(*shape: int) -> Tensor:
    """Standard normal numbers, those beyond two drawn anew."""
    return torch.nn.init.trunc_normal_(torch.empty(shape))


def lecun_normal(*shape: int) -> Tensor:
    """Weights [..., d_in, d_out] of variance 1 / d_in: truncated normal numbers, whose own deviation is 0.8796."""
    return shape[-2] ** -0.5 / 0.8796 * truncated_normal(*shape)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b by network: x [R, ..., d], W [R, d, k], b [R, 1, k] give [R, ..., k]."""
    rows = x.flatten(1, -2)
    found = rows @ weight if bias is None else torch.baddbmm(bias, rows, weight)
    return found.view(*x.shape[:-1], -1)


def normed(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """LayerNorm by network: x [R, ..., d], with gain and shift [R, 1, d]."""
    return (layer_norm(x.flatten(1, -2), x.shape[-1:]) * gain + shift).view_as(x)


def losses(logits: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy of each case [R, B], of logits [R, B, L] and the right answers [R, B]."""
    return cross_entropy(logits.flatten(0, 1), right.flatten(), reduction="none").view_as(right)


def accuracy(logits: Tensor, right: Tensor) -> Tensor:
    """The share of right answers by network, [R]."""
    return (logits.argmax(-1) == right).float().mean(1)
