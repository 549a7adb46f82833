"""Statistics that several reproductions share: correlations, 95 % intervals over independent units, p-values.

Below 16 units an interval is Student's t; from 16 on it is the bias-corrected and accelerated bootstrap (Efron 1987) as
SciPy computes it, with a fixed seed; a share of events gets the exact one of Clopper and Pearson (1934). Why so: the
percentile bootstrap over five units covers 84 % where it says 95. Over 27 units it still covers 92 %: resamples of n
units vary too little by (n - 1) / n and know no t. The level is raised to make up for that (Hesterberg 2015).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
POWER = 0.8
FEWEST_RESAMPLED = 16  # units from which on resampling them covers as it should
DRAWS = 2000

Interval = tuple[float, float]
UNKNOWN: Interval = (math.nan, math.nan)


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


def known(values: Sequence[float]) -> list[float]:
    """The numbers that could be computed."""
    return [value for value in values if not math.isnan(value)]


def nan_mean(values: Sequence[float]) -> float:
    """The mean of the numbers that could be computed, or NaN where none could."""
    kept = known(values)
    return math.fsum(kept) / len(kept) if kept else math.nan


def mean_interval(values: Sequence[float]) -> Interval:
    """The interval of the mean of independent values; NaNs are left out, and fewer than two give (NaN, NaN)."""
    kept = known(values)
    if len(kept) < 2:
        return UNKNOWN
    if len(kept) < FEWEST_RESAMPLED or not np.ptp(kept):
        return _t_interval(float(np.mean(kept)), standard_error(kept), len(kept) - 1)
    return _resampled((kept,), lambda sample, axis: sample.mean(axis))


def difference_interval(a: Sequence[float], b: Sequence[float]) -> Interval:
    """The interval of mean(a) - mean(b), for values of different units (Welch's t below 16 of either)."""
    first, second = known(a), known(b)
    if min(len(first), len(second)) < 2:
        return UNKNOWN
    if min(len(first), len(second)) < FEWEST_RESAMPLED or not (np.ptp(first) and np.ptp(second)):
        gap = float(np.mean(first) - np.mean(second))
        return _t_interval(gap, _welch_error(first, second), _welch_freedom(first, second))
    return _resampled((first, second), lambda x, y, axis: x.mean(axis) - y.mean(axis))


def share_interval(events: int, n: int) -> Interval:
    """The exact interval of a share of n independent events (Clopper and Pearson)."""
    if n == 0:
        return UNKNOWN
    found = stats.binomtest(events, n).proportion_ci(LEVEL, method="exact")
    return float(found.low), float(found.high)


def share_difference_interval(a: tuple[int, int], b: tuple[int, int]) -> Interval:
    """The interval of one share less another, each as (events, n) of independent events.

    Newcombe (1998), method 10: the two Wilson intervals put together. A share of all or of none has no spread of its
    own, so that a difference of means takes it for certain: 16 of 16 would differ from 21 of 26. (Found, and mended,
    when a claim had held against just such a control.)
    """
    if not (a[1] and b[1]):
        return UNKNOWN
    (p, low_p, high_p), (q, low_q, high_q) = map(_wilson, (a, b))
    return p - q - math.hypot(p - low_p, high_q - q), p - q + math.hypot(high_p - p, q - low_q)


def _wilson(share: tuple[int, int]) -> tuple[float, float, float]:
    """A share, and the score interval of Wilson (1927)."""
    events, n = share
    found = stats.binomtest(events, n).proportion_ci(LEVEL, method="wilson")
    return events / n, float(found.low), float(found.high)


def _t_interval(mean: float, error: float, freedom: float) -> Interval:
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error if error else 0.0
    return mean - half, mean + half


def _resampled(samples: tuple[Sequence[float], ...], statistic: Callable[..., NDArray]) -> Interval:
    level = _expanded_level(min(map(len, samples)))
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            samples, statistic, n_resamples=DRAWS, confidence_level=level, method="BCa", vectorized=True, rng=0
        ).confidence_interval
    return float(found.low), float(found.high)


def _expanded_level(n: int) -> float:
    """The level at which a bootstrap over n units is as wide as Student's t over them would be."""
    z = math.sqrt(n / (n - 1)) * float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    return 2 * float(stats.norm.cdf(z)) - 1


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of independent values; NaN for fewer than two."""
    kept = known(values)
    return float(np.std(kept, ddof=1)) / math.sqrt(len(kept)) if len(kept) > 1 else math.nan


def difference_error(a: Sequence[float], b: Sequence[float]) -> float:
    """The standard error of mean(a) - mean(b), for values of different units."""
    return _welch_error(known(a), known(b))


def _welch_error(a: Sequence[float], b: Sequence[float]) -> float:
    return math.hypot(standard_error(a), standard_error(b))


def _welch_freedom(a: Sequence[float], b: Sequence[float]) -> float:
    """Satterthwaite's degrees of freedom; those of the larger sample where nothing varies."""
    x, y = standard_error(a) ** 2, standard_error(b) ** 2
    if x + y == 0:
        return max(len(a), len(b)) - 1
    return (x + y) ** 2 / (x**2 / (len(a) - 1) + y**2 / (len(b) - 1))


def seen_errors(n: int) -> float:
    """How many standard errors from the null a mean of n units must truly be for four of five runs to see it.

    2.8 for many units, more for few, whose spread is not known well.
    """
    freedom = n - 1
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) + stats.t.ppf(POWER, freedom)) if freedom > 0 else math.nan


def mean_p(values: Sequence[float], null: float) -> float:
    """The two-sided p-value that the mean of independent values is the null's (Student's t); NaN if none can be had."""
    kept = known(values)
    if len(kept) < 2 or not np.ptp(kept):
        return math.nan
    return float(stats.ttest_1samp(kept, null).pvalue)


def difference_p(a: Sequence[float], b: Sequence[float], null: float) -> float:
    """The same for mean(a) - mean(b) of different units (Welch's t)."""
    first, second = known(a), known(b)
    if min(len(first), len(second)) < 2 or not (np.ptp(first) or np.ptp(second)):
        return math.nan
    return float(stats.ttest_ind(np.asarray(first) - null, second, equal_var=False).pvalue)


def share_p(events: int, n: int, null: float) -> float:
    """The two-sided exact p-value that a share of n events is the null's; NaN for none, or a null outside 0 to 1."""
    return float(stats.binomtest(events, n, null).pvalue) if n and 0 <= null <= 1 else math.nan


def holm(p_values: Sequence[float], level: float = 1 - LEVEL) -> list[bool]:
    """Which of several tests survive Holm's correction (1979).

    The k-th smallest p of m, and all before it, must not exceed level / (m - k + 1). A NaN does not survive.
    """
    survives = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda i: (math.isnan(p_values[i]), p_values[i]))
    for rank, i in enumerate(order):
        if not p_values[i] <= level / (len(p_values) - rank):
            break
        survives[i] = True
    return survives
