"""Do heads that share one W_V (a key-value group) implement the same relations?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.stats import mean_interval, nan_mean
from reproductions.head_mapping.method import Heads


@dataclass(frozen=True)
class GroupSimilarity:
    """How alike heads are inside a group and across the groups of the same layer.

    A layer's `difference` is the mean similarity of its within-group pairs of heads minus that of its other pairs;
    `permuted` is the mean difference after the heads of each layer were dealt anew to the groups.
    """

    within: float
    between: float
    difference: float
    interval: tuple[float, float]  # bootstrap over layers
    permuted: float
    p_value: float
    n_layers: int


def relation_similarity(phi: Tensor) -> Tensor:
    """Cosine of the heads' score vectors over relations, phi [R, L, H], inside each layer: [L, H, H].

    NaN for a pair in which a head implements nothing at all.
    """
    vectors = phi.permute(1, 2, 0)  # [L, H, R]
    unit = vectors / vectors.norm(dim=-1, keepdim=True)  # 0 / 0 = NaN marks the silent heads
    return unit @ unit.transpose(1, 2)


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


def group_similarity(similarity: Tensor, group_size: int, permutations: int = 1000, seed: int = 0) -> GroupSimilarity:
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
    difference = nan_mean(per_layer)
    return GroupSimilarity(
        within=float(_pair_means(similarity, group, same=True).mean()),
        between=float(_pair_means(similarity, group, same=False).mean()),
        difference=difference,
        interval=mean_interval(per_layer, seed),
        permuted=nan_mean(null),
        p_value=(1 + sum(value >= difference for value in null)) / (1 + len(null)) if null else math.nan,
        n_layers=len(counted),
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
