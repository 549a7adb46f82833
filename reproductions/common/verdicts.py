"""Verdicts: what the numbers of one run say about each claim, by one rule for all.

The rule looks at the 95 % interval of a metric, the value it would have if there were nothing (the null), the side that
is claimed, and the controls. No threshold of ours stands between. The words:

    holds          the interval lies beyond the null on the claimed side, and the control is clean
    holds, weaker  the same, and all of it is below the authors' range, on a comparable scale
    opposite       the interval lies beyond the null on the other side
    not seen       the interval spans the null and ends below the authors' range, which the run could have seen;
                   or two things are claimed to be alike or close, and all of it is beyond the paper's bound
    cannot tell    anything else that was measured
    not tested     nothing was measured, or the test is not fair

"Opposite" and "not seen" are claims about somebody's work: they take the full profile, a positive control that passed,
and a second route that agrees. Without these the verdict is "cannot tell". Everything here follows from a record alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reproductions.common import stats
from reproductions.common.claims import ABOVE, ARITHMETIC, BELOW, PAPER, WITHIN, Claim, ClaimError, Claims
from reproductions.common.metrics import Metric, gap_interval
from reproductions.common.numbers import written
from reproductions.common.stats import Interval

HOLDS, WEAKER = "holds", "holds, weaker"
CANNOT_TELL = "cannot tell"
NOT_SEEN, OPPOSITE = "not seen", "opposite"
NOT_TESTED = "not tested"
VERDICTS = (HOLDS, WEAKER, CANNOT_TELL, NOT_SEEN, OPPOSITE, NOT_TESTED)
POSITIVE = (HOLDS, WEAKER)
NEGATIVE = (NOT_SEEN, OPPOSITE)
FULL = "full"
FULL_ONLY = "full profile only"  # opens the reason of what a shorter profile does not test
LEFT_OUT = "the parameters chosen for this run leave it out"
AGAINST = {ABOVE: "below", BELOW: "above", WITHIN: "beyond"}  # where an interval lies that speaks against a claim

Ruling = tuple[str, str]  # verdict and reason


@dataclass(frozen=True)
class Judgement:
    """A claim, the numbers it was judged by, the verdict (none for arithmetic), and the reason in a few words."""

    claim: Claim
    verdict: str | None
    reason: str
    value: float | None = None
    interval: Interval | None = None
    n: int = 0
    detectable: float | None = None
    p_value: float | None = None
    control: float | None = None
    positive_control: float | None = None
    second_route: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The judgement as it stands in `results.json`."""
        return asdict(self)


def judge(
    claims: Claims, metrics: Mapping[str, Metric], profile: str, *, chosen: bool = False
) -> tuple[Judgement, ...]:
    """A verdict for each claim, from the metrics of one run.

    chosen: whether somebody chose parameters for this run. What these leave out is not tested, where in a run of the
    profile as it stands a number that is missing is a fault.

    Raises:
        ClaimError: a metric that a claim names was not reported.
    """
    return tuple(judge_claim(claim, metrics, profile, chosen=chosen) for claim in claims.claims)


def judge_claim(claim: Claim, metrics: Mapping[str, Metric], profile: str, *, chosen: bool = False) -> Judgement:
    """The verdict of one claim, with the numbers it turns on; chosen as in `judge`.

    Raises:
        ClaimError: a metric that the claim names was not reported.
    """
    if claim.metric is None:
        return Judgement(claim, NOT_TESTED, claim.not_tested or "")
    if claim.full_only and (profile != FULL or claim.metric not in metrics):
        return Judgement(claim, NOT_TESTED, f"{FULL_ONLY}: {claim.full_only}")
    if chosen and claim.metric not in metrics:
        return Judgement(claim, NOT_TESTED, LEFT_OUT)
    found = Evidence.of(claim, metrics)
    verdict, reason = (None, "follows from the settings") if claim.kind == ARITHMETIC else _rule(found, profile)
    metric = found.metric
    return Judgement(
        claim,
        verdict,
        reason,
        value=metric.value,
        interval=metric.interval,
        n=metric.n,
        detectable=metric.detectable,
        p_value=found.p_value,
        control=_value(found.control),
        positive_control=_value(found.positive),
        second_route=_value(found.second),
    )


