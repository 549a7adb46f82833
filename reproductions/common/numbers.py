"""Numbers as people read them: a value and its interval with one precision, as fine as the interval is wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reproductions.common.stats import Interval  # brings SciPy, which a refusal does without

DASH = "–"
MOST_DECIMALS = 4
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    if 0 < abs(value) < 0.5 * 10**-MOST_DECIMALS:
        return written(value)
    return _fixed(value, _decimals(abs(value)))


def written(value: float, digits: int = 2) -> str:
    """In a sentence, with the digits that count and no more: `0.5`, `1,700`, `-1.1×10⁻⁵`."""
    shown = f"{value:.{digits}g}"
    if "e" not in shown:
        return shown
    if abs(value) >= 1:
        return f"{float(shown):,.0f}"
    factor, _, power = shown.partition("e")
    return f"{factor}×10{str(int(power)).translate(RAISED)}"


def _decimals(scale: float) -> int:
    """As many places as show two digits of something this large."""
    if scale <= 0:
        return 2
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(scale))))


def _fixed(value: float, decimals: int) -> str:
    shown = f"{value:,.{decimals}f}"
    return shown.replace("-", "", 1) if float(shown.replace(",", "")) == 0 else shown
