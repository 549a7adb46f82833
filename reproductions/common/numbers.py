"""Numbers as people read them: a value and its interval with one precision, as fine as the interval is wide."""

from __future__ import annotations

import math

from reproductions.common.stats import Interval

DASH = "–"
MOST_DECIMALS = 4


def with_interval(value: float | None, interval: Interval | None) -> tuple[str, str]:
    """`0.71` and `[0.62, 0.78]`: two digits of the interval's width; a dash and nothing where there is no value."""
    if value is None or math.isnan(value):
        return DASH, ""
    if interval is None or any(bound is None or math.isnan(bound) for bound in interval):
        return number(value), ""
    decimals = _decimals(interval[1] - interval[0])
    return _fixed(value, decimals), f"[{_fixed(interval[0], decimals)}, {_fixed(interval[1], decimals)}]"


def number(value: float | None) -> str:
    """`0.71`, `1,024`, or a dash."""
    if value is None or math.isnan(value):
        return DASH
    return _fixed(value, _decimals(abs(value)))


def _decimals(scale: float) -> int:
    """As many places as show two digits of something this large."""
    if scale <= 0:
        return 2
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(scale))))


def _fixed(value: float, decimals: int) -> str:
    shown = f"{value:,.{decimals}f}"
    return shown.replace("-", "", 1) if float(shown.replace(",", "")) == 0 else shown
