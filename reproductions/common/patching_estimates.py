"""Estimates of what patches do: how early they name the nodes that matter, and what random halves of them say.

An estimate is an order in which to patch nodes one by one; the top nodes are those whose true effects are largest. And
nodes may be patched by random halves: each is in one with chance 1/2, whatever the others are.

Shapes: n nodes, S halves.
"""

from __future__ import annotations

import torch
from scipy.stats import chi2
from torch import Tensor

LEVEL = 0.95  # of the bound


def ranks(true: Tensor, estimate: Tensor, top: int) -> Tensor:
    """The places [top], from 0 on, that the sizes of estimates [n] give to the nodes with the largest effects [n]."""
    return places(estimate)[true.abs().topk(top).indices]


def places(estimate: Tensor) -> Tensor:
    """The place [n] of each node in the order of the sizes of estimates [n], from 0 on."""
    return estimate.abs().argsort(descending=True).argsort()


def recall(true: Tensor, estimate: Tensor, top: int) -> float:
    """The share of the true top nodes that are among the estimate's, above that of a draw at random."""
    return (ranks(true, estimate, top) < top).double().mean().item() - top / len(true)


def checks(true: Tensor, estimate: Tensor, top: int) -> float:
    """How many nodes must be patched, in the order of an estimate, to have met all true top nodes: doublings of top."""
    return ((ranks(true, estimate, top).max() + 1) / top).log2().item()


def halves(n: int, draws: int, seed: int, among: Tensor | None = None) -> Tensor:
    """The members [S, n] of random halves, of all nodes or of some [n]."""
    member = torch.rand(draws, n, generator=torch.Generator().manual_seed(seed)) < 0.5
    return member if among is None else member & among


def by_halves(member: Tensor, effects: Tensor) -> Tensor:
    """An estimate [n] without gradients: the mean effect [S] of halves with a node less that of those without."""
    inside, outside = member.float(), (~member).float()
    return effects @ inside / inside.sum(0).clamp(min=1) - effects @ outside / outside.sum(0).clamp(min=1)


def bound(effects: Tensor) -> float:
    """An upper confidence bound for the largest effect of any one node, from joint effects [S] of random halves.

    Let f be the effect of a random half, and m(n) the mean over halves of the others of what adding n changes in f.
    Whatever the nodes do together, f = E f + sum over n of s_n m(n) / 2 + what is orthogonal to all these, with s_n = 1
    for members and -1 for others. So

        Var f >= sum over n of m(n)^2 / 4 >= max m(n)^2 / 4,

    and an upper bound for Var f, (S - 1) s^2 / chi2(0.05, S - 1) with the sample variance s^2, gives one for max |m|.
    The quantile is that of normal f. Where effects add up, m is what a node does alone, and f, a sum of signs, has
    lighter tails than a normal variable, which makes the bound safe in large samples; where nodes undo each other, m
    may be less than what a node does alone. Neither is certain in a model, so that it is to be put to the test.
    """
    freedom = len(effects) - 1
    return 2 * float(effects.std()) * (freedom / float(chi2.ppf(1 - LEVEL, freedom))) ** 0.5
