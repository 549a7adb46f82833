"""`tools/repro verify`: works out every interval and verdict of a record anew, from the record alone. No torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from picks.run import provenance
from picks.run.record import FILES, chosen, read
from picks.run.reproductions import find
from reproductions.common.claims import Claim, ClaimError, load_claims
from reproductions.common.errors import UserError
from reproductions.common.files import sha256, write_json
from reproductions.common.metrics import Metric
from reproductions.common.verdicts import judge, judge_claim

DIFFERS = 3
CLOSE = 1e-5  # relative: a last digit that differs between versions of SciPy is no other number
JUDGED = ("verdict", "value", "interval", "n", "detectable", "control", "positive_control", "second_route")


def verify(paths: Sequence[Path]) -> int:
    """Say of each record whether its verdicts follow from its numbers; returns the exit code.

    Raises:
        UserError: a file is no record, nor one that a record beside it names.
    """
    ended = 0
    for path in paths:
        if owner := _owner(path):
            print(f"{path}: belongs to {owner.name}")
            continue
        record = read(path)
        faults = list(record_faults(record, path))
        for fault in faults:
            print(f"{path}: {fault}", file=sys.stderr)
        if faults:
            ended = DIFFERS
        else:
            print(
                f"{path}: {len(record['claims'])} verdicts and {len(record['metrics'])} numbers follow from the units"
            )
    return ended


def judge_again(root: Path, paths: Sequence[Path]) -> int:
    """Put today's claims and the verdicts that today's rule gives them into records, which keep their numbers.

    Raises:
        UserError: a file is no record.
        ClaimError: a claim of today turns on a number that a record has not got; the run must be made anew.
    """
    for path in paths:
        if _owner(path):
            continue
        record = read(path)
        file = find(root, record["reproduction"]).file
        metrics = {fields["name"]: Metric.from_json(fields) for fields in record["metrics"]}
        judged = judge(load_claims(file), metrics, record["profile"], chosen=bool(chosen(record["parameters"])))
        again = {"commit": provenance.commit(root), "claims_sha256": sha256(file)}
        claims = [judgement.to_json() for judgement in judged]
        write_json(path, record | {"claims": claims, "provenance": record["provenance"] | {"judged_again": again}})
    return verify(paths)


def record_faults(record: Mapping[str, Any], path: Path) -> Iterator[str]:
    """What in a record does not follow from the values of its units, or lies beside it changed.

    Raises:
        UserError: it is not what `tools/repro --record` writes.
    """
    try:
        metrics = {fields["name"]: Metric.from_json(fields) for fields in record["metrics"]}
        yield from (fault for metric in metrics.values() for fault in _metric_faults(metric))
        for judgement in record["claims"]:
            yield from _claim_faults(judgement, metrics, record)
        files = (entry for kind in FILES for entry in record.get(kind, []))
        yield from (fault for entry in files for fault in _file(entry, path.parent))
    except (KeyError, TypeError, ValueError, AttributeError, ClaimError) as error:
        raise UserError(f"{path}: not what tools/repro --record writes: {error!r}; record the run anew") from None


def _metric_faults(metric: Metric) -> Iterator[str]:
    anew = metric.recomputed()
    for field in ("value", "n", "interval"):
        recorded, found = getattr(metric, field), getattr(anew, field)
        if not _alike(recorded, found):
            yield f"{metric.name}: its {field} is recorded as {recorded}, its units say {found}"


def _claim_faults(
    recorded: Mapping[str, Any], metrics: Mapping[str, Metric], record: Mapping[str, Any]
) -> Iterator[str]:
    claim = Claim.from_json(recorded["claim"])
    anew = judge_claim(claim, metrics, record["profile"], chosen=bool(chosen(record["parameters"])))
    for field in JUDGED:
        found = getattr(anew, field)
        if not _alike(recorded[field], found):
            yield f"claim {claim.id}: its {field} is recorded as {recorded[field]!r}, its numbers say {found!r}"


def _alike(recorded: Any, found: Any) -> bool:
    """Whether two values are the same, numbers to five digits; JSON's null stands for a number that is none."""
    if isinstance(found, tuple) and isinstance(recorded, list | tuple):
        return len(found) == len(recorded) and all(map(_alike, recorded, found))
    if isinstance(found, float) or isinstance(recorded, float):
        a, b = (math.nan if value is None else float(value) for value in (recorded, found))
        return math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) or (math.isnan(a) and math.isnan(b))
    return bool(recorded == found)


def _file(entry: Mapping[str, Any], folder: Path) -> Iterator[str]:
    path = folder / entry["file"]
    if not path.is_file():
        yield f"{entry['file']} is missing"
    elif sha256(path) != entry["sha256"]:
        yield f"{entry['file']} is not the file that was recorded"


def _owner(path: Path) -> Path | None:
    """The record beside it that a file of data or a figure belongs to, by its name."""
    stems = path.name.split(".")
    owners = (path.with_name(".".join(stems[:length]) + ".json") for length in range(len(stems) - 2, 0, -1))
    return next((owner for owner in owners if owner.is_file()), None)
