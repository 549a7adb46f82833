"""Recorded runs as the site shows them: typed, and refused where a record is not what `tools/repro --record` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picks.run.judgements import judgements
from picks.run.record import recorded_runs
from picks.run.reproductions import Reproduction
from picks.run.sentences import Said, said
from picks.run.staleness import why_stale
from reproductions.common.claims import BEFORE, OURS, Claim, ClaimError, Claims, MetricSpec, load_claims
from reproductions.common.errors import UserError
from reproductions.common.metrics import DIFFERENCE, MEAN, Metric
from reproductions.common.plots import THEMES
from reproductions.common.report import FILE
from reproductions.common.verdicts import Judgement, count_facts, facts

# What of a claim decides its verdict. Where none of it has changed since the record, a page takes today's wording.
CHECK = ("kind", "fact", "metric", "null", "direction", "bound", "control", "positive_control", "second_route", "unit")


@dataclass(frozen=True)
class Finding:
    """A claim as this run judged it; `under` is the claim that speaks for their fact, if it is another one.

    specs: what metrics are called, by their names; reworded: the claim's check is another one today.
    """

    judgement: Judgement
    metric: Metric | None
    specs: Mapping[str, MetricSpec]
    figure: str | None
    under: Finding | None = None
    reworded: bool = False

    @property
    def claim(self) -> Claim:
        """What was claimed, and how it is judged."""
        return self.judgement.claim

    @property
    def id(self) -> str:
        """The claim's."""
        return str(self.claim.id)

    @property
    def verdict(self) -> str | None:
        """In a word; none for what follows from the settings."""
        return self.judgement.verdict

    @property
    def ours(self) -> bool:
        """Whether it is a check of ours and no statement of the paper."""
        return self.claim.kind == OURS

    @property
    def origin(self) -> str:
        """Where the number beside ours is from: the paper's text, or files of its authors in which we looked it up."""
        if self.ours:
            return "Ours"
        return "Released files" if self.claim.paper.released else "Paper"

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return self.judgement.value is not None

    @property
    def afterthought(self) -> str:
        """Why its check was chosen after results were seen; empty if it was not."""
        return "" if self.claim.set == BEFORE else self.claim.set.removeprefix("after: ")

    @property
    def unit(self) -> str:
        """Of the value."""
        spec = self.spec(self.claim.metric)
        return spec.unit if spec else ""

    def spec(self, name: str | None) -> MetricSpec | None:
        """What a metric is called, and its unit."""
        return self.specs.get(name or "")

    @property
    def anchor(self) -> str:
        """Where it stands on the paper's page."""
        return claim_anchor(self.id)

    @property
    def has_units(self) -> bool:
        """Whether the values of what is independent were kept."""
        return self.metric is not None and self.metric.kind in (MEAN, DIFFERENCE)


def claim_anchor(claim_id: str) -> str:
    """Where a claim stands on its paper's page."""
    return "claim-" + "".join(letter if letter.isalnum() else "-" for letter in claim_id)


@dataclass(frozen=True)
class Figure:
    """A figure in its drawings for light and for dark pages, with what it shows in words."""

    name: str
    alt: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Run:
    """A recorded run."""

    reproduction: str
    profile: str
    model: str
    model_title: str
    pin: str
    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...]
    data: Mapping[str, Path]
    parameters: Mapping[str, Any]
    provenance: Mapping[str, Any]
    signature: str
    file: Path
    executed: Path | None = None  # the notebook as it ran, of a model's fullest run
    stale: str = ""  # why today's code may not find the numbers again
    attested: Mapping[str, str] | None = None  # by which commit and when a quick run vouched for it

    @property
    def key(self) -> str:
        """What tells it from the other runs of its reproduction; begins the names of its files."""
        return self.file.stem

    @property
    def model_name(self) -> str:
        """The model's name without what was done to its weights."""
        return self.model_title.partition(",")[0]

    @property
    def judged(self) -> list[Judgement]:
        """What it says of each claim."""
        return [finding.judgement for finding in self.findings]

    @property
    def counts(self) -> dict[str, int]:
        """How many of the paper's facts got each verdict, best verdict first."""
        return count_facts(self.judged)

    @property
    def of_paper(self) -> list[Finding]:
        """What it says of the paper's claims."""
        return [finding for finding in self.findings if not finding.ours]

    @property
    def own(self) -> list[Finding]:
        """What it says of our own checks."""
        return [finding for finding in self.findings if finding.ours]


