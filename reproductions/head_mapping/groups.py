"""Do heads that share one W_V (a key-value group) implement the same relations?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.stats import known, nan_mean
from reproductions.head_mapping.method import Heads


@dataclass(frozen=True)
class Grouping:
    """How alike heads are inside a group and across the groups of the same layer.

    differences: [L] each layer's mean similarity of its within-group pairs of heads less that of its other pairs, NaN
    where it lacks either; p_value: how often dealing the heads of each layer anew gives as large a mean difference.
    """

    within: float
    between: float
    differences: tuple[float, ...]
    p_value: float

    @property
    def n_layers(self) -> int:
        """The layers that have both kinds of pairs."""
        return len(known(self.differences))


def relation_similarity(phi: Tensor, other: Tensor | None = None) -> Tensor:
    """Cosine of the heads' score vectors over relations, phi [R, L, H], inside each layer: [L, H, H].

    With `other` [R, L, H] of the heads' vectors in phi and in that. NaN for a pair with a head that implements nothing.
    """
    one, two = (_unit(scores.permute(1, 2, 0)) for scores in (phi, phi if other is None else other))  # [L, H, R]
    return one @ two.transpose(1, 2)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)  # 0 / 0 = NaN marks the silent heads


def self_differences(first: Tensor, second: Tensor) -> list[float]:
    """For each layer, how much more alike a head is to itself than to the others, in two measurements [R, L, H]."""
    similarity = relation_similarity(first, second)
    itself = torch.eye(similarity.shape[1], dtype=torch.bool, device=similarity.device)
    own, others = (similarity.masked_fill(~kept, math.nan).nanmean((1, 2)) for kept in (itself, ~itself))
    return (own - others).tolist()


def overlap_similarity(phi: Tensor) -> Tensor:
    """Of the relations that either of two heads scores above 0 on, the share that both do: [L, H, H]; NaN for none."""
    some = (phi > 0).double().permute(1, 2, 0)  # [L, H, R]
    both = some @ some.transpose(1, 2)
    size = some.sum(-1)
    return both / (size[:, :, None] + size[:, None, :] - both)


def weight_similarity(heads: Heads) -> Tensor:
    """Cosine of the heads' W_VO matrices inside each layer: [L, H, H].

    tr(W_VO_i^T W_VO_j) needs only h x h products: it is the sum of (W_V_i^T W_V_j) * (W_O_i W_O_j^T).
    """
    W_V = heads.W_V.repeat_interleave(heads.group_size, dim=1)
    values = torch.einsum("lidh,ljdk->lijhk", W_V, W_V)
    outputs = torch.einsum("lihd,ljkd->lijhk", heads.W_O, heads.W_O)
    inner = (values * outputs).sum((-2, -1))
    length = inner.diagonal(dim1=1, dim2=2).sqrt()
    return inner / (length[:, :, None] * length[:, None, :])


def group_similarity(similarity: Tensor, group_size: int, permutations: int = 1000, seed: int = 0) -> Grouping:
    """Within against between groups, for similarity [L, H, H]; NaNs where the model has one group or none.

    The permutation test deals the heads of each layer anew, each layer by itself.
    """
    n_layers, n_heads = similarity.shape[:2]
    group = (torch.arange(n_heads) // group_size).expand(n_layers, -1)
    per_layer = _differences(similarity, group)
    counted = [layer for layer, value in enumerate(per_layer) if not math.isnan(value)]
    similarity, group = similarity[counted].cpu(), group[counted]
    generator = torch.Generator().manual_seed(seed)
    null = [nan_mean(_differences(similarity, _dealt(group, generator))) for _ in range(permutations if counted else 0)]
    least = nan_mean(per_layer)
    return Grouping(
        within=float(_pair_means(similarity, group, same=True).mean()),
        between=float(_pair_means(similarity, group, same=False).mean()),
        differences=tuple(per_layer),
        p_value=(1 + sum(value >= least for value in null)) / (1 + len(null)) if null else math.nan,
    )


def _dealt(group: Tensor, generator: torch.Generator) -> Tensor:
    """The groups [L, H] of heads dealt anew inside each layer."""
    return group.gather(1, torch.rand(group.shape, generator=generator).argsort(1))


def _differences(similarity: Tensor, group: Tensor) -> list[float]:
    """Each layer's within-group mean minus its between-group mean: [L]."""
    within, between = (_pair_means(similarity, group, same=same) for same in (True, False))
    return (within - between).tolist()


def _pair_means(similarity: Tensor, group: Tensor, *, same: bool) -> Tensor:
    """Each layer's mean over pairs of different heads that are (or are not) in one group: [L], NaN where none is."""
    pairs = (group[:, :, None] == group[:, None, :]) == same
    pairs &= ~torch.eye(group.shape[1], dtype=torch.bool)
    return similarity.cpu().masked_fill(~pairs, math.nan).nanmean((1, 2))
