"""The claims of a reproduction as its page shows them: with what every run found, in blocks that share one axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from picks.site import plots
from picks.site.formats import written
from picks.site.plots import Axis
from picks.site.results import Figure, Finding, Reproduced, Run
from reproductions.common.verdicts import (
    AGAINST,
    CANNOT_TELL,
    FULL_ONLY,
    HOLDS,
    NOT_SEEN,
    NOT_TESTED,
    OPPOSITE,
    WEAKER,
    oriented,
)


@dataclass(frozen=True)
class Claim:
    """A claim with what each run found for it, the fullest run of the first model first."""

    runs: tuple[tuple[Run, Finding], ...]

    @property
    def first(self) -> Finding:
        """What the run that speaks for the reproduction says."""
        return self.runs[0][1]

    @property
    def fact_verdict(self) -> str:
        """The verdict of the fact that it belongs to, where that is counted."""
        return (self.first.under or self.first).verdict or ""

    @property
    def measured(self) -> list[tuple[Run, Finding]]:
        """The runs that have a number."""
        return [(run, finding) for run, finding in self.runs if finding.measured]

    @property
    def unmeasured(self) -> dict[str, list[Run]]:
        """The other runs, by why they have none, in few words."""
        found: dict[str, list[Run]] = {}
        for run, finding in self.runs:
            if not finding.measured:
                found.setdefault(why(finding), []).append(run)
        return found

    @property
    def plotted(self) -> bool:
        """Whether any run has an interval to draw."""
        return any(drawable(finding) for _, finding in self.runs)

    @property
    def figure(self) -> tuple[Run, Figure] | None:
        """The figure that shows it, where the claim names one."""
        run, finding = self.runs[0]
        found = (figure for figure in run.figures if figure.name == finding.figure)
        return next(((run, figure) for figure in found), None)


@dataclass(frozen=True)
class Block:
    """Claims in one unit, on one axis; those without a number stand in a block without either."""

    unit: str
    claims: tuple[Claim, ...]
    axis: Axis | None

    @property
    def scale(self) -> Markup:
        """The axis, drawn."""
        return plots.scale(self.axis) if self.axis else Markup()

    def plot(self, claim: Claim, finding: Finding) -> Markup:
        """A run's number on the axis; nothing where it has none."""
        if self.axis is None or not drawable(finding):
            return Markup()
        return plots.drawing(finding, self.axis, thin=finding is not claim.first)


def drawable(finding: Finding) -> bool:
    """Whether there are a value, an interval, and a side to be on."""
    judged = finding.judgement
    return judged.value is not None and judged.interval is not None and judged.verdict is not None


def claims_of(reproduced: Reproduced) -> list[Claim]:
    """Every claim with its runs, in the order of the first run."""
    found: dict[str, list[tuple[Run, Finding]]] = {}
    for run in reproduced.runs:
        for finding in run.findings:
            found.setdefault(finding.id, []).append((run, finding))
    return [Claim(tuple(runs)) for runs in found.values()]


def blocks(claims: Iterable[Claim]) -> list[Block]:
    """Claims by unit, in the order in which units first appear; those that no run could plot come last."""
    by_unit: dict[str, list[Claim]] = {}
    bare = []
    for claim in claims:
        if claim.plotted:
            by_unit.setdefault(claim.first.unit, []).append(claim)
        else:
            bare.append(claim)
    plotted = [Block(unit, tuple(own), _axis(own)) for unit, own in by_unit.items()]
    return plotted + [Block("", tuple(bare), None)] * bool(bare)


def _axis(claims: Sequence[Claim]) -> Axis:
    return Axis.over(finding for claim in claims for _, finding in claim.runs if drawable(finding))


def why(finding: Finding) -> str:
    """Why the verdict is what it is, in about four words; the whole reason stands below."""
    claim, judged = finding.claim, finding.judgement
    against = f"all {AGAINST[claim.direction]} {written(claim.edge, 6)}"
    reasons = {
        HOLDS: f"all {claim.sought}",
        WEAKER: f"{claim.sought}, below the authors'",
        NOT_SEEN: f"spans {written(claim.edge, 6)}, below the authors'" if claim.bound is None else against,
        OPPOSITE: against,
        CANNOT_TELL: _undecided(finding, against),
        NOT_TESTED: _untested(finding),
    }
    return reasons.get(finding.verdict or "", judged.reason)


def _untested(finding: Finding) -> str:
    """Why there is no fair test; where no run can have one, in full."""
    if finding.claim.metric is None or finding.measured:
        return finding.judgement.reason
    put_off = finding.metric is None or finding.judgement.reason.startswith(FULL_ONLY)
    return "in the full profile only" if put_off else "no such case here"


def _undecided(finding: Finding, against: str) -> str:
    """Why nothing can be told: the interval spans the edge, the control is to blame, or a negative lacks support."""
    low, high = oriented(finding.claim, finding.judgement.interval)
    if low > 0:
        return "the control does it too"
    return f"{against}, unconfirmed" if high < 0 else f"spans {written(finding.claim.edge, 6)}"
