"""What came of a point, as its folder tells, and keeping it: a folder with `results.json` is complete, no other is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from picks.run import record, session
from picks.run import state as state_of_run
from picks.run.continuation import RESULTS
from picks.run.judgements import found, judgements
from picks.run.state import ERROR, RUNNING, TIMEOUT
from picks.sweep.points import Point
from reproductions.common.claims import ClaimError
from reproductions.common.errors import UserError

WAITS, RUNS = "waits", "runs"
DONE, RECORDED, FELL = "done", "recorded", "fell"
FAILED, LATE, KILLED = "failed", "out of time", "killed"
COMPLETE = (DONE, RECORDED, FELL)


@dataclass(frozen=True)
class Outcome:
    """The state of a point in a word, and more about it."""

    state: str
    note: str = ""


def outcome(point: Point, folder: Path, *, keep: bool) -> Outcome:
    """What its folder says of a point that is not running; what is complete is recorded if asked."""
    if (folder / RESULTS).exists():
        try:
            return _complete(point, folder, keep=keep)
        except (UserError, ClaimError, OSError) as error:
            return Outcome(FAILED, str(error))
    state, message = _state(folder)
    words = {TIMEOUT: LATE, state_of_run.KILLED: KILLED, RUNNING: KILLED}
    return Outcome(words.get(state, FAILED), message or _last_line(folder.with_name(f"{folder.name}.log")))


def former(point: Point, folder: Path, *, keep: bool, retry: bool) -> Outcome | None:
    """What came of a point before this sweep began anew; None where it is to be run, or to be gone on with."""
    if (folder / RESULTS).exists():
        return outcome(point, folder, keep=keep)
    state, message = _state(folder)
    again = "--retry-failed runs it again"
    return Outcome(FAILED, f"before: {message}; {again}") if state == ERROR and not retry else None


def _complete(point: Point, folder: Path, *, keep: bool) -> Outcome:
    ran = record.read(folder / RESULTS)
    if ran["provenance"]["depends_on"]["hash"] != point.depends_on:
        return Outcome(FAILED, "what it depends on was changed while it ran; give the same command again")
    changes = session.changes_since(point.plan, ran)
    fallen = [] if isinstance(changes, str) else [change for change in changes if change.fell]
    if fallen:
        return Outcome(FELL, "; ".join(f"{change.subject}: {change.recorded} → {change.now}" for change in fallen))
    says = found(judgements(ran["claims"]))
    if not keep:
        return Outcome(DONE, says)
    if ran["provenance"]["dirty"] is not False:
        return Outcome(DONE, f"{says}; not recorded, because it ran from a tree with changes")
    if not _is_recorded(point, ran):
        session.keep(point.plan, ran, folder)
    return Outcome(RECORDED, says)


def _is_recorded(point: Point, ran: dict[str, object]) -> bool:
    kept = record.recorded(point.plan.reproduction, point.plan.model.name, point.plan.profile)
    return kept is not None and kept["provenance"] == ran["provenance"]


def _state(folder: Path) -> tuple[str, str]:
    try:
        content = json.loads((folder / "state.json").read_text(encoding="utf8"))
        return content["state"], content["message"]
    except (OSError, ValueError, LookupError, TypeError):
        return "", ""


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf8", errors="replace").split("\n") if log.is_file() else []
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
