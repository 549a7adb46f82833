"""A run as the user sees it: fetch, run, compare with the record, show, and record if asked."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picks.places import PlaceError, usable
from picks.run import continuation, record, report, runner, staleness
from picks.run.arguments import PROGRAM
from picks.run.continuation import Attempt
from picks.run.plan import Plan
from picks.run.progress import PlainProgress, progress_on
from picks.run.state import KILLED, TIMEOUT
from picks.run.terminal import Terminal, ended_tidily, tell
from picks.site import alone
from reproductions.common.errors import UserError
from reproductions.common.files import dump_json, write_json
from reproductions.common.verdicts import FULL

FELL = 3


def hold(plan: Plan, options: Namespace, command: str) -> int:
    """Run a plan and show what came of it; returns the exit code.

    Args:
        plan: what to run.
        options: run, out, parameters, json and record of the command line.
        command: to be shown to whoever wants to run it again.
    """
    if options.record:
        record.refuse_unrecordable(plan)
    standard_error = Terminal(stderr=True)
    progress = PlainProgress(standard_error) if options.json else progress_on(standard_error)
    with ended_tidily():
        runner.fetch_model(plan)
        plan = runner.settled(plan)
        with _attempt(plan, options) as attempt:
            outcome = runner.run(plan, attempt, progress, _cpu_s(plan))
    if outcome.record is not None:
        return _conclude(plan, outcome.record, attempt.folder, options)
    if options.json:
        tell(dump_json(outcome.state.to_json()))
    report.show_failure(standard_error, plan, outcome, command)
    if outcome.ending.state in {TIMEOUT, KILLED} or outcome.ending.exit_code == PlaceError.exit_code:
        for line in _how_to_go_on(attempt):
            standard_error.print(line, soft_wrap=True, markup=False, highlight=False)
    return outcome.ending.exit_code


@contextmanager
def _attempt(plan: Plan, options: Namespace) -> Iterator[Attempt]:
    """A run directory that is ours: an interrupted run's, or a fresh one."""
    if options.run is not None:
        with continuation.locked(options.run):
            with usable(options.run, "start the run anew with --out"):
                attempt = continuation.go_on(plan, options.run, record=options.record)
            yield attempt
        return
    folder = _folder(plan, options.out)
    with continuation.locked(folder):
        with usable(folder, runner.ELSEWHERE):
            attempt = continuation.begin(plan, options.parameters, folder)
        yield attempt


def _how_to_go_on(attempt: Attempt) -> list[str]:
    """What an interrupted run keeps, and how to make use of it."""
    steps = attempt.kept()
    if not steps:
        return ["  nothing is kept: none of its expensive steps had finished"]
    command = shlex.join([PROGRAM, "--continue", report.shown_path(attempt.folder)])
    return [
        f"  kept: {', '.join(step.name for step in steps)}; everything else is computed again",
        f"  to go on from the last finished step: {command}",
    ]


def _cpu_s(plan: Plan) -> float | None:
    """The processor time of the recorded run, if there is one that can be read."""
    former = _former(plan, plan.profile)
    return former["provenance"]["cpu_s"] if former else None


def _folder(plan: Plan, out: Path | None) -> Path:
    if out is not None:
        return runner.take_folder(out)
    return runner.make_folder(plan.root, plan.reproduction.name, plan.model.slug, plan.profile)


def _conclude(plan: Plan, found: dict[str, Any], folder: Path, options: Namespace) -> int:
    """Show what was found, against what was recorded; record it if asked."""
    changes = changes_since(plan, found)
    alone.write(folder)
    if options.json:
        tell(dump_json(found))
    else:
        report.show_verdicts(Terminal(), plan, found, folder, changes)
    if options.record:
        keep(plan, found, folder)
    return FELL if not isinstance(changes, str) and any(change.fell for change in changes) else 0


def keep(plan: Plan, found: dict[str, Any], folder: Path) -> None:
    """Keep a run in place of the former record; one that finds the former's numbers again vouches for the full profile.

    It vouches first: killed in between, the same done again ends alike.
    """
    _vouch(plan, found)
    kept = record.keep(found, folder, plan.reproduction.results)
    print(f"recorded: {', '.join(report.shown_path(path) for path in kept)}", file=sys.stderr)


def _vouch(plan: Plan, found: Mapping[str, Any]) -> None:
    """Carry a stale full record over to today's code if a quick run finds what the former quick run found.

    The verdicts of a quick run may have changed by a new wording or rule: those of the full record are judged apart.
    """
    former = _former(plan, plan.profile)
    full = _former(plan, FULL) if plan.profile != FULL else None
    if former is None or full is None or not staleness.why_stale(plan.reproduction, full):
        return
    carried = None
    if record.found_again(found, former, plan.claims.metrics):
        carried = staleness.attested(full, former, plan.reproduction)
    stem = record.results_stem(plan.model.name, FULL)
    if carried is None:
        print(f"stale: {stem}, which this run cannot vouch for; record it anew with --profile full", file=sys.stderr)
    else:
        write_json(plan.reproduction.results / f"{stem}.json", carried)
        print(f"attested: {stem}, because the quick profile finds what it found before", file=sys.stderr)


def _former(plan: Plan, profile: str) -> dict[str, Any] | None:
    """The recorded run of a profile, if there is one that can be read."""
    try:
        return record.recorded(plan.reproduction, plan.model.name, profile)
    except UserError:
        return None


def changes_since(plan: Plan, found: Mapping[str, Any]) -> list[record.Change] | str:
    """What has changed since the record; in words, why it cannot be told."""
    if plan.autoencoders:
        return "Autoencoders of yours took the place of those of the recorded run; not compared."
    try:
        former = record.recorded(plan.reproduction, plan.model.name, plan.profile)
    except UserError as error:
        return f"Not compared: {error}"
    if former is None:
        return "Nothing is recorded for this model and profile; not compared."
    if not record.comparable(found, former):
        return "The parameters differ from the recorded run; not compared."
    return record.compare(found, former, plan.claims.metrics)
