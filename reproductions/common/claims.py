"""Claims: what a paper says, and what a run would have to show; read from `claims.yml`, written before the run.

How a claim is judged by what a run reports is in `verdicts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PAPER, OURS, ARITHMETIC = "paper", "ours", "arithmetic"
KINDS = (PAPER, OURS, ARITHMETIC)
ABOVE, BELOW, WITHIN = "above", "below", "within"
DIRECTIONS = (ABOVE, BELOW, WITHIN)
BEFORE = "before"


class ClaimError(ValueError):
    """A claims file, or a metric reported for it, is not as it must be."""


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
    """What the paper reports: the value, on which model, in which table or figure, and whether it was `seen` there.

    effect: the lowest and the highest value of the claim's very number over all of the authors' models and columns, and
    `mean` their mean where it is known; `comparable` where scale and unit are those of our metric.
    """

    value: str
    model: str
    source: str
    seen: str
    effect: tuple[float, float] | None = None
    mean: float | None = None
    comparable: bool = False

    @property
    def typical(self) -> float | None:
        """The middle of what the authors report."""
        if self.mean is not None or self.effect is None:
            return self.mean
        return sum(self.effect) / 2


@dataclass(frozen=True)
class PositiveControl:
    """A metric of the same instrument on a case whose answer is known; its interval must lie above `above`."""

    metric: str
    above: float


@dataclass(frozen=True)
class SecondRoute:
    """A metric that shares as little as possible with the claim's own, and why this model may differ from theirs."""

    metric: str
    differs: str


@dataclass(frozen=True)
class Claim:
    """One statement and what a run would have to show for it.

    kind: the `paper` states it, it is `ours`, or it is `arithmetic`, following from the settings. Claims of one `fact`
    turn on the same cases and the same comparison. `null` is what the metric is if there is nothing; `direction` which
    side of it is claimed, or `within`: that the metric is no further than `bound` from it. `unit` is what is
    independent. `set` says whether all of this was chosen before results were seen, or after and why. Without a
    `metric` it is not tested.
    """

    id: str
    kind: str
    fact: str
    statement: str
    scale: str
    paper: PaperValue
    metric: str | None = None
    null: float = 0.0
    direction: str = ABOVE
    bound: float | None = None
    unit: str = ""
    control: str | None = None
    no_control: str | None = None
    positive_control: PositiveControl | None = None
    second_route: SecondRoute | None = None
    full_only: str | None = None
    set: str = BEFORE
    not_tested: str | None = None
    figure: str | None = None

    @property
    def edge(self) -> float:
        """The number that the whole interval must lie beyond: the null, or the paper's bound where there is one."""
        return self.null if self.bound is None else self.bound

    @property
    def sought(self) -> str:
        """What would have to be true, in a few words: `above 0`, `within 0.07 of 0`, `below 0.08`."""
        if self.direction == WITHIN:
            return f"within {self.bound:g} of {self.null:g}"
        return f"{self.direction} {self.edge:g}"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Claim:
        """A claim as a record keeps it."""
        parts = {"paper": PaperValue, "positive_control": PositiveControl, "second_route": SecondRoute}
        nested = {key: of(**_tupled(fields[key])) for key, of in parts.items() if fields.get(key)}
        return cls(**{**fields, **nested})


def _tupled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


@dataclass(frozen=True)
class Claims:
    """A paper's claims and the metrics they are judged by."""

    paper: str
    metrics: Mapping[str, MetricSpec]
    claims: tuple[Claim, ...]


def load_claims(path: Path) -> Claims:
    """Read and check a `claims.yml`.

    Raises:
        ClaimError: with file and line, what is wrong and how to mend it.
    """
    return _ClaimsFile(path).read()


CLAIM_KEYS = {"id", "kind", "fact", "statement", "scale", "paper"}
TESTED_KEYS = {"metric", "null", "direction", "unit"}
MORE_KEYS = {"bound", "control", "no_control", "positive_control", "second_route", "full_only", "set", "figure"}
WHERE_KEYS = {"value", "model", "source", "seen"}


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
        fields = self._mapping(where, fields, CLAIM_KEYS, {"not_tested", *TESTED_KEYS, *MORE_KEYS})
        if fields["kind"] not in KINDS:
            raise self._error((*where, "kind"), f"kind {fields['kind']!r} is unknown; use {', '.join(KINDS)}")
        parts = {
            "paper": self._paper((*where, "paper"), fields["paper"]),
            "positive_control": self._part((*where, "positive_control"), fields, PositiveControl, {"metric", "above"}),
            "second_route": self._part((*where, "second_route"), fields, SecondRoute, {"metric", "differs"}),
        }
        self._check_test(where, fields)
        named = [fields.get("metric"), fields.get("control")]
        named += [getattr(part, "metric", None) for part in parts.values()]
        if unknown := [name for name in named if name is not None and name not in metrics]:
            raise self._error(where, f"claim {fields['id']}: '{unknown[0]}' is not among the declared metrics")
        return Claim(**{**fields, **parts})

    def _check_test(self, where: tuple[str | int, ...], fields: Mapping[str, Any]) -> None:
        """A claim is either not tested, with the reason, or says how it is; arithmetic needs its metric alone."""
        name = f"claim {fields['id']}"
        if ("metric" in fields) == ("not_tested" in fields):
            raise self._error(where, f"{name} needs either a `metric` and how it is judged, or `not_tested`")
        if "not_tested" in fields or fields["kind"] == ARITHMETIC:
            return
        if missing := TESTED_KEYS - fields.keys():
            raise self._error(where, f"{name} lacks {', '.join(sorted(missing))}")
        if fields["direction"] not in DIRECTIONS:
            raise self._error((*where, "direction"), f"a direction is one of {', '.join(DIRECTIONS)}")
        if fields["direction"] == WITHIN and "bound" not in fields:
            raise self._error(where, f"{name} claims that two things are alike: take its `bound` from the paper")
        if ("control" in fields) == ("no_control" in fields):
            raise self._error(where, f"{name} needs a `control`, or the reason for having none in `no_control`")
        if fields.get("set", BEFORE) != BEFORE and not str(fields["set"]).startswith("after: "):
            raise self._error((*where, "set"), f"{name}: `set` is 'before', or 'after: ' and why")

    def _paper(self, where: tuple[str | int, ...], fields: Any) -> PaperValue:
        fields = self._mapping(where, fields, WHERE_KEYS, {"effect", "mean", "comparable"})
        effect = fields.get("effect")
        if effect is not None and not (len(effect) == 2 and effect[0] <= effect[1]):
            raise self._error((*where, "effect"), "an effect is [lowest, highest] over the authors' models and columns")
        if fields.get("comparable") and effect is None:
            raise self._error(where, "nothing is comparable without the authors' `effect`")
        return PaperValue(**_tupled(fields))

    def _part(self, where: tuple[str | int, ...], fields: Mapping[str, Any], of: Any, needs: set[str]) -> Any:
        given = fields.get(str(where[-1]))
        return None if given is None else of(**self._mapping(where, given, needs))

    def _mapping(
        self, where: tuple[str | int, ...], fields: Any, needs: set[str], allows: set[str] | None = None
    ) -> dict[str, Any]:
        if not isinstance(fields, dict):
            raise self._error(where, f"expected the keys {', '.join(sorted(needs))}")
        fields = {"null" if key is None else key: value for key, value in fields.items()}  # YAML reads `null:` as None
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
