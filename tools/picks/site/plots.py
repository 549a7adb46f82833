"""A claim's number as a drawing: static SVG that the page holds, with what it shows in words.

Left and right of a drawing are the same number all over a block of claims. Drawn are the side that the claim is on
(shaded), what the metric is if there is nothing (a line), the authors' range where it can be compared (a band), the
units where there are few (faint dots), the control (an open diamond), and the value (a dot) with its interval (a bar).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from picks.site.addresses import slug
from picks.site.formats import interval, number, span, value
from picks.site.results import Finding
from reproductions.common.claims import ABOVE, BELOW, WITHIN
from reproductions.common.metrics import MEAN

WIDTH, MARGIN = 300, 8
HEIGHT, THIN = 24, 16  # of the fullest run, and of others
MOST_DOTS = 99
STEPS = (1.0, 2.0, 5.0, 10.0)
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """What stands at the left and at the right end of every drawing of a block."""

    low: float
    high: float

    @classmethod
    def over(cls, findings: Iterable[Finding]) -> Axis:
        """From the lowest to the highest number that any of the findings shows."""
        shown = [number for finding in findings for number in _extent(finding)]
        low, high = min(shown), max(shown)
        pad = 0.04 * (high - low) or 1.0
        return cls(low - pad, high + pad)

    def at(self, number: float) -> float:
        """Where a number stands, from left to right, in the drawing's own units; what is beyond stands at the edge."""
        share = (number - self.low) / (self.high - self.low)
        return round(MARGIN + (WIDTH - 2 * MARGIN) * min(1.0, max(0.0, share)), 1)

    @property
    def ticks(self) -> list[float]:
        """Up to five round numbers."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in STEPS if power * factor >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [place * step for place in range(first, last + 1)]


def _extent(finding: Finding) -> Iterator[float]:
    """The numbers that a finding's drawing must have room for."""
    judged, claim = finding.judgement, finding.claim
    yield from (number for number in (judged.value, judged.control, claim.null) if number is not None)
    yield from judged.interval or ()
    if claim.paper.effect and claim.paper.comparable:
        yield from claim.paper.effect
    if claim.bound is not None:
        yield from (claim.null - claim.bound, claim.null + claim.bound) if claim.direction == WITHIN else (claim.bound,)


def scale(axis: Axis) -> Markup:
    """The numbers above a block of drawings."""
    decimals = max(0, -math.floor(math.log10(axis.ticks[1] - axis.ticks[0]) + 1e-9)) if len(axis.ticks) > 1 else 2
    labels = "".join(
        f'<text x="{axis.at(tick)}" y="13">{tick:,.{decimals}f}</text>'.replace("-", "−") for tick in axis.ticks
    )
    marks = "".join(f"M{axis.at(tick)} 16v4" for tick in axis.ticks)
    return _svg("plot plot--scale", 20, f'{labels}<path class="plot-tick" d="{marks}"/>')


def drawing(finding: Finding, axis: Axis, *, thin: bool) -> Markup:
    """A finding's number on its block's axis."""
    height = THIN if thin else HEIGHT
    parts = (_claimed(finding, axis, height), *_paper(finding, axis, height), *_measured(finding, axis, height, thin))
    kind = f"plot plot--{slug(finding.verdict or '')}{' plot--thin' if thin else ''}"
    return _svg(kind, height, "".join(parts), in_words(finding))


def in_words(finding: Finding) -> str:
    """What a drawing shows."""
    judged, claim = finding.judgement, finding.claim
    parts = [" ".join(filter(None, (value(judged), interval(judged), finding.unit))), f"must be {claim.sought}"]
    if judged.control is not None:
        parts.append(f"control {number(judged.control)}")
    if claim.paper.effect and claim.paper.comparable:
        parts.append(f"the authors have {span(claim.paper.effect)}")
    return "; ".join(parts)


def _claimed(finding: Finding, axis: Axis, height: int) -> str:
    """The shaded side, and the line that bounds it."""
    claim = finding.claim
    sides = {
        ABOVE: (axis.at(claim.edge), WIDTH),
        BELOW: (0, axis.at(claim.edge)),
        WITHIN: (axis.at(claim.null - (claim.bound or 0)), axis.at(claim.null + (claim.bound or 0))),
    }
    left, right = sides[claim.direction]
    shade = f'<rect class="plot-claimed" x="{left}" width="{round(right - left, 1)}" height="{height}"/>'
    return f'{shade}<path class="plot-null" d="M{axis.at(claim.null)} 0v{height}"/>'


def _paper(finding: Finding, axis: Axis, height: int) -> Iterator[str]:
    """The authors' range, where scale and unit are ours."""
    paper = finding.claim.paper
    if paper.effect and paper.comparable:
        left, right = map(axis.at, paper.effect)
        width = max(2.0, round(right - left, 1))
        yield f'<rect class="plot-authors" x="{left}" y="2" width="{width}" height="{height - 4}"/>'


def _measured(finding: Finding, axis: Axis, height: int, thin: bool) -> Iterator[str]:
    """Units, control, interval and value; the colour is the verdict's."""
    judged, middle = finding.judgement, height / 2
    if not thin and (dots := _dots(finding, axis, middle)):
        yield f'<path class="plot-units" d="{dots}"/>'
    if judged.control is not None:
        x, half = axis.at(judged.control), 3 if thin else 4
        yield f'<path class="plot-control" d="M{x} {middle - half}l{half} {half}-{half} {half}-{half}-{half}z"/>'
    assert judged.value is not None and judged.interval is not None
    left, right = map(axis.at, judged.interval)
    yield f'<path class="plot-interval" d="M{left} {middle}H{right}"/>'
    yield f'<circle class="plot-value" cx="{axis.at(judged.value)}" cy="{middle}" r="{2.6 if thin else 4}"/>'


def _dots(finding: Finding, axis: Axis, middle: float) -> str:
    """A path with a point for each unit that lies on the axis, in three rows; empty where there are too many."""
    metric = finding.metric
    if metric is None or metric.kind != MEAN or len(metric.units) > MOST_DOTS:
        return ""
    known = [unit for unit in metric.units if axis.low <= unit <= axis.high]
    return "".join(f"M{axis.at(unit)} {middle + 6 * (place % 3 - 1)}h0" for place, unit in enumerate(known))


def _svg(kind: str, height: int, inside: str, words: str = "") -> Markup:
    """A drawing of ours; without words it is left to those who see."""
    told = Markup(' role="img" aria-label="{}"').format(words) if words else Markup(' aria-hidden="true"')
    head = Markup('<svg class="{}" viewBox="0 0 {} {}"{}>').format(kind, WIDTH, height, told)
    return head + Markup(inside) + Markup("</svg>")
