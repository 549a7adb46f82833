"""Recorded runs as the site shows them: typed, and refused where a record is not what `tools/repro --record` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picks.errors import UserError
from picks.record import recorded_runs
from picks.reproductions import Reproduction
from reproductions.common.claims import VERDICTS, Check, ClaimError, Claims, Metric, MetricSpec, PaperValue, load_claims
from reproductions.common.report import FILE


@dataclass(frozen=True)
class Finding:
    """A claim, what this run measured for it, and the verdict."""

    id: str
    statement: str
    scale: str
    paper: PaperValue
    verdict: str
    reason: str
    value: float | None
    interval: tuple[float, float] | None
    control: float | None
    check: Check | None
    metric: Metric | None
    measure: MetricSpec | None
    control_measure: MetricSpec | None
    figure: str | None

    @property
    def anchor(self) -> str:
        """Where it stands on the paper's page."""
        return "claim-" + "".join(letter if letter.isalnum() else "-" for letter in self.id)


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

    @property
    def key(self) -> str:
        """What tells it from the other runs of its reproduction; begins the names of its files."""
        return self.file.stem

    @property
    def model_name(self) -> str:
        """The model's name without what was done to its weights."""
        return self.model_title.partition(",")[0]

    @property
    def counts(self) -> dict[str, int]:
        """How many claims got each verdict, best verdict first."""
        return count_verdicts(self.findings)


@dataclass(frozen=True)
class Reproduced:
    """A reproduction and its recorded runs: models in its own order, the full profile before the quick one."""

    name: str
    notebook: Path
    runs: tuple[Run, ...]

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


def count_verdicts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many claims got each verdict, best verdict first."""
    counts = Counter(finding.verdict for finding in findings)
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def load_reproduced(reproduction: Reproduction) -> Reproduced:
    """A reproduction with everything recorded of it.

    Raises:
        UserError: its claims or a record are not as they must be.
    """
    try:
        claims = load_claims(reproduction.claims)
    except ClaimError as error:
        raise UserError(str(error)) from None
    runs = tuple(_run(record, path, claims) for path, record in recorded_runs(reproduction))
    return Reproduced(reproduction.name, reproduction.notebook, runs)


def _run(record: Mapping[str, Any], path: Path, claims: Claims) -> Run:
    try:
        return _read_run(record, path, claims)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not what tools/repro --record writes: {error!r}; record the run anew") from None


def _read_run(record: Mapping[str, Any], path: Path, claims: Claims) -> Run:
    metrics = {fields["name"]: Metric.from_json(fields) for fields in record["metrics"]}
    return Run(
        reproduction=record["reproduction"],
        profile=record["profile"],
        model=record["model"]["name"],
        model_title=record["model"]["title"],
        pin=record["model"]["sha256"] or record["model"]["revision"],
        findings=tuple(_finding(judgement, metrics, claims) for judgement in record["claims"]),
        figures=_figures(record["figures"], path),
        data={fields["name"]: _beside(path, fields["file"], fields["name"]) for fields in record["data"]},
        parameters={name: parameter["value"] for name, parameter in record["parameters"].items()},
        provenance=dict(record["provenance"]),
        signature=record["signature"],
        file=path,
    )


def _finding(judgement: Mapping[str, Any], metrics: Mapping[str, Metric], claims: Claims) -> Finding:
    """A judgement of the record; what its metrics are called, and which figure shows it, says `claims.yml`."""
    claim, measures = judgement["claim"], claims.metrics
    figures = {claim.id: claim.figure for claim in claims.claims}
    if judgement["verdict"] not in VERDICTS:
        raise ValueError(f"no verdict: {judgement['verdict']!r}")
    interval = judgement["interval"]
    return Finding(
        id=str(claim["id"]),
        statement=claim["statement"],
        scale=claim["scale"],
        paper=PaperValue(**{key: str(value) for key, value in claim["paper"].items()}),
        verdict=judgement["verdict"],
        reason=judgement["reason"],
        value=_number(judgement["value"]),
        interval=(float(interval[0]), float(interval[1])) if interval and None not in interval else None,
        control=_number(judgement["control"]),
        check=Check(**claim["check"]) if claim["check"] else None,
        metric=metrics.get(claim["metric"]),
        measure=measures.get(claim["metric"]),
        control_measure=measures.get(claim["control"]),
        figure=figures.get(str(claim["id"])),
    )


def _figures(entries: Iterable[Mapping[str, Any]], path: Path) -> tuple[Figure, ...]:
    by_name: dict[str, dict[str, Path]] = {}
    alts: dict[str, str] = {}
    for fields in entries:
        drawings = by_name.setdefault(fields["name"], {})
        drawings[fields.get("theme", "light")] = _beside(path, fields["file"], fields["name"])
        alts[fields["name"]] = fields["alt"]
    return tuple(Figure(name, alts[name], files) for name, files in by_name.items())


def _beside(record: Path, file: str, name: str) -> Path:
    """A file of a run: it lies beside the record, begins as the record does, and has a plain name."""
    rest = file.removeprefix(f"{record.stem}.")
    path = record.parent / file
    if not FILE.fullmatch(rest) or not rest.startswith(f"{name}.") or path.is_symlink() or not path.is_file():
        raise ValueError(f"{file!r} is no file of this run")
    return path


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