@dataclass(frozen=True)
class Evidence:
    """A claim and the metrics that it names."""

    claim: Claim
    metric: Metric
    control: Metric | None
    positive: Metric | None
    second: Metric | None

    @classmethod
    def of(cls, claim: Claim, metrics: Mapping[str, Metric]) -> Evidence:
        """Look the metrics up."""
        positive, second = claim.positive_control, claim.second_route
        names = (claim.metric, claim.control, positive and positive.metric, second and second.metric)
        metric, *others = (_reported(name, claim, metrics) if name else None for name in names)
        assert metric is not None
        return cls(claim, metric, *others)

    def oriented(self, interval: Interval | None) -> Interval:
        """As `oriented` has it, for this claim."""
        return oriented(self.claim, interval)

    @property
    def p_value(self) -> float:
        """Two-sided, of the edge of the claim; for likeness the larger of the two one-sided tests against the bound."""
        claim = self.claim
        if claim.direction != WITHIN:
            return self.metric.p_value(claim.edge)
        assert claim.bound is not None
        return max(self.metric.p_value(claim.null + side * claim.bound) for side in (-1, 1)) / 2


def oriented(claim: Claim, interval: Interval | None) -> Interval:
    """An interval as distances from the null towards the claimed side; for likeness, from the bound inwards."""
    low, high = interval or stats.UNKNOWN
    if claim.direction == WITHIN:
        assert claim.bound is not None
        low, high = low - claim.null, high - claim.null
        return claim.bound - max(abs(low), abs(high)), claim.bound - _nearest(low, high)
    return (low - claim.edge, high - claim.edge) if claim.direction == ABOVE else (claim.edge - high, claim.edge - low)


def _rule(found: Evidence, profile: str) -> Ruling:
    metric, claim = found.metric, found.claim
    if unfair := _unfair(found):
        return NOT_TESTED, unfair
    low, high = found.oriented(metric.interval)
    if low > 0:
        return _claimed_side(found)
    if high < 0:
        verdict = OPPOSITE if claim.bound is None else NOT_SEEN
        return _negative(found, profile, verdict, f"all of the interval is {AGAINST[claim.direction]} {_edge(claim)}")
    spans = f"spans {_edge(claim)}: n = {metric.n} sees gaps of {written(metric.detectable)}"
    if claim.direction == WITHIN or not _misses_effect(found):
        return CANNOT_TELL, spans
    return _negative(found, profile, NOT_SEEN, f"{spans}, the authors' least is {written(_least(claim))}")


def _unfair(found: Evidence) -> str:
    """Why a test is none; empty if it is one."""
    metric, positive = found.metric, found.claim.positive_control
    if metric.n == 0:
        return "nothing was measured: this model or this profile has no such case"
    low, high = metric.interval or stats.UNKNOWN
    if math.isnan(low) or math.isnan(high) or math.isnan(metric.value):
        return f"too little was measured for an interval (n = {metric.n})"
    if low == high:
        return f"all {metric.n} values are alike: an interval without width is none"
    if positive is not None and not _above(found.positive, positive.above):
        return (
            f"the instrument does not see a known effect: its positive control is not above {written(positive.above)}"
        )
    return ""


def _claimed_side(found: Evidence) -> Ruling:
    claim = found.claim
    if found.control is not None:
        if not found.control.n or math.isnan(found.control.value):
            return CANNOT_TELL, "the control was not measured"
        if not _clean(found):
            return CANNOT_TELL, f"the control does it too ({written(found.control.value)})"
    beyond = f"all of the interval is {claim.sought}"
    effect = claim.paper.effect
    if effect and claim.paper.comparable and claim.direction != WITHIN:
        lowest = min(found.oriented((value, value))[0] for value in effect)
        if found.oriented(found.metric.interval)[1] < lowest:
            return WEAKER, f"{beyond}, and short of the authors' {written(_least(claim))}"
    return HOLDS, beyond


def _clean(found: Evidence) -> bool:
    """Whether the control's interval reaches the null, or value and control differ, the right way round."""
    assert found.control is not None
    low, _ = found.oriented(found.control.interval)
    if math.isnan(low):
        return False
    if low <= 0:
        return True
    gap = gap_interval(found.metric, found.control)
    return gap[0] > 0 if found.claim.direction == ABOVE else gap[1] < 0


def _misses_effect(found: Evidence) -> bool:
    """Whether the interval ends short of all the authors' values, and the least of these would have been seen."""
    claim = found.claim
    if claim.paper.effect is None or not claim.paper.comparable:
        return False
    lowest = min(found.oriented((value, value))[0] for value in claim.paper.effect)
    return found.oriented(found.metric.interval)[1] < lowest and found.metric.detectable <= lowest


