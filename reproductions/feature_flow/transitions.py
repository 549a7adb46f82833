"""Can the codes of one layer be predicted from those of the layer before, latent by latent? (Paper, appendix F.)

A matching of the latents of site A with those of site B is a binary map T. The code z_B of a token is predicted as

    z_B = z_A T,

which B's decoder turns into an activation. What share of the variance of B's true activations that explains says what a
matching is worth, beside B's own code and beside other matchings. Latents of two sites fire at scales of their own, so
that T may be folded: each entry times the ratio of the typical activations that it joins.

Shapes: n latents of A, m latents of B, d = d_model, e entries of T that are not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from reproductions.feature_flow.method import NONE, Matches, MatchingError
from reproductions.feature_flow.named import Named

TOKENS_AT_ONCE = 2048


@dataclass(frozen=True)
class Predictor(Named):
    """What the codes of B are predicted by; maps are folded unless they are called `unfolded`."""

    @property
    def unfolded(self) -> Predictor:
        """The same map as it is."""
        return Predictor(f"{self.key}_unfolded", f"{self.label} unfolded")


OWN = Predictor("own_code", "own code")  # B's autoencoder: the most that a map can be asked for
COSINE_MAP = Predictor("cosine", "cosine")
BACKWARD_MAP = Predictor("cosine_backward", "cosine backward")
PERMUTED_MAP = Predictor("permutation", "permutation")
PEARSON_MAP = Predictor("pearson", "pearson")
RANDOM_MAP = Predictor("random_permutation", "random permutation")
SHUFFLED_MAP = Predictor("cosine_shuffled", "cosine shuffled")
PREDICTORS = (  # of which it is told how much they explain
    *(OWN, COSINE_MAP, BACKWARD_MAP, PERMUTED_MAP, PEARSON_MAP),
    *(COSINE_MAP.unfolded, PERMUTED_MAP.unfolded, RANDOM_MAP),
)


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
class Values:
    """The activations [tokens, d] of two sites at the same tokens, and the text of each token, numbered from 0."""

    a: Tensor
    b: Tensor
    text: Tensor

    def __post_init__(self) -> None:
        if not len(self.a) == len(self.b) == len(self.text):
            raise MatchingError(f"activations of {len(self.a)} tokens cannot predict those of {len(self.b)}")

    def divided(self) -> tuple[Values, Values]:
        """Every third text, to learn from, and the others, both numbered anew."""
        rest = self.text - self.text // 3 - 1
        return self._where(self.text % 3 == 0, self.text // 3), self._where(self.text % 3 > 0, rest)

    def _where(self, kept: Tensor, text: Tensor) -> Values:
        rows = kept.to(self.a.device)
        return Values(self.a[rows], self.b[rows], text[kept])


@torch.no_grad()
def explained(
    maps: Mapping[Predictor, TransitionMap], a: Autoencoder, b: Autoencoder, values: Values
) -> dict[Predictor, Tensor]:
    """How much of B's variance each map explains in each text, and under `OWN` what B's own code does: [texts].

    1 - |y - ŷ|² of the text / |y - mean|² of a text on the mean: the mean over texts is the share of all variance that
    is explained, 1 at best, and below 0 where the mean activation would do better.
    """
    variance = _by_text(_squares(values.b - values.b.double().mean(0)), values.text)
    missed: dict[Predictor, list[Tensor]] = {}
    for x_a, x_b in zip(values.a.split(TOKENS_AT_ONCE), values.b.split(TOKENS_AT_ONCE), strict=True):
        z_a = a.encode(x_a)
        predicted = {OWN: b.encode(x_b)} | {each: transition(z_a) for each, transition in maps.items()}
        for each, z_b in predicted.items():
            missed.setdefault(each, []).append(_squares(x_b - b.decode(z_b)))
    return {each: 1 - _by_text(torch.cat(parts), values.text) / variance.mean() for each, parts in missed.items()}


def _squares(rows: Tensor) -> Tensor:
    """The squared norm of each row [tokens, d]."""
    return rows.double().square().sum(1).cpu()


def _by_text(values: Tensor, text: Tensor) -> Tensor:
    """The sum of values [tokens] of each text."""
    return torch.zeros(int(text.max()) + 1, dtype=torch.float64).index_add_(0, text, values)
