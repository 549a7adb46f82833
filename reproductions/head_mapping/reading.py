"""What a head reads of a token before there is any sentence, and the rule that chooses it for a model.

MAPS puts "the token" in front of a head's matrices, but a head reads the residual stream, and what that holds of a
token in a later layer is a choice. The paper takes what the first MLP makes of the embedding (its released code leaves
that out for one of five models). Where a model builds a token's meaning over several blocks, such a choice throws most
of it away. So each of these is a reading:

    mlp         layer 0 reads the embedding e, later layers mlp_0(ln_0(e)), without skip connection (the paper)
    embedding   all layers read e
    sum         layer 0 reads e, later layers e + mlp_0(ln_0(e)): layer 0 without its attention
    blocks:N    a head of layer l reads the residual stream after min(l, N) blocks of the pair [BOS, token] run alone

Beside it, the gains of the norms can be multiplied into the matrices (the paper leaves them out).

The rule, written down before its outcome was seen. A random half of the relations chooses; agreement is reported on
the other half. Candidates stand in the order of how far they are from the paper: its own (`mlp` without gains), the
same with gains, then blocks:1 to blocks:6 with gains. Each gets the mean over the choosing relations of the
correlation of its static scores with the dynamic ones without context. The first candidate that is within one standard
error of the best is taken (the one-standard-error rule of Breiman and others, 1984). What had been seen before: on nine
relations an earlier look had found four blocks far better than the first MLP on Gemma 3 270M, and no better on
SmolLM2 135M.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.activations import Reader
from reproductions.common.model import Model
from reproductions.common.stats import known, nan_mean, standard_error

BLOCKS = tuple(f"blocks:{n}" for n in range(1, 7))
READINGS = ("mlp", "embedding", "sum", *BLOCKS)
CHUNK = 4096  # tokens that go through the blocks at once


@dataclass(frozen=True)
class Choice:
    """A reading, and whether the gains of the norms are multiplied into the head matrices."""

    reads: str = "mlp"
    fold_norms: bool = False

    def __str__(self) -> str:
        return f"{self.reads} {'with' if self.fold_norms else 'without'} the gains of the norms"


PAPER = Choice()
CANDIDATES = (PAPER, Choice("mlp", True), *(Choice(name, True) for name in BLOCKS))


def within_one_error(values: Mapping[Choice, Sequence[float]]) -> Choice:
    """The first choice whose mean over relations is within one standard error of the best mean; NaNs are left out."""
    means = {choice: nan_mean(found) for choice, found in values.items() if known(found)}
    if not means:
        return PAPER
    best = max(means, key=lambda choice: means[choice])
    least = means[best] - standard_error(values[best])
    return next((choice for choice in means if means[choice] >= least), best)


def chooses(names: Sequence[str], seed: int = 0) -> tuple[bool, ...]:
    """Which relations choose the reading: a random half of them, by place in `names`."""
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    return tuple(place < len(names) // 2 for place in order)


def reading_of(model: Model, name: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The reading of that name: tokens [n] -> what layers 0, 1, … read of them, each [n, d]; the last for the rest too.

    Raises:
        ValueError: there is no such reading.
    """
    if name not in READINGS:
        raise ValueError(f"there is no reading {name!r}; the readings are {', '.join(READINGS)}")
    if name in BLOCKS:
        return _Blocks(model, int(name.removeprefix("blocks:")))
    return _Shortcut(model, name)


@dataclass(frozen=True)
class _Shortcut:
    """The readings that take no more than the embedding and the first MLP."""

    model: Model
    name: str

    def __call__(self, tokens: Tensor) -> tuple[Tensor, ...]:
        embedded = self.model.W_E[tokens]
        if self.name == "embedding":
            return (embedded,)
        enriched = self._first_mlp(embedded)
        return embedded, enriched if self.name == "mlp" else _embed_scale(self.model) * embedded + enriched

    def _first_mlp(self, embedded: Tensor) -> Tensor:
        """mlp_0(ln_0(e)) for e [n, d]; a model that also normalises the MLP's output has that norm applied too."""
        block = self.model.blocks[0]
        out = block.mlp(block.ln2(embedded.unsqueeze(0)))
        if hasattr(block, "ln2_post"):
            out = block.ln2_post(out)
        return out.squeeze(0)


@dataclass(frozen=True)
class _Blocks:
    """The embedding, and the residual stream of [BOS, token] at the token after 1 to `n` blocks."""

    model: Model
    n: int

    def __call__(self, tokens: Tensor) -> tuple[Tensor, ...]:
        parts = [self._states(chunk) for chunk in tokens.split(CHUNK)]
        return tuple(torch.cat(states) for states in zip(*parts, strict=True))

    def _states(self, tokens: Tensor) -> list[Tensor]:
        depth = max(1, min(self.n, self.model.cfg.n_layers - 1))  # no head reads what the last block writes
        sites = [f"blocks.{layer}.hook_resid_post" for layer in range(depth)]
        pairs = torch.stack([torch.full_like(tokens, first_token(self.model.tokenizer)), tokens], dim=1)
        with Reader(self.model, sites) as reader:
            read = reader.read(pairs)
        return [self.model.W_E[tokens], *(read[site][:, -1] for site in sites)]


def first_token(tokenizer: Any) -> int:
    """The token that a text begins with, or, where a tokenizer has none, the one that ends it."""
    begins = tokenizer.bos_token_id
    return int(tokenizer.eos_token_id if begins is None else begins)


def _embed_scale(model: Model) -> float:
    """What the model multiplies embeddings by on their way in: sqrt(d_model) in Gemma, 1 in most."""
    tokens = torch.arange(8, device=model.W_E.device)
    return float(model.original_model.get_input_embeddings()(tokens).norm() / model.W_E[tokens].norm())
