"""Heads that are chosen on one half of the texts, and held against others on the other half, and the other way round.

Shapes: N texts, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ONE_IN = 20  # one head in so many is chosen
Choose = Callable[[Tensor], Tensor]  # texts [n] of one half, to a mask of heads [L, H]


def top(scores: Tensor) -> Tensor:
    """The twentieth of all heads with the highest scores, as a mask [L, H]; NaN is never among them."""
    flat = scores.flatten().nan_to_num(-torch.inf)
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen[flat.topk(max(1, round(len(flat) / ONE_IN))).indices] = True
    return chosen.view_as(scores)


def above_others(values: Tensor, chosen: Tensor) -> Tensor:
    """How much larger values [N, L, H] are at the chosen heads than, in the mean, at others of their layers: [N]."""
    others = values.masked_fill(chosen, torch.nan).nanmean(-1, keepdim=True)
    return (values - others)[:, chosen].nanmean(-1)


def halves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two halves of n things, dealt at random."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order[0::2], order[1::2]


def crossed(values: Tensor, choose: Choose, seed: int) -> list[float]:
    """`above_others` [N] of each text, for the heads that the other half of the texts chooses."""
    one, other = halves(len(values), seed)
    found = values.new_empty(len(values))
    for these, those in ((one, other), (other, one)):
        found[these] = above_others(values[these], choose(those))
    return found.tolist()


def apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """The heads whose values are larger by most in `ours` [n, L, H] than in `theirs`, in units of their spread."""
    return top((ours.mean(0) - theirs.mean(0)) / (ours.var(0) + theirs.var(0)).sqrt())


def contrasted(sides: Sequence[Tensor], seed: int) -> tuple[list[float], list[float]]:
    """Values [N] of the heads that set the first of two sides [N, L, H] `apart`, chosen on the other half of each."""
    dealt = [halves(len(side), seed) for side in sides]
    found = [side.new_empty(len(side)) for side in sides]
    for these, those in ((0, 1), (1, 0)):
        chosen = apart(*(side[parts[those]] for side, parts in zip(sides, dealt, strict=True)))
        for kept, side, parts in zip(found, sides, dealt, strict=True):
            kept[parts[these]] = side[parts[these]][:, chosen].mean(-1)
    return found[0].tolist(), found[1].tolist()
