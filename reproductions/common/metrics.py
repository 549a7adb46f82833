"""Metrics: numbers that keep the values they are made of, so that anyone can work them out again from a record.

A metric's units are what is independent: relations, features, themes, texts. Value, interval, standard error and
p-value follow from the values of the units alone, in the way that its `kind` names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reproductions.common import stats
from reproductions.common.stats import UNKNOWN, Interval

MOST_UNITS = 500
DIGITS = 5  # of the values of units
SHOWN = 7  # digits of what follows from them

MEAN, DIFFERENCE, SHARE, PLAIN = "mean", "difference", "share", "plain"


@dataclass(frozen=True)
class Metric:
    """A number that a notebook reports.

    kind: `mean` of `units`; `difference` of the means of `units` and of `against`, which are other units; `share` of
    `units[0]` events among n; or `plain`, a bare number without an interval, on which nothing can be judged.
    units: five digits each, NaN where a unit could not be measured; n counts those that could.
    per_seed: the value of each seed, shown and not judged.
    """

    name: str
    value: float
    n: int
    kind: str = PLAIN
    units: tuple[float, ...] = ()
    against: tuple[float, ...] = ()
    per_seed: tuple[float, ...] = ()
    interval: Interval | None = None

    @property
    def error(self) -> float:
        """The standard error of the value; NaN where none can be had."""
        match self.kind:
            case "mean":
                return stats.standard_error(self.units)
            case "difference":
                return stats.difference_error(self.units, self.against)
            case "share" if self.n:
                return math.sqrt(self.value * (1 - self.value) / self.n)
        return math.nan

    @property
    def detectable(self) -> float:
        """The smallest distance from the null that four of five such runs would show."""
        fewest = min(len(stats.known(side)) for side in (self.units, self.against) if side) if self.units else 0
        return stats.seen_errors(self.n if self.kind == SHARE else fewest) * self.error

    def p_value(self, null: float) -> float:
        """The two-sided p-value of the null; NaN where none can be had."""
        match self.kind:
            case "mean":
                return stats.mean_p(self.units, null)
            case "difference":
                return stats.difference_p(self.units, self.against, null)
            case "share":
                return stats.share_p(round(self.units[0]), self.n, null)
        return math.nan

    def recomputed(self) -> Metric:
        """The same, with value, n and interval worked out anew from the units."""
        match self.kind:
            case "mean":
                return mean_of(self.name, self.units, self.per_seed)
            case "difference":
                return difference_of(self.name, self.units, self.against, self.per_seed)
            case "share":
                return share_of(self.name, round(self.units[0]), self.n, self.per_seed)
        return self

    def to_json(self) -> dict[str, Any]:
        """The metric as it stands in `results.json`, without what is empty."""
        fields = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return {key: value for key, value in fields.items() if value not in ([], None)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Metric:
        """The inverse of `to_json`; JSON's null is a number that could not be computed."""
        units, against, per_seed = (_numbers(fields.get(key, ())) for key in ("units", "against", "per_seed"))
        low_high = _numbers(fields.get("interval", ()))
        interval = (low_high[0], low_high[1]) if low_high else None
        value = _number(fields["value"])
        return cls(fields["name"], value, fields["n"], fields["kind"], units, against, per_seed, interval)


def mean_of(name: str, units: Sequence[float], per_seed: Sequence[float] = ()) -> Metric:
    """The mean over independent units; NaNs are left out."""
    values = _rounded(name, units)
    return Metric(
        name=name,
        value=_short(stats.nan_mean(values)),
        n=len(stats.known(values)),
        kind=MEAN,
        units=values,
        per_seed=_rounded(name, per_seed),
        interval=_short_interval(stats.mean_interval(values)),
    )


def difference_of(
    name: str, units: Sequence[float], against: Sequence[float], per_seed: Sequence[float] = ()
) -> Metric:
    """mean(units) - mean(against) of different units; n is 0 where either side has none."""
    a, b = _rounded(name, units), _rounded(name, against)
    counts = len(stats.known(a)), len(stats.known(b))
    return Metric(
        name=name,
        value=_short(stats.nan_mean(a) - stats.nan_mean(b)),
        n=sum(counts) if min(counts) else 0,
        kind=DIFFERENCE,
        units=a,
        against=b,
        per_seed=_rounded(name, per_seed),
        interval=_short_interval(stats.difference_interval(a, b)),
    )


def share_of(name: str, events: int, n: int, per_seed: Sequence[float] = ()) -> Metric:
    """The share of n independent cases in which something happened."""
    value, interval = _short(events / n if n else math.nan), _short_interval(stats.share_interval(events, n))
    return Metric(name, value, n, SHARE, (float(events),), (), _rounded(name, per_seed), interval)


def plain(name: str, value: float, n: int, per_seed: Sequence[float] = ()) -> Metric:
    """A bare number: a count, a cost, a parameter that follows from the settings."""
    return Metric(name, _short(value), n, per_seed=_rounded(name, per_seed))


def missing(name: str) -> Metric:
    """A number of which this run has not got a single case."""
    return Metric(name, math.nan, 0, MEAN, (), (), (), UNKNOWN)


def gap_interval(one: Metric, other: Metric) -> Interval:
    """The interval of one metric less another: unit by unit where the units are the same, else as of different ones."""
    if one.kind == other.kind != SHARE and _shape(one) == _shape(other):
        units, against = (
            [a - b for a, b in zip(x, y, strict=True)]
            for x, y in ((one.units, other.units), (one.against, other.against))
        )
        return stats.difference_interval(units, against) if against else stats.mean_interval(units)
    if one.kind == other.kind == SHARE:
        return stats.share_difference_interval(*((round(metric.units[0]), metric.n) for metric in (one, other)))
    return stats.difference_interval(_cases(one), _cases(other))


def _shape(metric: Metric) -> tuple[int, int]:
    return len(metric.units), len(metric.against)


def _cases(metric: Metric) -> tuple[float, ...]:
    """A metric as independent values; a difference of two groups has none of its own."""
    if metric.kind == SHARE:
        events = round(metric.units[0])
        return (1.0,) * events + (0.0,) * (metric.n - events)
    return metric.units if metric.kind == MEAN else ()


def _rounded(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Values as a record keeps them."""
    if len(values) > MOST_UNITS:
        raise ValueError(f"{name} has {len(values)} units, more than the {MOST_UNITS} that a record keeps: group them")
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def _short(value: float) -> float:
    return float(f"{value:.{SHOWN}g}")


def _short_interval(interval: Interval) -> Interval:
    return _short(interval[0]), _short(interval[1])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(_number(value) for value in values)
