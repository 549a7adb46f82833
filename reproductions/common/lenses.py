"""Lenses: what a network would predict if it stopped behind one of its blocks, read as it is or translated first.

    p_l = softmax read(h_l),  and  p_l = softmax read(A_l h_l + b_l)  with A_l, b_l such that KL(p_L || p_l) is small.

These are the logit lens (nostalgebraist 2020) and the tuned lens (Belrose et al. 2023).

Shapes: N texts of T tokens, streams h_l behind l of L blocks [N, T, d], n tokens, B blocks that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import Linear

from reproductions.common.activations import norm_limit
from reproductions.common.blocks import Blocks
from reproductions.common.model import Model
from reproductions.common.regression import ridge

Map = Callable[[Tensor], Tensor]
RIDGE = 1e-2  # in units of the mean eigenvalue of X'X
ROWS = 64  # tokens in a step of a lens, and read at once
STRIDE = 3  # every third position of a held-out text is read


@dataclass(frozen=True)
class Network:
    """A language model as a lens sees it: tokens to a stream, blocks that change it, a stream to logits."""

    start: Map
    blocks: Sequence[Map]
    read: Map

    @torch.no_grad()
    def states(self, tokens: Tensor) -> list[Tensor]:
        """h_0 to h_L."""
        return list(accumulate(self.blocks, lambda h, block: block(h), initial=self.start(tokens)))


def of_model(model: Model, tokens: Tensor) -> Network:
    """A pretrained transformer, Mamba or RWKV, for texts as long as `tokens` [N, T].

    RWKV halves its stream behind every sixth block or so, which its weights allow for.
    """
    blocks, body = Blocks(model, tokens), model.original_model.base_model
    every = body.config.rescale_every if getattr(body, "layers_are_rescaled", False) else len(blocks) + 1
    steps = [partial(_scaled, blocks, at, 0.5 if (at + 1) % every == 0 else 1.0) for at in range(len(blocks))]
    unembed = model.original_model.get_output_embeddings()
    return Network(lambda some: model(some, stop_at_layer=0), steps, lambda h: unembed(model.ln_final(h)))


def _scaled(blocks: Blocks, place: int, share: float, h: Tensor) -> Tensor:
    return share * blocks.run(place, h)


def regressed(x: Tensor, y: Tensor) -> Linear:
    """A ridge regression from rows x to rows y [n, d], both centred."""
    X, Y = ((rows - rows.mean(0)).double() for rows in (x, y))
    linear = Linear(x.shape[1], y.shape[1])
    with torch.no_grad():
        linear.weight.copy_(ridge(X.T @ X, X.T @ Y, RIDGE).T)
        linear.bias.copy_(y.mean(0) - linear.weight @ x.mean(0))
    return linear.requires_grad_(False)


def tuned(read: Map, x: Tensor, final: Tensor, steps: int) -> Linear:
    """From a block's streams x to final ones [n, d]: a ridge regression, then so many steps of Adam down the KL."""
    linear, drawn, rate = (
        regressed(x, final).requires_grad_(),
        torch.Generator().manual_seed(0),
        0.01 / x.shape[1] ** 0.5,
    )
    optimiser = torch.optim.Adam(linear.parameters(), lr=rate)
    for step in range(steps):
        rows = torch.randint(len(x), (ROWS,), generator=drawn)
        optimiser.zero_grad()
        kl(read(final[rows]), read(linear(x[rows]))).mean().backward()
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.step()
    return linear.requires_grad_(False)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P || Q) in nats [...] of logits [..., vocabulary]."""
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@dataclass(frozen=True)
class Rows:
    """Streams at the tokens that count, [n, d] each, the last of them the final one; which these are [N, T]."""

    streams: list[Tensor]
    usual: Tensor

    @classmethod
    def of(cls, streams: Sequence[Tensor]) -> Rows:
        """Of streams [N, T, d], the tokens that are an outlier in none."""
        usual = torch.stack([h.norm(dim=-1) <= norm_limit(h.flatten(0, 1)) for h in streams]).all(0)
        return cls([h[usual] for h in streams], usual)

    @torch.no_grad()
    def kl(self, read: Map, translated: Tensor) -> Tensor:
        """KL from the final prediction to that from translated streams [n, d], mean of each text [N]."""
        pairs = zip(self.streams[-1].split(ROWS), translated.split(ROWS), strict=True)
        found = translated.new_zeros(self.usual.shape)
        found[self.usual] = torch.cat([kl(read(final), read(some)) for final, some in pairs])
        return found.sum(1) / self.usual.sum(1)


@dataclass(frozen=True)
class Lens:
    """KL to the final prediction behind so many `blocks` of `depth`, mean of each held-out text [B, N].

    dealt: of translators to final streams of other tokens, which learn only what is common to all. planted: the gap of
    both lenses [N] where a stream is the final one turned by a random rotation.
    """

    blocks: tuple[int, ...]
    depth: int
    logit: Tensor
    tuned: Tensor
    dealt: Tensor
    planted: Tensor

    def least_fall(self, values: Tensor) -> float:
        """By how much KL [B, N] falls from one of the blocks to the next, where it falls least; below 0 if it rises."""
        return float(-values.mean(1).diff().max())


def lenses(network: Network, fitted: Tensor, held_out: Tensor, blocks: Sequence[int], steps: int) -> Lens:
    """Both lenses, tuned on some texts [N, T] and tried on others; position 0 and outliers are left out."""
    read, places, drawn = network.read, [*blocks, len(network.blocks)], torch.Generator().manual_seed(0)
    states, others = network.states(fitted), network.states(held_out)
    rows = Rows.of([states[place][:, 1:] for place in places])
    held = Rows.of([others[place][:, 1::STRIDE] for place in places])
    (*x, final), (*y, last) = rows.streams, held.streams
    dealt = final[torch.randperm(len(final), generator=drawn)]
    turn = torch.linalg.qr(torch.randn(2 * final.shape[1:], generator=drawn)).Q
    logit = torch.stack([held.kl(read, some) for some in y])
    own, stray = (
        torch.stack([held.kl(read, tuned(read, a, to, steps)(b)) for a, b in zip(x, y, strict=True)])
        for to in (final, dealt)
    )
    planted = held.kl(read, last @ turn) - held.kl(read, regressed(final @ turn, final)(last @ turn))
    return Lens(tuple(blocks), len(network.blocks), logit, own, stray, planted)
