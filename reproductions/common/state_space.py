"""Two small language models of equal design but for what mixes tokens: Mamba (Gu and Dao 2023) and a transformer.

Both are a stack of blocks on a residual stream h [batch, position, d], with RMS norms and an unembedding of its own.
Everything that can be read or changed on the way has a name, `<block>.<site>`; a `Tap` there sees what passes and gives
back what shall pass. The selective state-space model has no fast form for a processor; this is the plain recurrence,
with all that does not depend on the state before done for all positions at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu, softplus

Tap = Callable[[Tensor, Tensor], Tensor]  # what passes, and what the matrix read that made it (else the same)


class Taps:
    """The taps on a pass; `of` looks at one block."""

    def __init__(self, taps: Mapping[str, Tap], block: int = 0) -> None:
        self.taps, self.block = taps, block

    def of(self, block: int) -> Taps:
        """The same taps, seen from a block."""
        return Taps(self.taps, block)

    def __call__(self, site: str, value: Tensor, read: Tensor | None = None) -> Tensor:
        tap = self.taps.get(f"{self.block}.{site}")
        return tap(value, value if read is None else read) if tap else value


@dataclass(frozen=True)
class Shape:
    """The size of a model: `hidden` is the inner width of a Mamba block, or that of a transformer's MLP."""

    vocabulary: int
    d: int
    blocks: int
    hidden: int
    state: int = 8
    kernel: int = 3
    heads: int = 4
    positions: int = 16


def selective_scan(decay: Tensor, drive: Tensor, read: Tensor) -> Tensor:
    """y_t = s_t c_t with s_t = decay_t * s_(t-1) + drive_t, s_(-1) = 0.

    decay, drive: [batch, position, hidden, state]; read (c): [batch, position, state]. Gives [batch, position, hidden].
    """
    decays, drives = decay.transpose(0, 1).contiguous().unbind(0), drive.transpose(0, 1).contiguous().unbind(0)
    states = [drives[0]]
    for kept, added in zip(decays[1:], drives[1:], strict=True):
        states.append(torch.addcmul(added, kept, states[-1]))
    return torch.einsum("tbhn,btn->bth", torch.stack(states), read)


def last_state(decay: Tensor, drive: Tensor) -> Tensor:
    """The state behind the last position, [batch, hidden, state]: the sum of each drive times all decays behind it."""
    kept = decay[:, 1:].flip(1).cumprod(1).flip(1)
    return (drive[:, :-1] * kept).sum(1) + drive[:, -1]


