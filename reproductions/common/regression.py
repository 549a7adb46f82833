"""Ridge regression with an intercept, in float64, whose strength is chosen between two random halves of the texts.

Shapes: n rows in d dimensions, and k numbers to be predicted of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0)  # of the ridge, in units of the mean eigenvalue of X'X


@dataclass(frozen=True)
class LinearMap:
    """y = mean_y + (x - mean_x) A."""

    A: Tensor
    mean_x: Tensor
    mean_y: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """What is predicted [..., k] for x [..., d]."""
        return self.mean_y + (x - self.mean_x) @ self.A


class Regression:
    """Maps from x [n, d], whose rows belong to texts [n], to anything.

    Each strength is tried with either half of the texts predicting the other; the best is fitted on all.
    """

    def __init__(self, x: Tensor, text: Tensor, strengths: Sequence[float] = STRENGTHS) -> None:
        self.strengths, self.mean = strengths, x.double().mean(0)
        order = torch.randperm(int(text.max()) + 1, generator=torch.Generator().manual_seed(0))
        self.halves = [order[text] % 2 == half for half in (0, 1)]
        self.x = [x[half].double() - self.mean for half in self.halves]
        self.xx = [part.mT @ part for part in self.x]

    def fit(self, y: Tensor) -> LinearMap:
        """The best map to y [n, k]."""
        strength, _, xy = self._tried(y)
        A = ridge(self.xx[0] + self.xx[1], xy[0] + xy[1], strength)
        return LinearMap(A.to(y), self.mean.to(y), y.double().mean(0).to(y))

    def crossed(self, y: Tensor) -> Tensor:
        """What the map of each half of the texts predicts of y [n, k] in the other half: [n, k]."""
        _, maps, _ = self._tried(y)
        found, mean = torch.empty_like(y), y.double().mean(0)
        for x, A, half in zip(self.x, reversed(maps), self.halves, strict=True):
            found[half] = (mean + x @ A).to(y)
        return found

    def _tried(self, y: Tensor) -> tuple[float, list[Tensor], list[Tensor]]:
        """The best strength, the maps of the halves with it, and X'Y of each."""
        mean = y.double().mean(0)
        xy = [x.mT @ (y[half].double() - mean) for x, half in zip(self.x, self.halves, strict=True)]
        tried = {s: [ridge(xx, some, s) for xx, some in zip(self.xx, xy, strict=True)] for s in self.strengths}
        missed = {s: sum(excess(A, self.xx[1 - k], xy[1 - k]) for k, A in enumerate(tried[s])) for s in tried}
        best = min(missed, key=lambda s: missed[s])
        return best, tried[best], xy


def ridge(xx: Tensor, xy: Tensor, strength: float) -> Tensor:
    """(X'X + strength tr(X'X) / d)^-1 X'Y, [d, k]."""
    return torch.linalg.solve(xx + strength * xx.trace() / len(xx) * torch.eye(len(xx)).to(xx), xy)


def excess(A: Tensor, xx: Tensor, xy: Tensor) -> float:
    """||X A - Y||^2 less ||Y||^2."""
    return float(((xx @ A - 2 * xy) * A).sum())
