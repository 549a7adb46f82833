"""Something else put in the place of activations at one site of a model, and what that does to its predictions.

Told twice, in nats a token, as means over the tokens of a text: KL(P || Q) = sum_v P_v (log P_v - log Q_v), from the
clean prediction P to the changed one Q; and loss(Q) - loss(P), of the tokens that do come. Position 0 is left as it is.

Shapes: N texts of T positions, d = d_model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from reproductions.common.activations import activations, layer_of
from reproductions.common.blocks import BATCH, Blocks
from reproductions.common.edits import Edited, unembed
from reproductions.common.model import Model

LOGITS = 64  # tokens whose logits are held at once


def unit(vectors: Tensor) -> Tensor:
    """Vectors [..., d] brought to length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(vectors.dtype).tiny)


def at_distance(x: Tensor, direction: Tensor, distance: Tensor) -> Tensor:
    """The point at a distance [...] from x [..., d] in a direction [..., d]."""
    return x + distance[..., None] * unit(direction)


def gaussian(like: Tensor, seed: int) -> Tensor:
    """Standard normal noise of a tensor's shape, the same wherever shape and seed are."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)


@dataclass(frozen=True)
class Effect:
    """What a substitute does to each text: KL divergence and added loss, nats a token, [N]."""

    kl: Tensor
    loss: Tensor


class Reading:
    """A model at one site: the site's activations x [N, T - 1, d], without position 0, and what can be put there."""

    def __init__(self, model: Model, tokens: Tensor, site: str) -> None:
        self.model, self.tokens, self.site, self.layer = model, tokens, site, layer_of(site)
        self.x = torch.cat([found[site] for found in activations(model, [site], tokens)])
        self.blocks = Blocks(model, tokens)
        self.before = next(islice(self.blocks.states(tokens), self.layer, None))
        self.clean = self.final(self.x)

    def final(self, replaced: Tensor) -> Tensor:
        """What the unembedding reads [N, T, d] with the site's activations replaced; blocks before it are not run."""
        parts = iter(replaced.split(BATCH))
        with Edited(self.model, {self.site: lambda _: next(parts)}):
            after = self.blocks.run(self.layer, self.before)
        return self.blocks.final(self.layer + 1, after)

    def effects(self, replaced: Mapping[str, Tensor], at: Sequence[int] = ()) -> dict[str, Effect]:
        """Of each substitute for the activations, at predictions from some positions; by default all but the first."""
        places = list(at) or list(range(1, self.tokens.shape[1] - 1))
        after, clean = self.tokens[:, [place + 1 for place in places]].flatten(), self.clean[:, places].flatten(0, 1)
        changed = [self.final(put)[:, places].flatten(0, 1) for put in replaced.values()]
        found = divergences(self.model, clean, changed, after).view(len(replaced), 2, len(self.tokens), -1).mean(-1)
        return {name: Effect(*values) for name, values in zip(replaced, found, strict=True)}


def divergences(model: Model, clean: Tensor, changed: Sequence[Tensor], after: Tensor) -> Tensor:
    """KL divergence and added loss [variants, 2, n] of final states [n, d] each, where tokens `after` [n] come next."""
    found = clean.new_empty(len(changed), 2, len(after))
    for rows in torch.arange(len(after)).split(LOGITS):
        log_p, right = unembed(model, clean[rows]).float().log_softmax(-1), after[rows, None]
        for place, states in zip(found, changed, strict=True):
            apart = log_p - unembed(model, states[rows]).float().log_softmax(-1)
            place[0, rows], place[1, rows] = (log_p.exp() * apart).sum(-1), apart.gather(-1, right)[:, 0]
    return found
