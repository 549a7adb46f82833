"""One run: one notebook, one kernel, one run directory, one record.

A run directory with `results.json` in it is complete; nothing else is. That file is written last, by rename.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picks.places import PlaceError, place_error, usable
from picks.run.continuation import Attempt
from picks.run.plan import Plan
from picks.run.progress import PlainProgress
from picks.run.record import build_record
from picks.run.state import COMPLETE, ERROR, KILLED, Ending, RunState
from picks.run.terminal import uninterrupted
from reproductions.common.claims import ClaimError
from reproductions.common.errors import UserError
from reproductions.common.files import write_json

if TYPE_CHECKING:
    from picks.run.deadline import Limits

ELSEWHERE = "name a folder elsewhere with --out"
REPORTED_LIMIT = 4 * 2**20  # bytes; what a notebook reports are numbers, not arrays


@dataclass(frozen=True)
class Outcome:
    """How a run ended, where it lies, what is kept to go on with it, and its record if it is complete."""

    ending: Ending
    folder: Path
    state: RunState
    record: dict[str, Any] | None = None


def run(plan: Plan, attempt: Attempt, progress: PlainProgress, cpu_s: float | None = None) -> Outcome:
    """Run a plan's notebook in the run directory of an attempt.

    The model must be in the cache: a kernel has no business on the network.

    Args:
        plan: what to run.
        attempt: where.
        progress: told of every cell.
        cpu_s: processor time of the recorded run, if there is one.
    """
    from picks.run.deadline import Limits  # slow to import; bad input is refused before

    folder = attempt.folder
    saved = sum(step.cpu_s for step in attempt.taken_over())
    limits = Limits(plan.seconds, plan.end, None if cpu_s is None else cpu_s - saved)
    with usable(folder, ELSEWHERE):
        state = RunState(folder / "state.json", started=attempt.started)
    record = None
    try:
        ending, record = _run(plan, attempt, state, progress, limits)
    except (UserError, ClaimError, OSError, KeyboardInterrupt) as error:
        ending = _stopped(error, folder)
    except BaseException as error:
        with uninterrupted():
            state.finish(Ending(ERROR, 1, f"the runner itself failed: {type(error).__name__}: {error}"))
        raise
    if record is None:
        with uninterrupted():
            state.finish(ending)
    return Outcome(ending, folder, state, record)


def _run(
    plan: Plan, attempt: Attempt, state: RunState, progress: PlainProgress, limits: Limits
) -> tuple[Ending, dict[str, Any] | None]:
    """How the notebook ended, and the run's record if it is complete; then all of it is written."""
    from picks.run.execution import execute

    begun = time.monotonic()
    ending = execute(
        plan.reproduction.notebook,
        plan.injected(attempt.folder),
        folder=attempt.folder,
        root=plan.root,
        state=state,
        progress=progress,
        limits=limits,
    )
    if ending.state != COMPLETE:
        return ending, None
    record = _record(plan, attempt, time.monotonic() - begun)
    with uninterrupted():
        state.finish(ending)
        write_json(attempt.folder / "results.json", record)
        attempt.clear()
    return ending, record


def _stopped(error: BaseException, folder: Path) -> Ending:
    """What stopped a run besides its notebook."""
    if isinstance(error, KeyboardInterrupt):
        return Ending(KILLED, 130, "interrupted")
    if isinstance(error, OSError):
        error = place_error(error, folder, ELSEWHERE)
    return Ending(ERROR, PlaceError.exit_code if isinstance(error, PlaceError) else 4, str(error))


def fetch_model(plan: Plan) -> None:
    """Make sure that the model is in the cache and of use here, in a process of its own: this one never imports torch.

    Where the notebook trains its own networks there is nothing to fetch.

    Raises:
        PlaceError: there is no place for it; the process has said why.
        UserError: it is not to be had, or of no use, said likewise.
    """
    if plan.model.kind == "trained":
        return
    name = plan.model.name
    asked = [name, "--device", plan.device, "--needs", *plan.needs]
    command = [sys.executable, "-m", "reproductions.common.fetch", *asked]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, cwd=Path(__file__).parents[3]).returncode
    if code:
        kind = PlaceError if code == PlaceError.exit_code else UserError
        raise kind(f"the model {name} is not to be had; nothing was run")


def settled(plan: Plan) -> Plan:
    """The plan with exactly the model that lies in the cache: its commit and its checksum.

    Raises:
        UserError: an autoencoder of the user's cannot be of that model.
    """
    if plan.model.kind in {"wheels", "trained"} and not plan.autoencoders:
        return plan
    from reproductions.common import fetch, folders  # the hub's library is slow to import

    model = fetch.pinned(plan.model)
    for own in plan.autoencoders:
        if why := own.misfit(*folders.shape_of(fetch.ensure(model))):
            raise UserError(f"{own}: is none of {model.name}: {why}")
    return replace(plan, model=model)


def make_folder(root: Path, reproduction: str, model: str, profile: str) -> Path:
    """A fresh run directory `runs/<reproduction>/<model>/<time>-<profile>-<hex>`.

    Raises:
        UserError: a link leads out of `runs/`.
        PlaceError: it cannot be made there.
    """
    runs = root / "runs"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = runs / reproduction / model / f"{stamp}-{profile}-{secrets.token_hex(2)}"
    if not folder.resolve().is_relative_to(runs.resolve()):
        raise UserError(f"{folder} leads out of {runs}; remove the link, or name a folder with --out")
    with usable(folder, ELSEWHERE):
        folder.mkdir(parents=True)
    return folder.resolve()


def take_folder(out: Path) -> Path:
    """The run directory that the user names, made if need be.

    Raises:
        UserError: there is something in it, or in its way.
        PlaceError: it cannot be made there.
    """
    with usable(out, ELSEWHERE):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"--out {out}: cannot be a run directory: {error.strerror}") from None
        if any(out.iterdir()):
            raise UserError(f"--out {out}: is not empty; a run never writes over another")
    return out.resolve()


def _record(plan: Plan, attempt: Attempt, wall_s: float) -> dict[str, Any]:
    """The record of a run; one that was gone on with took what its last attempt and the steps taken over took."""
    reported, taken_over = _reported(attempt.folder), attempt.taken_over()
    if taken_over:
        used = reported.setdefault("environment", {})
        used["cpu_s"] = round((used.get("cpu_s") or 0.0) + sum(step.cpu_s for step in taken_over), 1)
    wall_s += sum(step.wall_s for step in taken_over)
    record = build_record(plan, attempt.folder, reported, attempt.started, wall_s)
    record["provenance"]["continued"] = attempt.number
    return record


def _reported(folder: Path) -> dict[str, Any]:
    path = folder / "reported.json"
    if not path.is_file():
        raise UserError("the notebook ran to its end without report.finish(): it has reported nothing")
    if path.stat().st_size > REPORTED_LIMIT:
        raise UserError(f"{path.name} is larger than {REPORTED_LIMIT // 2**20} MB; put arrays in report.data()")
    try:
        reported = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise UserError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(reported, dict):
        raise UserError(f"{path.name} is not what report.finish() writes")
    return reported
