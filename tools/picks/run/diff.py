"""`tools/repro diff`: two runs side by side, from their records alone: what was asked, where, numbers, verdicts.

Numbers are compared unit by unit where both runs have the same units: the same model, the same lists (relations,
seeds), and as many of them. Else they count as measured on different units, which sees less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from picks.run import record
from picks.run.dependence import changed
from picks.run.staleness import parts_of
from reproductions.common import stats
from reproductions.common.errors import UserError
from reproductions.common.files import dump_json
from reproductions.common.metrics import MEAN, PLAIN, SHARE, Metric, gap_interval
from reproductions.common.numbers import number, with_interval
from reproductions.common.stats import Interval

SAME, DIFFERS = 0, 1
ABSENT = "–"
NOT_COMPARED = ("depends_on", "packages", "seeds", "continued", "judged_again", "started")

Run = Mapping[str, Any]


@dataclass(frozen=True)
class Gap:
    """A number of two runs: both values, the second less the first, and whether unit was held against unit."""

    name: str
    a: float | None
    b: float | None
    less: float | None
    interval: Interval | None
    paired: bool


@dataclass(frozen=True)
class Difference:
    """What differs between two runs, by name; `same` counts numbers and verdicts that do not."""

    runs: tuple[str, str]
    parameters: Mapping[str, tuple[Any, Any]]
    provenance: Mapping[str, tuple[Any, Any]]
    depends_on: list[str]
    numbers: tuple[Gap, ...]
    verdicts: Mapping[str, tuple[Any, Any]]
    same: Mapping[str, int]


def diff(one: Path, other: Path, *, as_json: bool) -> int:
    """Print what differs between two runs; 0 if no number and no verdict does, else 1.

    Raises:
        UserError: one of them is no complete run, or they are of two reproductions.
    """
    found = difference(_read(one), _read(other))
    if as_json:
        print(dump_json(asdict(found)))
    else:
        _show(Console(), found)
    return DIFFERS if found.numbers or found.verdicts else SAME


def difference(a: Run, b: Run) -> Difference:
    """What differs between two runs of one reproduction.

    Raises:
        UserError: they are of two.
    """
    if a["reproduction"] != b["reproduction"]:
        raise UserError(f"a run of {a['reproduction']} and one of {b['reproduction']} have no number in common")
    values, others = _metrics(a), _metrics(b)
    alike = _same_units(a, b)
    names = list(dict.fromkeys([*values, *others]))
    gaps = tuple(gap for name in names if (gap := _gap(name, values.get(name), others.get(name), alike)))
    verdicts = _differing(_verdicts(a), _verdicts(b))
    same = {"numbers": len(names) - len(gaps), "verdicts": len(_verdicts(a) | _verdicts(b)) - len(verdicts)}
    return Difference(
        (a["signature"], b["signature"]),
        _differing(_asked(a), _asked(b)),
        _differing(_origin(a), _origin(b)),
        changed(parts_of(a), parts_of(b)),
        gaps,
        verdicts,
        same,
    )


def _read(path: Path) -> dict[str, Any]:
    path = path / "results.json" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: is not there; give the directory of a complete run, its results.json, or a record")
    return record.read(path)


def _metrics(run: Run) -> dict[str, Metric]:
    return {fields["name"]: Metric.from_json(fields) for fields in run["metrics"]}


def _verdicts(run: Run) -> dict[str, str | None]:
    return {fields["claim"]["id"]: fields["verdict"] for fields in run["claims"]}


def _asked(run: Run) -> dict[str, Any]:
    values = {name: parameter["value"] for name, parameter in run["parameters"].items()}
    return {"model": run["model"]["name"], "profile": run["profile"], **values}


def _origin(run: Run) -> dict[str, Any]:
    """Where a run comes from and what it took, in one level."""
    origin = run["provenance"]
    told = {name: value for name, value in origin.items() if name not in NOT_COMPARED}
    shortened = {name: (value or "")[:10] for name, value in told.items() if name == "commit" or name.endswith("256")}
    return told | shortened | origin["packages"]


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _same_units(a: Run, b: Run) -> bool:
    """Whether units of two runs may be the same: the model's, under the same lists."""
    lists = [{name: value for name, value in _asked(run).items() if isinstance(value, list)} for run in (a, b)]
    return bool(lists[0] == lists[1] and a["model"] == b["model"])


def _gap(name: str, a: Metric | None, b: Metric | None, alike: bool) -> Gap | None:
    """A number's gap; None where both runs have the same."""
    if a is None or b is None:
        return Gap(name, a.value if a else None, b.value if b else None, None, None, False)
    if a.value == b.value or (math.isnan(a.value) and math.isnan(b.value)):
        return None
    paired = alike and a.kind == b.kind not in {SHARE, PLAIN} and _counts(a) == _counts(b)
    interval = _interval(a, b, paired)
    return Gap(name, a.value, b.value, b.value - a.value, interval, paired)


def _interval(a: Metric, b: Metric, paired: bool) -> Interval | None:
    if paired or a.kind == b.kind == SHARE:
        return gap_interval(b, a)
    return stats.difference_interval(b.units, a.units) if a.kind == b.kind == MEAN else None


def _counts(metric: Metric) -> tuple[int, int]:
    return len(metric.units), len(metric.against)


# Shown


def _show(console: Console, found: Difference) -> None:
    for letter, run in zip("AB", found.runs, strict=True):
        console.print(f"{letter}  {run}", soft_wrap=True, markup=False, highlight=False)
    for title, pairs in (("Asked", found.parameters), ("Provenance", found.provenance), ("Verdicts", found.verdicts)):
        _table(console, title, ((name, *map(_shown, pair)) for name, pair in pairs.items()))
    _table(console, "What numbers depend on", ((part, "", "differs") for part in found.depends_on))
    _table(console, "Numbers (the last column: B less A)", map(_row, found.numbers))
    same = f"{found.same['numbers']} numbers and {found.same['verdicts']} verdicts are the same."
    console.print(same, style="bold", highlight=False)


def _table(console: Console, title: str, rows: Iterator[tuple[str, ...]]) -> None:
    table = Table(*(Column(overflow="fold") for _ in range(4)), box=None, show_header=False, padding=(0, 2, 0, 2))
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        console.print(title, style="bold")
        console.print(table)


def _row(gap: Gap) -> tuple[str, ...]:
    less = " ".join(with_interval(gap.less, gap.interval)) + (", paired" if gap.paired else "")
    return gap.name, number(gap.a), number(gap.b), less


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return ABSENT if value is None else str(value)
