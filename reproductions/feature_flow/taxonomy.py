"""Where a latent comes from, in four words, and how sure one may be.

With s^(R), s^(M) and s^(A) the fits of the best predecessors in R_{L-1}, M_L and A_L, a latent of R_L is (paper,
section 3.3)

    translated    s^(R) high, the others low        carried over
    processed     s^(R) high, another high too      carried over and added to
    newborn       s^(R) low, another high           written in this layer
    unexplained   all low                           no direction to be found

The paper has "high" differ from layer to layer, and gives no number. Here it is what a direction without a predecessor
seldom reaches. The sources are turned at random, which keeps the angles among them and loses their relation to the
targets; `Keep` says what else they keep. How high a latent that *is* carried over can be expected to reach, a second
autoencoder of the same site tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reproductions.feature_flow.method import (
    MODULES,
    ByModule,
    Place,
    Predecessors,
    Sources,
    directions,
    predecessors,
    top_matches,
)

STATES = ("translated", "processed", "newborn", "unexplained")
TRANSLATED, PROCESSED, NEWBORN, UNEXPLAINED = range(len(STATES))
RATE = 0.01  # share of targets without a predecessor in a source that are given one
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


# What the sources keep when they are turned: "nothing", by a rotation that is uniform among all; their "mean"
# direction, by one that is uniform among those that leave it be; or their "shape", mean and covariance, by reflections
# along principal axes. Decoders fill some dimensions more than others, those of neighbouring sites much the same ones.
# They match the better for it whether or not anything was carried over, so that only the last tells how often.
Keep = Literal["nothing", "mean", "shape"]


class CalibrationError(ValueError):
    """Too little to calibrate a threshold with; the message says what would do."""


@dataclass(frozen=True)
class Thresholds(ByModule[float]):
    """The cosines above which a predecessor counts, one for each source."""


@dataclass(frozen=True)
class Null:
    """The predecessors that targets have in sources that have nothing to do with them, once for each turn of those."""

    drawn: tuple[Predecessors, ...]

    @classmethod
    def of(cls, targets: Tensor, sources: Sources, turns: int = 4, *, keep: Keep = "shape", seed: int = 0) -> Null:
        """Match targets [n, d] with sources that were turned at random, each dictionary by itself, so many times."""
        generator = torch.Generator().manual_seed(seed)
        return cls(tuple(predecessors(targets, _turned(sources, keep, generator)) for _ in range(turns)))

    def scores(self, module: Place) -> Tensor:
        """All best scores in a turned source: [turns * n]."""
        return torch.cat([drawn[module].best for drawn in self.drawn])

    def thresholds(self, rate: float = RATE) -> Thresholds:
        """What at most this share of targets without a predecessor exceeds, in each source by itself.

        Raises:
            CalibrationError: so small a share cannot be told from so few scores.
        """
        return Thresholds(*(exceeded_by(self.scores(module), rate) for module in MODULES))

    def shares(self, thresholds: Thresholds) -> dict[str, float]:
        """How the thresholds divide targets of which none has a predecessor: what to hold the true shares against."""
        return shares(torch.cat([classify(drawn, thresholds) for drawn in self.drawn]))


@dataclass(frozen=True)
class SeedLevel:
    """How well the latents of one autoencoder are found in another of the same site.

    The most that can be asked of a latent that a layer only carries over: what two trainings do not share is lost here
    too. `found` is the share above a threshold; `quantiles` of the best cosines belong to `QUANTILES`.
    """

    found: float
    quantiles: tuple[float, ...]


def rotation(d: int, generator: torch.Generator, keep: Tensor | None = None) -> Tensor:
    """A rotation or reflection [d, d], uniform (Haar) among all; or among those that leave directions `keep` [r, d] be.

    Two random frames that begin with the same directions: one is turned into the other.
    """
    first = torch.zeros(0, d) if keep is None else keep.cpu()
    frames = [_frame(first.double(), d, generator) for _ in range(2)]
    return (frames[0] @ frames[1].T).float()


def _frame(first: Tensor, d: int, generator: torch.Generator) -> Tensor:
    """Orthonormal columns [d, d] that span `first` [r, d] to begin with, and are uniform for the rest."""
    drawn = torch.randn(d, d - len(first), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(torch.cat([first.T, drawn], dim=1))
    return torch.where(r.diagonal() < 0, -q, q)  # as drawn: without the signs it would not be uniform


def _turned(sources: Sources, keep: Keep, generator: torch.Generator) -> Sources:
    return Sources(*(turned(rows, keep, generator) for rows in sources))


def turned(rows: Tensor, keep: Keep, generator: torch.Generator) -> Tensor:
    """A dictionary [m, d] that is like this one in what `keep` says, and has otherwise nothing to do with it."""
    mean = rows.mean(0, keepdim=True)
    if keep == "shape":
        return directions(mean + (rows - mean) @ _reflection(rows - mean, generator))
    return rows @ rotation(rows.shape[1], generator, mean if keep == "mean" else None).to(rows)


def _reflection(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Each principal axis of rows [m, d] turned round or not, with equal chance: [d, d]."""
    axes = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors
    signs = 2 * torch.randint(2, (len(axes),), generator=generator) - 1
    return (axes * signs.to(axes) @ axes.T).to(rows)


def exceeded_by(null: Tensor, rate: float) -> float:
    """The lowest of the null scores [N] that a further one exceeds with a chance of at most `rate`.

    That further score is equally likely to fall at any place among the N, so that rank ceil((1 - rate) (N + 1)) does.

    Raises:
        CalibrationError: N is below 1 / rate - 1.
    """
    rank = math.ceil((1 - rate) * (len(null) + 1))
    if not 0 < rank <= len(null):
        raise CalibrationError(
            f"a rate of {rate} cannot be told from {len(null)} scores: it must lie between 0 and 1, "
            "and the smaller it is, the more turns or targets it takes"
        )
    return null.kthvalue(rank).values.item()


def classify(found: Predecessors, thresholds: Thresholds) -> Tensor:
    """The state of each target, as an index into `STATES`: [n] (paper, section 3.3)."""
    residual = found.s_R > thresholds.residual
    module = (found.s_M > thresholds.mlp) | (found.s_A > thresholds.attention)
    state = torch.full_like(found.residual.source, UNEXPLAINED)
    state[residual & ~module] = TRANSLATED
    state[residual & module] = PROCESSED
    state[~residual & module] = NEWBORN
    return state


def shares(states: Tensor) -> dict[str, float]:
    """The share of each state among states [n]."""
    counts = torch.bincount(states, minlength=len(STATES)).tolist()
    return {name: count / len(states) for name, count in zip(STATES, counts, strict=True)}


def seed_level(first: Tensor, second: Tensor, threshold: float) -> SeedLevel:
    """How well the directions of one autoencoder [n, d] are found in those of another [m, d] of the same site."""
    best = top_matches(first, second).best
    quantiles = best.double().quantile(torch.tensor(QUANTILES, dtype=torch.float64, device=best.device))
    return SeedLevel((best > threshold).double().mean().item(), tuple(quantiles.tolist()))