def _negative(found: Evidence, profile: str, verdict: str, reason: str) -> Ruling:
    """A word about somebody's work, where all that it takes is there; else what is lacking."""
    if profile != FULL:
        return CANNOT_TELL, f"{reason}; a negative verdict takes the full profile"
    if found.positive is None:
        return CANNOT_TELL, f"{reason}; there is no positive control"
    if found.second is None or found.claim.second_route is None:
        return CANNOT_TELL, f"{reason}; there is no second route"
    if not _agrees(found, beyond=found.oriented(found.metric.interval)[1] < 0):
        return CANNOT_TELL, f"{reason}; the second route does not agree ({written(found.second.value)})"
    return verdict, f"{reason}; {found.claim.second_route.differs}"


def _agrees(found: Evidence, *, beyond: bool) -> bool:
    """Whether the second route, too, lies `beyond` the edge on the other side, or else not on the claimed one."""
    assert found.second is not None
    low, high = found.oriented(found.second.interval)
    return high < 0 if beyond else low <= 0


def _above(metric: Metric | None, level: float) -> bool:
    return metric is not None and metric.interval is not None and metric.interval[0] > level


def _least(claim: Claim) -> float:
    """Of the authors' values the one nearest to the null."""
    effect = claim.paper.effect or stats.UNKNOWN
    return effect[0] if claim.direction == ABOVE else effect[1]


def _edge(claim: Claim) -> str:
    return written(claim.edge, 6) if claim.bound is None else f"the bound of {written(claim.bound, 6)}"


def _nearest(low: float, high: float) -> float:
    """The smallest distance from 0 within an interval."""
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _reported(name: str, claim: Claim, metrics: Mapping[str, Metric]) -> Metric:
    if name not in metrics:
        raise ClaimError(f"claim {claim.id} is judged by the metric '{name}', which the notebook did not report")
    return metrics[name]


def _value(metric: Metric | None) -> float | None:
    return None if metric is None else metric.value


# Facts


@dataclass(frozen=True)
class Fact:
    """Judgements that turn on the same cases and the same comparison; the first speaks for them."""

    slug: str
    judgements: tuple[Judgement, ...]

    @property
    def verdict(self) -> str | None:
        """That of its first claim."""
        return self.judgements[0].verdict

    @property
    def of_paper(self) -> bool:
        """Whether the paper states it."""
        return self.judgements[0].claim.kind == PAPER


def facts(judgements: Iterable[Judgement]) -> tuple[Fact, ...]:
    """The facts of a run, in the order of their first claims."""
    grouped: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        grouped.setdefault(judgement.claim.fact, []).append(judgement)
    return tuple(Fact(slug, tuple(own)) for slug, own in grouped.items())


def count_facts(judgements: Iterable[Judgement]) -> dict[str, int]:
    """How many of the paper's facts got each verdict, in the order of `VERDICTS`."""
    counts = Counter(fact.verdict for fact in facts(judgements) if fact.of_paper)
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def surviving(judgements: Iterable[Judgement]) -> int:
    """How many of the paper's facts that hold survive Holm's correction over all of its facts that were tested."""
    tested = [f.judgements[0] for f in facts(judgements) if f.of_paper and f.verdict not in (NOT_TESTED, None)]
    p_values = [math.nan if j.p_value is None else j.p_value for j in tested]
    survives = stats.holm(p_values)
    return sum(kept for kept, judgement in zip(survives, tested, strict=True) if judgement.verdict in POSITIVE)


def fell_below(verdict: str | None, recorded: str | None) -> bool:
    """Whether a verdict is worse than the recorded one, in the order of `VERDICTS`."""
    if verdict is None or recorded is None:
        return False
    return VERDICTS.index(verdict) > VERDICTS.index(recorded)


PHRASES: Mapping[str, Sequence[str]] = {
    HOLDS: ("holds", "hold"),
    WEAKER: ("holds more weakly", "hold more weakly"),
    CANNOT_TELL: ("cannot be told", "cannot be told"),
    NOT_SEEN: ("is not seen", "are not seen"),
    OPPOSITE: ("is the opposite", "are the opposite"),
    NOT_TESTED: ("is not tested", "are not tested"),
}


def in_words(counts: Mapping[str, int]) -> str:
    """`3 facts hold, 1 cannot be told`; no score."""
    if not counts:
        return "no fact"
    parts = [f"{n} {PHRASES[verdict][n != 1]}" for verdict, n in counts.items()]
    first, *rest = parts
    n, words = first.split(" ", 1)
    noun = "fact" if n == "1" else "facts"
    return ", ".join([f"{n} {noun} {words}", *rest])
