"""Claims: what a paper says, the check our numbers must pass, and the verdict that follows.

Two questions stay apart. *Does our number support the paper's statement?* is answered here, loosely and over
seeds. *Does the code still give our number?* is a `tolerance` on each metric, compared with the recorded run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

REPRODUCED = "reproduced"
PARTIALLY = "partially reproduced"
INCONCLUSIVE = "inconclusive"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested"
VERDICTS = (REPRODUCED, PARTIALLY, INCONCLUSIVE, NOT_REPRODUCED, NOT_TESTED)  # best first

Interval = tuple[float, float]


class ClaimError(ValueError):
    """A claims file, or a metric reported for it, is not as it must be."""


@dataclass(frozen=True)
class Metric:
    """A number that a notebook reports: its value, from how many cases, for each seed, and its 95 % interval."""

    name: str
    value: float
    n: int
    per_seed: tuple[float, ...] = ()
    interval: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """The metric as it stands in `results.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Metric:
        """The inverse of `to_json`."""
        low_high = fields["interval"]
        interval = (_number(low_high[0]), _number(low_high[1])) if low_high else None
        per_seed = tuple(_number(value) for value in fields["per_seed"])
        return cls(fields["name"], _number(fields["value"]), fields["n"], per_seed, interval)


def _number(value: float | None) -> float:
    """JSON has no NaN: a number that could not be computed is written as null."""
    return math.nan if value is None else value


@dataclass(frozen=True)
class MetricSpec:
    """A metric declared before the run; `tolerance` is how far it may move from its record, and `why` says why."""

    name: str
    title: str
    unit: str
    tolerance: float | None
    why: str


@dataclass(frozen=True)
class PaperValue:
    """What the paper reports: the value, on which model, in which table or figure, and whether it was `seen` there."""

    value: str
    model: str
    source: str
    seen: str


@dataclass(frozen=True)
class Check:
    """`metric relation target`, with `margin` to spare; `why` says why this target and margin."""

    relation: str
    target: float
    margin: float = 0.0
    why: str = ""

    @property
    def bound(self) -> float:
        """The number that must be passed: the target made stricter by the margin."""
        return self.target + self.margin if self.relation == ">" else self.target - self.margin

    def holds(self, value: float) -> bool:
        """Whether one number passes."""
        return value > self.bound if self.relation == ">" else value < self.bound

    def holds_surely(self, metric: Metric) -> bool:
        """Whether the value, every seed and the whole interval pass."""
        return all(self.holds(value) for value in (metric.value, *metric.per_seed, *(metric.interval or ())))

    def fails_surely(self, metric: Metric) -> bool:
        """Whether the interval excludes the claim: nothing in it passes."""
        return not any(self.holds(value) for value in (metric.interval or (metric.value, *metric.per_seed)))

    def __str__(self) -> str:
        return f"{self.relation} {self.bound:g}"


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and what this run would have to show.

    No `metric` means it is not tested here; `figure` names the figure that shows it.
    """

    id: str
    statement: str
    paper: PaperValue
    scale: str
    metric: str | None = None
    check: Check | None = None
    partial: Check | None = None
    control: str | None = None
    not_tested: str | None = None
    figure: str | None = None


@dataclass(frozen=True)
class Claims:
    """A paper's claims and the metrics they are judged by."""

    paper: str
    metrics: Mapping[str, MetricSpec]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Judgement:
    """A claim, the numbers it was judged by, the verdict, and the reason in a few words."""

    claim: Claim
    verdict: str
    reason: str
    value: float | None = None
    interval: Interval | None = None
    control: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The judgement as it stands in `results.json`."""
        return asdict(self)


def judge(claims: Claims, metrics: Mapping[str, Metric]) -> tuple[Judgement, ...]:
    """A verdict for each claim, from the metrics of one run.

    Raises:
        ClaimError: a metric that a claim names was not reported.
    """
    return tuple(_judge_claim(claim, metrics) for claim in claims.claims)


def _judge_claim(claim: Claim, metrics: Mapping[str, Metric]) -> Judgement:
    if claim.metric is None or claim.check is None:
        return Judgement(claim, NOT_TESTED, claim.not_tested or "")
    metric = _reported(claim.metric, claim, metrics)
    if metric.n == 0:
        return Judgement(claim, NOT_TESTED, "nothing was measured: this model or this profile has no such case")
    control = _reported(claim.control, claim, metrics).value if claim.control else None
    verdict, reason = _verdict(claim, claim.check, metric, control)
    return Judgement(claim, verdict, reason, metric.value, metric.interval, control)


def _verdict(claim: Claim, check: Check, metric: Metric, control: float | None) -> tuple[str, str]:
    if any(map(math.isnan, (metric.value, *(metric.interval or ())))):
        return INCONCLUSIVE, f"too little was measured for an interval (n = {metric.n})"
    if _passes(check, control) and not check.fails_surely(metric):
        return INCONCLUSIVE, f"the control passes the check too ({check})"
    if check.holds_surely(metric):
        return REPRODUCED, f"holds over the whole interval{' and every seed' if metric.per_seed else ''} ({check})"
    if claim.partial and claim.partial.holds_surely(metric) and not _passes(claim.partial, control):
        return PARTIALLY, f"only the weaker condition holds ({claim.partial})"
    if check.fails_surely(metric):
        return NOT_REPRODUCED, f"the interval excludes the claim ({check})"
    return INCONCLUSIVE, f"the interval spans the threshold ({check})"


def _passes(check: Check, control: float | None) -> bool:
    return control is not None and not math.isnan(control) and check.holds(control)


def _reported(name: str, claim: Claim, metrics: Mapping[str, Metric]) -> Metric:
    if name not in metrics:
        raise ClaimError(f"claim {claim.id} is judged by the metric '{name}', which the notebook did not report")
    return metrics[name]


def fell_below(verdict: str, recorded: str) -> bool:
    """Whether a verdict is worse than the recorded one, in the order of `VERDICTS`."""
    return VERDICTS.index(verdict) > VERDICTS.index(recorded)


def load_claims(path: Path) -> Claims:
    """Read and check a `claims.yml`.

    Raises:
        ClaimError: with file and line, what is wrong and how to mend it.
    """
    return _ClaimsFile(path).read()


class _ClaimsFile:
    """One claims file: its content, and the line of each part for messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf8")
        try:
            self.content = yaml.safe_load(text)
            self.root = yaml.compose(text, yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise ClaimError(f"{path}: not readable as YAML: {error}") from None

    def read(self) -> Claims:
        top = self._mapping((), self.content, needs={"paper", "metrics", "claims"})
        if not isinstance(top["paper"], str):
            raise self._error(("paper",), 'the arXiv id must be quoted: paper: "2412.11965"')
        metrics = {name: self._metric(name, fields) for name, fields in top["metrics"].items()}
        claims = tuple(self._claim(index, fields, metrics) for index, fields in enumerate(top["claims"]))
        if len({claim.id for claim in claims}) < len(claims):
            raise self._error(("claims",), "two claims have the same id; give each its own")
        return Claims(top["paper"], metrics, claims)

    def _metric(self, name: Any, fields: Any) -> MetricSpec:
        where = ("metrics", name)
        if not isinstance(name, str):
            raise self._error(("metrics",), f"YAML reads a metric's name as {name!r}; write it in quotes")
        fields = self._mapping(where, fields, needs={"title", "unit"}, allows={"tolerance", "why"})
        if fields.get("tolerance") is not None and not fields.get("why"):
            raise self._error(where, f"the tolerance of {name} has no `why`; say what may move the number")
        return MetricSpec(name, fields["title"], fields["unit"], fields.get("tolerance"), fields.get("why", ""))

    def _claim(self, index: int, fields: Any, metrics: Mapping[str, MetricSpec]) -> Claim:
        where = ("claims", index)
        allows = {"metric", "check", "partial", "control", "not_tested", "figure"}
        fields = self._mapping(where, fields, needs={"id", "statement", "paper", "scale"}, allows=allows)
        paper = self._mapping((*where, "paper"), fields["paper"], needs={"value", "model", "source", "seen"})
        if ("metric" in fields) == ("not_tested" in fields):
            raise self._error(where, f"claim {fields['id']} needs either a `metric` with a `check`, or `not_tested`")
        for key in ("metric", "control"):
            if fields.get(key) is not None and fields[key] not in metrics:
                raise self._error((*where, key), f"'{fields[key]}' is not among the declared metrics")
        return Claim(
            id=fields["id"],
            statement=fields["statement"],
            paper=PaperValue(**paper),
            scale=fields["scale"],
            metric=fields.get("metric"),
            check=self._check((*where, "check"), fields["check"]) if "metric" in fields else None,
            partial=self._check((*where, "partial"), fields["partial"]) if "partial" in fields else None,
            control=fields.get("control"),
            not_tested=fields.get("not_tested"),
            figure=fields.get("figure"),
        )

    def _check(self, where: tuple[str | int, ...], fields: Any) -> Check:
        fields = self._mapping(where, fields, needs={"relation", "target", "why"}, allows={"margin"})
        if fields["relation"] not in {">", "<"}:
            raise self._error(where, f"relation {fields['relation']!r} is unknown; use '>' or '<'")
        return Check(**fields)

    def _mapping(
        self, where: tuple[str | int, ...], fields: Any, needs: set[str], allows: set[str] | None = None
    ) -> dict[str, Any]:
        if not isinstance(fields, dict):
            raise self._error(where, f"expected the keys {', '.join(sorted(needs))}")
        if missing := needs - fields.keys():
            raise self._error(where, f"missing: {', '.join(sorted(missing))}")
        if unknown := fields.keys() - needs - (allows or set()):
            raise self._error(where, f"unknown key: {', '.join(sorted(map(str, unknown)))}")
        return fields

    def _error(self, where: tuple[str | int, ...], message: str) -> ClaimError:
        return ClaimError(f"{self.path}:{self._line(where)}: {message}")

    def _line(self, where: tuple[str | int, ...]) -> int:
        """The line of the deepest part of `where` that exists."""
        node = self.root
        line = node.start_mark.line if node else 0
        for step in where:
            if isinstance(node, yaml.MappingNode):
                node = next((value for key, value in node.value if key.value == step), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
            if node is None:
                break
            line = node.start_mark.line
        return line + 1