@dataclass(frozen=True)
class Reproduced:
    """A reproduction and its recorded runs: models in its own order, the full profile before the quick one."""

    name: str
    notebook: Path
    runs: tuple[Run, ...]
    said: tuple[Said, ...] = ()
    key_figure: str | None = None  # the name of the figure that carries the finding

    @property
    def headline(self) -> Run | None:
        """The run that speaks for it where there is room for one."""
        return self.runs[0] if self.runs else None

    @property
    def best_by_model(self) -> tuple[Run, ...]:
        """For each model its fullest run."""
        firsts: dict[str, Run] = {}
        for run in self.runs:
            firsts.setdefault(run.model, run)
        return tuple(firsts.values())


def load_reproduced(reproduction: Reproduction) -> Reproduced:
    """A reproduction with everything recorded of it.

    Raises:
        UserError: its claims or a record are not as they must be, or what it says was found contradicts the records.
    """
    try:
        claims = load_claims(reproduction.file)
    except ClaimError as error:
        raise UserError(str(error)) from None
    runs = tuple(_run(reproduction, record, path, claims) for path, record in recorded_runs(reproduction))
    reproduced = Reproduced(reproduction.name, reproduction.notebook, runs, key_figure=claims.figure)
    fullest = {run.model: run.judged for run in reproduced.best_by_model}
    return replace(reproduced, said=said(reproduction.file, claims, fullest))


def _run(reproduction: Reproduction, record: Mapping[str, Any], path: Path, claims: Claims) -> Run:
    try:
        return _read_run(record, path, claims, why_stale(reproduction, record))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not what tools/repro --record writes: {error!r}; record the run anew") from None


def _read_run(record: Mapping[str, Any], path: Path, claims: Claims, stale: str) -> Run:
    metrics = {fields["name"]: Metric.from_json(fields) for fields in record["metrics"]}
    judged = judgements(record["claims"])
    return Run(
        reproduction=record["reproduction"],
        profile=record["profile"],
        model=record["model"]["name"],
        model_title=record["model"]["title"],
        pin=record["model"]["sha256"] or record["model"]["revision"],
        findings=tuple(_findings(judged, metrics, claims)),
        figures=_figures(record["figures"], path),
        data={fields["name"]: _beside(path, fields["file"], fields["name"]) for fields in record["data"]},
        parameters={name: parameter["value"] for name, parameter in record["parameters"].items()},
        provenance=dict(record["provenance"]),
        signature=record["signature"],
        file=path,
        executed=next((_beside(path, one["file"], one["name"]) for one in record.get("executed", [])), None),
        stale=stale,
        attested=record.get("attested"),
    )


def _findings(judged: Sequence[Judgement], metrics: Mapping[str, Metric], claims: Claims) -> Iterator[Finding]:
    """Judgements fact by fact; what metrics are called, and which figure shows a claim, says `reproduction.yml`."""
    today = {claim.id: claim for claim in claims.claims}
    for fact in facts(judged):
        first: Finding | None = None
        for judgement in fact.judgements:
            claim, now = judgement.claim, today.get(judgement.claim.id)
            same = now is not None and _same_check(claim, now)
            finding = Finding(
                replace(judgement, claim=now) if now and same else judgement,
                metric=metrics.get(claim.metric or ""),
                specs=claims.metrics,
                figure=now.figure if now else None,
                under=first,
                reworded=not same,
            )
            first = first or finding
            yield finding


def _same_check(then: Claim, now: Claim) -> bool:
    """Whether a claim is still judged as it was."""
    judged = all(getattr(then, key) == getattr(now, key) for key in CHECK)
    return judged and (then.paper.effect, then.paper.comparable) == (now.paper.effect, now.paper.comparable)


def _figures(entries: Iterable[Mapping[str, Any]], path: Path) -> tuple[Figure, ...]:
    by_name: dict[str, dict[str, Path]] = {}
    alts: dict[str, str] = {}
    for fields in entries:
        drawings = by_name.setdefault(fields["name"], {})
        file = _beside(path, fields["file"], fields["name"])
        drawings |= dict.fromkeys([fields["theme"]] if "theme" in fields else THEMES, file)
        alts[fields["name"]] = fields["alt"]
    return tuple(Figure(name, alts[name], files) for name, files in by_name.items())


def _beside(record: Path, file: str, name: str) -> Path:
    """A file of a run: it lies beside the record, begins as the record does, and has a plain name."""
    rest = file.removeprefix(f"{record.stem}.")
    path = record.parent / file
    if not FILE.fullmatch(rest) or not rest.startswith(f"{name}.") or path.is_symlink() or not path.is_file():
        raise ValueError(f"{file!r} is no file of this run")
    return path
