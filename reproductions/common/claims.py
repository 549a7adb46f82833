"""Claims: what a paper says, and what a run would have to show; read from `reproduction.yml`, written before the run.

How a claim is judged by what a run reports is in `verdicts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproductions.common.declared import BLANK, MetricSpec, declared
from reproductions.common.errors import UserError
from reproductions.common.numbers import written
from reproductions.common.schema import Loaded, load
from reproductions.common.suggest import did_you_mean

PAPER, OURS, ARITHMETIC = "paper", "ours", "arithmetic"
KINDS = (PAPER, OURS, ARITHMETIC)
ABOVE, BELOW, WITHIN = "above", "below", "within"
DIRECTIONS = (ABOVE, BELOW, WITHIN)
BEFORE = "before"
CONTROL = "_control"  # what the blank of a claim's control ends with


class ClaimError(UserError, ValueError):
    """A claims file, or a metric reported for it, is not as it must be."""


@dataclass(frozen=True)
class PaperValue:
    """What the paper reports: the value, on which model, in which table or figure, and whether it was `seen` there.

    effect: the lowest and the highest value of the claim's very number over all of the authors' models and columns, and
    `mean` their mean where it is known; `comparable` where scale and unit are those of our metric. `released` where the
    value stands in files that the authors released, and we looked it up or worked it out there.
    """

    value: str
    model: str
    source: str
    seen: str
    effect: tuple[float, float] | None = None
    mean: float | None = None
    comparable: bool = False
    released: bool = False

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
            return f"within {written(self.edge, 6)} of {written(self.null, 6)}"
        return f"{self.direction} {written(self.edge, 6)}"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Claim:
        """A claim as a record keeps it."""
        parts = {"paper": PaperValue, "positive_control": PositiveControl, "second_route": SecondRoute}
        nested = {key: of(**_tupled(fields[key])) for key, of in parts.items() if fields.get(key)}
        return cls(**{**fields, **nested})


def _tupled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


@dataclass(frozen=True)
class Sentence:
    """What was found on a model, written for people.

    `{A1}` in it stands for that claim's number and interval, `{A1_control}` for the number of its control. It may only
    be said while the model's fullest record gives these `verdicts`, by claim.
    """

    text: str
    model: str
    verdicts: Mapping[str, str]

    def filled(self, numbers: Mapping[str, str]) -> str:
        """The text with the numbers of its claims."""
        return BLANK.sub(lambda blank: numbers[blank[1]], self.text)


@dataclass(frozen=True)
class Claims:
    """A paper's claims, the metrics they are judged by, what was found in sentences, and the figure that shows it."""

    paper: str
    metrics: Mapping[str, MetricSpec]
    claims: tuple[Claim, ...]
    found: tuple[Sentence, ...] = ()
    figure: str | None = None


def load_claims(path: Path) -> Claims:
    """Read and check what a `reproduction.yml` claims and declares.

    Raises:
        ClaimError: with file, line and column, what is wrong and how to mend it.
    """
    try:
        return _ClaimsFile(load(path, "reproduction")).read()
    except ClaimError:
        raise
    except UserError as error:
        raise ClaimError(str(error)) from error


TESTED_KEYS = ("metric", "null", "direction", "unit")


@dataclass(frozen=True)
class _ClaimsFile:
    """One file of the right form: what must hold between its parts."""

    file: Loaded

    def read(self) -> Claims:
        content = self.file.content
        metrics = declared(self.file)
        claims = tuple(self._claim(index, fields, metrics) for index, fields in enumerate(content["claims"]))
        for index, claim in enumerate(claims):
            if claim.id in {other.id for other in claims[:index]}:
                raise self.file.error(f"two claims have the same id {claim.id}; give each its own", "claims", index)
        found = content.get("found", {})
        sentences = tuple(self._sentence(index, claims) for index in range(len(found.get("sentences", ()))))
        return Claims(content["paper"], metrics, claims, sentences, found.get("figure"))

    def _sentence(self, index: int, claims: tuple[Claim, ...]) -> Sentence:
        where = ("found", "sentences", index)
        sentence = Sentence(**self.file.content["found"]["sentences"][index])
        if sentence.model not in self.file.content["models"]:
            raise self.file.error(f"{sentence.model} is not among this reproduction's models", *where, "model")
        for name in sentence.verdicts:
            if name not in (known := [claim.id for claim in claims]):
                raise self.file.error(f"there is no claim {name}{did_you_mean(name, known)}", *where, "verdicts", name)
        named = {blank.removesuffix(CONTROL) for blank in BLANK.findall(sentence.text)}
        if unsaid := named - sentence.verdicts.keys():
            what = f"{{{min(unsaid)}}} stands for a claim's number; give that claim's verdict under `verdicts` as well"
            raise self.file.error(what, *where, "text")
        return sentence

    def _claim(self, index: int, fields: Mapping[str, Any], metrics: Mapping[str, MetricSpec]) -> Claim:
        where = ("claims", index)
        self._check_test(where, fields)
        parts = {"positive_control": PositiveControl, "second_route": SecondRoute}
        nested = {key: of(**fields[key]) for key, of in parts.items() if key in fields}
        places = [(*where, key) for key in ("metric", "control") if key in fields]
        for place in [*places, *((*where, key, "metric") for key in nested)]:
            named = str(self.file.document.node(*place).data)  # type: ignore[union-attr]
            if named not in metrics:
                what = f"claim {fields['id']}: {named!r} is not among the declared metrics"
                raise self.file.error(what + did_you_mean(named, metrics), *place)
        return Claim(**{**fields, **nested, "paper": self._paper((*where, "paper"), fields["paper"])})

    def _check_test(self, where: tuple[str | int, ...], fields: Mapping[str, Any]) -> None:
        """A claim is either not tested, with the reason, or says how it is; arithmetic needs its metric alone."""
        name = f"claim {fields['id']}"
        if ("metric" in fields) == ("not_tested" in fields):
            raise self.file.error(f"{name} needs either a `metric` and how it is judged, or `not_tested`", *where)
        if "not_tested" in fields or fields["kind"] == ARITHMETIC:
            return
        if missing := [key for key in TESTED_KEYS if key not in fields]:
            raise self.file.error(f"{name} lacks {', '.join(missing)}", *where)
        if fields["direction"] == WITHIN and "bound" not in fields:
            what = f"{name} claims that two things are alike: take its `bound` from the paper"
            raise self.file.error(what, *where, "direction")
        if ("control" in fields) == ("no_control" in fields):
            raise self.file.error(f"{name} needs a `control`, or the reason for having none in `no_control`", *where)

    def _paper(self, where: tuple[str | int, ...], fields: Mapping[str, Any]) -> PaperValue:
        effect = fields.get("effect")
        if effect is not None and effect[0] > effect[1]:
            what = "an effect is [lowest, highest] over the authors' models and columns"
            raise self.file.error(what, *where, "effect")
        if fields.get("comparable") and effect is None:
            raise self.file.error("nothing is comparable without the authors' `effect`", *where, "comparable")
        return PaperValue(**_tupled(fields))
