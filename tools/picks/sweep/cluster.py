"""Beyond one machine: the same points through Snakemake, to Slurm, Kubernetes or wherever one of its profiles leads.

Snakemake may be anywhere on the PATH. Jobs outlive us and it: a sweep that is resumed finds what they have finished,
and a second job for the same point waits for the first one.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from picks.run.continuation import RESULTS
from picks.sweep.board import Board
from picks.sweep.outcome import COMPLETE, FAILED, KILLED, RUNS, WAITS, Outcome, outcome
from picks.sweep.points import Point
from picks.sweep.pool import MORE, Command, tied
from reproductions.common.errors import UserError
from reproductions.common.files import write_json

HERE = Path(__file__).parent
TICK = 1.0
LOG = "snakemake.log"
WITHDRAWAL = 60  # seconds that Snakemake has to withdraw its jobs


def run(folder: Path, board: Board, command: Command, *, profile: str, jobs: int | None, keep: bool) -> None:
    """Run what waits; what was killed, once more with more memory.

    Raises:
        UserError: Snakemake or the profile is not there, or it ended without running anything.
    """
    snakemake = [_snakemake(), "--profile", str(_profile(profile)), *(["--jobs", str(jobs)] if jobs else [])]
    for memory in (1, MORE):
        again = [point for point in board.points if board.of(point).state in {WAITS, KILLED}]
        if again:
            _round(folder, board, _jobs(again, command, memory), snakemake, keep=keep)
            _settle(folder, board, again, keep=keep)


def _jobs(points: Sequence[Point], command: Command, memory: int) -> list[dict[str, object]]:
    """What the Snakefile reads."""
    told = [(point.to_json(), command(point)) for point in points]
    return [fields | {"command": words, "memory_mib": fields["memory_mib"] * memory} for fields, words in told]


def _round(folder: Path, board: Board, jobs: list[dict[str, object]], snakemake: Sequence[str], *, keep: bool) -> None:
    write_json(folder / "points.json", jobs)
    for job in jobs:
        (folder / str(job["folder"]) / "state.json").unlink(missing_ok=True)  # a former round's
    flags = ["--nolock", "--ignore-incomplete", "--keep-going", "--rerun-triggers", "mtime"]
    where = ["--snakefile", str(HERE / "Snakefile"), "--directory", str(folder)]
    config = ["--config", f"points={folder / 'points.json'}"]
    with (folder / LOG).open("wb") as log:
        process = tied([*snakemake, *flags, *where, *config], log, {})
    try:
        while process.poll() is None and _look(folder, board, keep=keep):
            time.sleep(TICK)
    finally:
        _withdraw(process)
        assert process.stdin is not None
        process.stdin.close()
    if process.returncode > 0 and not any((folder / str(job["folder"])).exists() for job in jobs):
        raise UserError(f"Snakemake ended without a run; {folder / LOG} says why:\n{_tail(folder / LOG)}")


def _withdraw(process: subprocess.Popen[bytes]) -> None:
    """Have it withdraw what jobs it has left: none if all is complete, which it may be minutes in seeing."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(WITHDRAWAL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _look(folder: Path, board: Board, *, keep: bool) -> bool:
    """See what has been begun and what is complete; whether anything is left to wait for."""
    for point in [point for point in board.points if board.of(point).state in {WAITS, RUNS, KILLED}]:
        where = folder / point.folder
        told = (where / "state.json").exists() or (where / RESULTS).exists()
        ended = outcome(point, where, keep=keep)
        if told and ended.state != KILLED:
            board.set(point, ended)
        elif told and board.of(point).state != RUNS:
            board.set(point, Outcome(RUNS))
    return any(board.of(point).state in {WAITS, RUNS, KILLED} for point in board.points)


def _settle(folder: Path, board: Board, points: Sequence[Point], *, keep: bool) -> None:
    """Snakemake is done: what is not complete has failed or was killed."""
    for point in points:
        if board.of(point).state not in {*COMPLETE, FAILED}:
            board.set(point, outcome(point, folder / point.folder, keep=keep))


def _profile(name: str) -> Path:
    """The folder of a profile: the user's, or one of ours.

    Raises:
        UserError: there is none.
    """
    ours = sorted(path.name for path in (HERE / "profiles").iterdir())
    folder = HERE / "profiles" / name if name in ours else Path(name).resolve()
    if not folder.is_dir():
        raise UserError(f"--cluster {name}: is neither one of {', '.join(ours)} nor the folder of a Snakemake profile")
    return folder


def _snakemake() -> str:
    """How to start it.

    Raises:
        UserError: it is not installed.
    """
    beside = Path(sys.executable).with_name("snakemake")
    found = str(beside) if beside.exists() else shutil.which("snakemake")
    if found is None:
        raise UserError(
            "--cluster needs Snakemake 9, which is not on the PATH; in an environment of yours: "
            "pip install 'snakemake>=9,<10' snakemake-executor-plugin-slurm"
        )
    return found


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf8", errors="replace").strip().splitlines()[-5:])
