"""Can the codes of one layer be predicted from those of the layer before, latent by latent? (Paper, appendix F.)

A matching of the latents of site A with those of site B is a binary map T. The code z_B of a token is predicted as

    z_B = z_A T,

which B's decoder turns into an activation. What share of the variance of B's true activations that explains says what a
matching is worth, beside B's own code and beside other matchings. Latents of two sites fire at scales of their own, so
that T may be folded: each entry times the ratio of the typical activations that it joins.

Shapes: n latents of A, m latents of B, d = d_model, e entries of T that are not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Protocol

import torch
from torch import Tensor

from reproductions.feature_flow.matching import NONE, Matches, MatchingError

OWN = "own code"  # what B's autoencoder explains itself: the most that a map can be asked for


class Autoencoder(Protocol):
    """What is used of an autoencoder of SAELens."""

    def encode(self, x: Tensor) -> Tensor:
        """Activations [tokens, d] to codes [tokens, latents]."""

    def decode(self, feature_acts: Tensor) -> Tensor:
        """Codes [tokens, latents] to activations [tokens, d]."""


@dataclass(frozen=True)
class TransitionMap:
    """T [n, m], by its entries: sources and targets, which latents of A and B they join, and weights, [e] each."""

    sources: Tensor
    targets: Tensor
    weights: Tensor
    n_targets: int

    @classmethod
    def forward(cls, matches: Matches, *, scored: bool = False) -> TransitionMap:
        """From the matches of A's latents in B, as the paper has it: what meets in one latent of B adds up.

        The entries are ones, or, `scored`, the matches' cosines (figure 24).
        """
        rows, found, weights = _entries(matches, scored=scored)
        return cls(rows, found, weights, matches.n_sources)

    @classmethod
    def backward(cls, matches: Matches, *, scored: bool = False) -> TransitionMap:
        """From the matches of B's latents in A, their predecessors: one latent of A can serve many of B."""
        rows, found, weights = _entries(matches, scored=scored)
        return cls(found, rows, weights, len(matches))

    def folded(self, typical_a: Tensor, typical_b: Tensor) -> TransitionMap:
        """Times what turns typical activations [n] of A into those [m] of B; 0 where A's latent is never active."""
        before = typical_a[self.sources]
        ratio = typical_b[self.targets] / before.where(before > 0, 1)
        return replace(self, weights=self.weights * ratio.where(before > 0, 0))

    def __call__(self, z_a: Tensor) -> Tensor:
        """z_A [tokens, n] to z_B [tokens, m]."""
        z_b = z_a.new_zeros(len(z_a), self.n_targets)
        return z_b.index_add_(1, self.targets, z_a[:, self.sources] * self.weights.to(z_a))


def _entries(matches: Matches, *, scored: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Whose each match is, which it is, and its weight: [e] each."""
    known = matches.indices != NONE
    weights = matches.scores if scored else torch.ones_like(matches.scores)
    return known.nonzero()[:, 0], matches.indices[known], weights[known]


@dataclass(frozen=True)
class Explained:
    """Shares of variance explained, 1 - |y - ŷ|² / |y - mean|²: 1 at best, below 0 where the mean would do better."""

    activations: float  # y: what the model has at B
    reconstruction: float  # y: what B's autoencoder makes of that


@torch.no_grad()
def explained(
    maps: Mapping[str, TransitionMap], a: Autoencoder, b: Autoencoder, batches: Iterable[tuple[Tensor, Tensor]]
) -> dict[str, Explained]:
    """What each map explains at B, and under `OWN` what B's own code does, from activations [tokens, d] of both sites.

    One pass for all maps; the sums are in float64.

    Raises:
        MatchingError: a batch is not of the same tokens.
    """
    activations, reconstructions = _Account(), _Account()
    for x_a, x_b in batches:
        if len(x_a) != len(x_b):
            raise MatchingError(f"activations of {len(x_a)} tokens cannot predict those of {len(x_b)}")
        z_a, rebuilt = a.encode(x_a), b.decode(b.encode(x_b))
        predicted = {OWN: rebuilt} | {name: b.decode(transition(z_a)) for name, transition in maps.items()}
        activations.add(x_b, predicted)
        reconstructions.add(rebuilt, predicted)
    return {name: Explained(activations.explained(name), reconstructions.explained(name)) for name in (OWN, *maps)}


class _Account:
    """Sums over batches: how far rows lie from their mean, and how far from what was predicted for them."""

    def __init__(self) -> None:
        self._rows, self._total, self._squares = 0, torch.zeros(()), 0.0
        self._missed: dict[str, float] = {}

    def add(self, y: Tensor, predicted: Mapping[str, Tensor]) -> None:
        self._rows += len(y)
        self._total = self._total + y.sum(0, dtype=torch.float64).cpu()
        self._squares += _squares(y)
        for name, rows in predicted.items():
            self._missed[name] = self._missed.get(name, 0.0) + _squares(y - rows)

    def explained(self, name: str) -> float:
        """1 - missed / variance, NaN where nothing varies."""
        variance = self._squares - self._total.square().sum().item() / max(self._rows, 1)
        return 1 - self._missed[name] / variance if variance > 0 else nan


def _squares(rows: Tensor) -> float:
    return rows.double().square().sum().item()
