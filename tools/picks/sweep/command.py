"""`tools/sweep`: which runs, from where a former attempt left off, on this machine or on a cluster."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from picks.run.continuation import locked
from picks.run.record import refuse_unrecordable
from picks.sweep import board
from picks.sweep.arguments import PROGRAM, parse
from picks.sweep.board import Board
from picks.sweep.outcome import COMPLETE, FELL, former
from picks.sweep.points import Point, of, select
from picks.sweep.pool import Pool, cores, local_gpus
from reproductions.common.catalogue import ModelError
from reproductions.common.claims import ClaimError
from reproductions.common.errors import UserError
from reproductions.common.files import write_json

ROOT = Path(__file__).resolve().parents[3]
FILE = "sweep.json"
CHILD = ("-m", "picks.sweep.child")
FELL_BELOW, INCOMPLETE, INTERRUPTED = 3, 4, 130


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)
    try:
        return _sweep(root, options, list(argv)) if options.resume is None else _resume(root, options)
    except (UserError, ClaimError, ModelError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:
        print(f"\n{PROGRAM}: interrupted; what is complete is kept, and --resume goes on", file=sys.stderr)
        return INTERRUPTED


def _sweep(root: Path, options: Namespace, argv: list[str]) -> int:
    points = select(root, options)
    return _do(root, options, points, _folder(root, options, argv), argv)


def _resume(root: Path, options: Namespace) -> int:
    """Do what a sweep lacks, with the options that it was started with."""
    folder = _last(root) if options.resume is True else _named(root, options.resume)
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf8"))
        again = parse(content["asked"])
        again.retry_failed, again.dry_run = options.retry_failed, options.dry_run
        again.record, again.jobs = again.record or options.record, options.jobs or again.jobs
        points = [of(root, again, fields) for fields in content["points"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{folder}: holds no whole {FILE}; give the command that began it again") from None
    return _do(root, again, points, folder, content["asked"])


def _do(root: Path, options: Namespace, points: Sequence[Point], folder: Path, argv: list[str]) -> int:
    """Run what is not complete, and say what was done."""
    slots = _slots(options)
    if options.record:
        for point in points:
            refuse_unrecordable(point.plan)
    if options.dry_run:
        return _show(points, folder, slots, options)
    if not points:
        print("nothing to run")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with locked(folder):
        write_json(folder / FILE, {"asked": argv, "points": [point.to_json() for point in points]})
        shown = Board(points, Console(stderr=True), slots)
        for point in points:
            before = former(point, folder / point.folder, keep=options.record, retry=options.retry_failed)
            if before is not None:
                shown.set(point, before)
        _run(root, options, shown, folder)
    board.show(Console(), shown)
    return _exit_code(shown)


def _run(root: Path, options: Namespace, shown: Board, folder: Path) -> None:
    def command(point: Point) -> list[str]:
        """One point, by the ordinary command line."""
        child = [sys.executable, "-P", *CHILD, str(root), str(folder / point.folder)]
        return ["env", f"OMP_NUM_THREADS={point.threads}", *child, *point.arguments]

    with shown:
        if options.cluster:
            from picks.sweep.cluster import run

            run(folder, shown, command, profile=options.cluster, jobs=options.jobs, keep=options.record)
        else:
            Pool(folder, shown, command, shown.at_once, options.record, local_gpus()).run()


def _show(points: Sequence[Point], folder: Path, slots: int, options: Namespace) -> int:
    """Say what would be run."""
    found = {
        point: before
        for point in points
        if (before := former(point, folder / point.folder, keep=False, retry=options.retry_failed)) is not None
    }
    board.show_plan(Console(), Board(points, Console(), slots, dict(found)), found)
    return 0


def _slots(options: Namespace) -> int:
    """How many runs at once, so that each of their threads has a core.

    Raises:
        UserError: there are not as many.
    """
    most = max(1, cores() // options.threads)
    if not options.cluster and (options.jobs or 1) * options.threads > max(cores(), 1):
        raise UserError(
            f"{options.jobs or 1} at once of {options.threads} threads each want more than the {cores()} cores here, "
            "and would stall each other; take a smaller --jobs or --threads"
        )
    return int(options.jobs or most)


def _exit_code(shown: Board) -> int:
    states = Counter(shown.of(point).state for point in shown.points)
    if any(state not in COMPLETE for state in states):
        return INCOMPLETE
    return FELL_BELOW if states[FELL] else 0


# Folders


def _folder(root: Path, options: Namespace, argv: Sequence[str]) -> Path:
    """Named by the user, or after what is asked, so that the same command finds it again."""
    asked = {name: value for name, value in sorted(vars(options).items()) if name not in HOW}
    kind = next((name for name in ("all", "stale", "since") if getattr(options, name)), "chosen")
    return _named(root, options.name or f"{kind}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:8]}")


HOW = ("dry_run", "record", "retry_failed", "resume", "jobs", "cluster", "name")  # nothing of what is asked


def _named(root: Path, name: str) -> Path:
    return root / "runs" / "sweeps" / name


def _last(root: Path) -> Path:
    """The sweep that was begun last.

    Raises:
        UserError: there is none.
    """
    found = sorted((root / "runs" / "sweeps").glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError("there is no sweep to go on with; tools/sweep --help shows how to begin one")
    return found[-1].parent
