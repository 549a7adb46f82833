"""Statistics that several reproductions share: correlations and intervals, all seeded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

DRAWS = 2000


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's r of two samples, or NaN where one of them does not vary."""
    return _correlation(x, y, lambda a, b: float(np.corrcoef(a, b)[0, 1]))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation (ties share their mean rank), or NaN where one sample does not vary."""
    return _correlation(x, y, lambda a, b: float(stats.spearmanr(a, b).statistic))


def _correlation(x: ArrayLike, y: ArrayLike, of: Callable[[NDArray, NDArray], float]) -> float:
    a, b = np.ravel(np.asarray(x, float)), np.ravel(np.asarray(y, float))
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return of(a, b)


def mean_interval(values: Sequence[float], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean; NaNs are left out, and (NaN, NaN) comes of fewer than two values."""
    kept = [value for value in values if not math.isnan(value)]
    if len(kept) < 2:
        return math.nan, math.nan
    low, high = np.quantile(bootstrap_means(kept, seed), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_means(values: Sequence[float], seed: int = 0) -> NDArray[np.float64]:
    """The means of resamples, with replacement, of independent values: [DRAWS]."""
    sample = np.asarray(values, float)
    chosen = np.random.default_rng(seed).integers(len(sample), size=(DRAWS, len(sample)))
    return sample[chosen].mean(1)


def grouped_means(groups: Sequence[Sequence[float]], seed: int = 0) -> NDArray[np.float64]:
    """The means of resamples of each group's own values: [groups, DRAWS]."""
    return np.array([bootstrap_means(values, seed + number) for number, values in enumerate(groups)])


def grouped_interval(means: NDArray[np.float64], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean over groups, which are drawn anew as their values were; (NaN, NaN) for fewer than two.

    means: of `grouped_means`, or the differences of two such [groups, DRAWS].
    """
    if len(means) < 2:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(len(means), size=means.shape)
    low, high = np.quantile(np.take_along_axis(means, drawn, 0).mean(0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def nan_mean(values: Sequence[float]) -> float:
    """The mean of the numbers that could be computed, or NaN where none could."""
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else math.nan