class MambaBlock(nn.Module):
    """o = W_o (y * g): what the state-space path y and the gate g make of the normed stream x (Gu and Dao, Figure 3).

    a = W_a x; c = silu(causal convolution of a); step = softplus(W_s c); s_t = exp(step A) s_(t-1) + step (W_B c) c;
    y = (W_C c) s + D c; g = silu(W_g x). Sites: `up` (a), `gate_up` (W_g x), `ssm` (y), `gate` (g), `out` (o), `resid`.
    """

    WRITES = ("up", "gate_up", "out")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, hidden, rank = shape.d, shape.hidden, max(1, shape.d // 16)
        self.kernel, self.state, self.rank = shape.kernel, shape.state, rank
        self.norm = nn.RMSNorm(d)
        self.up, self.gate_up = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.convolution = nn.Conv1d(hidden, hidden, shape.kernel, groups=hidden)
        self.select = nn.Linear(hidden, rank + 2 * shape.state, bias=False)
        self.step = nn.Linear(rank, hidden)
        self.log_decay = nn.Parameter(torch.arange(1.0, shape.state + 1).log().repeat(hidden, 1))
        self.skip = nn.Parameter(torch.ones(hidden))
        self.out = nn.Linear(hidden, d, bias=False)
        steps = torch.exp(torch.rand(hidden) * math.log(100) + math.log(1e-3))
        with torch.no_grad():
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus of it is between .001 and .1

    def forward(self, h: Tensor, taps: Taps) -> Tensor:
        x = self.norm(h)
        y = taps("ssm", self.mixed(taps("up", self.up(x), x)))
        g = taps("gate", silu(taps("gate_up", self.gate_up(x), x)))
        inner = y * g
        return taps("resid", h + taps("out", self.out(inner), inner))

    def mixed(self, a: Tensor) -> Tensor:
        """The state-space path: y [batch, position, hidden] of a [batch, position, hidden]."""
        c = self.convolved(a)
        return selective_scan(*self.recurrence(c)) + self.skip * c

    def convolved(self, a: Tensor) -> Tensor:
        """c [batch, position, hidden] of a."""
        return silu(self.convolution(pad(a.transpose(1, 2), (self.kernel - 1, 0))).transpose(1, 2))

    def recurrence(self, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decay, drive and read of the scan, for c."""
        step, write, read = self.select(c).split([self.rank, self.state, self.state], dim=-1)
        step = softplus(self.step(step))
        decay = torch.exp(step[..., None] * -self.log_decay.exp())
        return decay, (step * c)[..., None] * write[:, :, None], read


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each on the normed stream. Sites: `scores` (before softmax), `attn`, `out`, `resid`.

    scores: [batch, head, to, from], the future already at minus infinity. out: what the MLP's second matrix writes.
    """

    WRITES = ("out",)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm, self.norm_mlp = nn.RMSNorm(shape.d), nn.RMSNorm(shape.d)
        self.qkv, self.mix = nn.Linear(shape.d, 3 * shape.d, bias=False), nn.Linear(shape.d, shape.d, bias=False)
        self.up, self.out = nn.Linear(shape.d, shape.hidden), nn.Linear(shape.hidden, shape.d)

    def forward(self, h: Tensor, taps: Taps) -> Tensor:
        middle = h + taps("attn", self.attention(self.norm(h), taps))
        inner = silu(self.up(self.norm_mlp(middle)))
        return taps("resid", middle + taps("out", self.out(inner), inner))

    def attention(self, x: Tensor, taps: Taps) -> Tensor:
        """What heads bring from earlier positions, [batch, position, d]."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(future, -torch.inf)
        return self.mix((taps("scores", scores).softmax(-1) @ v).transpose(1, 2).flatten(2))


class Stack(nn.Module):
    """A language model: embedding, blocks of one kind, norm, unembedding; `spread` of embeddings at the start."""

    def __init__(self, kind: type[MambaBlock] | type[TransformerBlock], shape: Shape, spread: float = 0.02) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.d)
        self.place = nn.Embedding(shape.positions, shape.d) if kind is TransformerBlock else None
        self.blocks = nn.ModuleList(kind(shape) for _ in range(shape.blocks))
        self.norm, self.unembed = nn.RMSNorm(shape.d), nn.Linear(shape.d, shape.vocabulary, bias=False)
        for embedding in filter(None, (self.embed, self.place)):
            nn.init.normal_(embedding.weight, std=spread)

    def forward(self, tokens: Tensor, taps: Mapping[str, Tap] | None = None) -> Tensor:
        """Logits [batch, position, vocabulary] for tokens [batch, position]."""
        return self.read(self.run(self.start(tokens), 0, taps))

    def start(self, tokens: Tensor) -> Tensor:
        """What the first block reads."""
        h: Tensor = self.embed(tokens)
        return h if self.place is None else h + self.place.weight[: tokens.shape[1]]

    def run(self, h: Tensor, first: int, taps: Mapping[str, Tap] | None = None) -> Tensor:
        """The stream behind the last block, from what block `first` reads."""
        seen = Taps(taps or {})
        for place, block in enumerate(list(self.blocks)[first:], first):
            h = block(h, seen.of(place))
        return h

    def streams(self, h: Tensor) -> list[Tensor]:
        """What each block reads, and what the last one leaves, from what the first block reads."""
        found = [h]
        for block in self.blocks:
            found.append(block(found[-1], Taps({})))
        return found

    def read(self, h: Tensor) -> Tensor:
        """Logits of the last block's stream."""
        logits: Tensor = self.unembed(self.norm(h))
        return logits

    @torch.no_grad()
    def seen(self, tokens: Tensor, sites: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """What passes the named sites, and what the matrices read that made it."""
        found: dict[str, tuple[Tensor, Tensor]] = {}
        self(tokens, {site: partial(_keep, found, site) for site in sites})
        return found


def _keep(found: dict[str, tuple[Tensor, Tensor]], site: str, value: Tensor, read: Tensor) -> Tensor:
    found[site] = value, read
    return value


def putting(given: Tensor, where: Tensor) -> Tap:
    """A tap that puts given states (or one for all) where a mask [batch, position] says so."""
    return lambda value, _: torch.where(where[..., None], given, value)


def adding(change: Tensor) -> Tap:
    """A tap that adds something to what passes."""
    return lambda value, _: value + change


def rank_one(along: Tensor, delta: Tensor) -> Tap:
    """A tap that changes the matrix W of a site into W + delta along^T, another one for each text of the batch.

    along: [batch, what is read]; delta: [batch, what is written].
    """
    return lambda value, read: value + (read * along[:, None]).sum(-1, keepdim=True) * delta[:, None]
