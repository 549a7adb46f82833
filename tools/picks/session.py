"""A run as the user sees it: fetch, run, compare with the record, show, and record if asked."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from picks import record, report, runner
from picks.plan import Plan
from picks.progress import PlainProgress, progress_on
from reproductions.common.files import dump_json

FELL = 3


def hold(plan: Plan, options: Namespace, command: str) -> int:
    """Run a plan and show what came of it; returns the exit code.

    Args:
        plan: what to run.
        options: out, json and record of the command line.
        command: to be shown to whoever wants to run it again.
    """
    if options.record:
        record.refuse_unrecordable(plan)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end, we end as tidily as by Ctrl-C
    runner.fetch_model(plan.model)
    folder = _folder(plan, options.out)
    standard_error = Console(stderr=True)
    progress = PlainProgress(standard_error) if options.json else progress_on(standard_error)
    outcome = runner.run(plan, folder, progress)
    if outcome.record is not None:
        return _conclude(plan, outcome.record, folder, options)
    if options.json:
        print(dump_json(outcome.state.to_json()))
    report.show_failure(standard_error, plan, outcome, command)
    return outcome.ending.exit_code


def _folder(plan: Plan, out: Path | None) -> Path:
    if out is not None:
        return runner.take_folder(out)
    model = plan.model.name.replace("/", "--")
    return runner.make_folder(plan.root, plan.reproduction.name, model, plan.profile)


def _conclude(plan: Plan, found: dict[str, Any], folder: Path, options: Namespace) -> int:
    """Show what was found, against what was recorded; record it if asked."""
    changes = _changes(plan, found)
    if options.json:
        print(dump_json(found))
    else:
        report.show_verdicts(Console(), plan, found, folder, changes)
    if options.record:
        kept = record.keep(found, folder, plan.reproduction.results)
        print(f"recorded: {', '.join(report.shown_path(path) for path in kept)}", file=sys.stderr)
    return FELL if not isinstance(changes, str) and any(change.fell for change in changes) else 0


def _changes(plan: Plan, found: Mapping[str, Any]) -> list[record.Change] | str:
    """What has changed since the record; in words, why it cannot be told."""
    former = record.recorded(plan.reproduction, plan.model.name, plan.profile)
    if former is None:
        return "Nothing is recorded for this model and profile; not compared."
    if not record.comparable(found, former):
        return "The parameters differ from the recorded run; not compared."
    return record.compare(found, former, plan.claims.metrics)
