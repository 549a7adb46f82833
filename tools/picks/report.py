"""What a run has found, set for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from picks.plan import Plan
from picks.record import Change
from picks.runner import Outcome
from reproductions.common.claims import VERDICTS

# A claim that does not hold here is a finding, not a failure: no red, no green.
STYLES = {
    "reproduced": "bold cyan",
    "partially reproduced": "cyan",
    "inconclusive": "yellow",
    "not reproduced": "bold magenta",
    "not tested": "dim",
}


def show_verdicts(
    console: Console, plan: Plan, record: Mapping[str, Any], folder: Path, changes: Sequence[Change] | str
) -> None:
    """The verdict table, what it adds up to, what changed since the record, and where the run lies.

    Args:
        console: standard output.
        plan: what was run.
        record: of the run.
        folder: its directory.
        changes: since the recorded run, or why there is no comparison.
    """
    show_header(console, plan)
    console.print(_verdict_table(record["claims"]))
    console.print(f"{count_verdicts(record['claims'])}: on this model, at this scale.", highlight=False)
    _show_changes(console, changes)
    for line in ("", shown_path(folder), record["signature"]):
        console.print(Text(line, style="dim"), soft_wrap=True)


def show_header(console: Console, plan: Plan) -> None:
    """Which paper, on which model, honestly named, in which profile."""
    paper = plan.reproduction.paper
    console.print(Text.assemble((paper.title, "bold"), f" ({paper.id})"))
    console.print(Text(f"{plan.model.title}; profile {plan.profile}"))
    console.print(Text(plan.model.note.strip(), style="dim"))


def count_verdicts(claims: Iterable[Mapping[str, Any]]) -> str:
    """`6 reproduced, 1 inconclusive of 7 claims`; never one score for a paper."""
    counts = Counter(claim["verdict"] for claim in claims)
    total = counts.total()
    listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{listed} of {total} claim{'s' * (total != 1)}"


def show_failure(console: Console, plan: Plan, outcome: Outcome, command: str) -> None:
    """A run that is not complete, in a few lines: paper, cell, exception, notebook, how to run it again."""
    paper = plan.reproduction.paper
    cell = outcome.state.failed
    where = f', in the cell "{cell.title}"' if cell else ""
    lines = [
        f"{plan.reproduction.name} ({paper.id}, {paper.title}) stopped{where}",
        f"  {outcome.ending.message}",
        f"  the notebook so far: {shown_path(outcome.folder / 'notebook.ipynb')}",
        f"  to run it again: {command}",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def shown_path(path: Path) -> str:
    """A path as the user would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _verdict_table(claims: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("claim", no_wrap=True)
    table.add_column("the paper says", ratio=3)
    table.add_column("its value", ratio=1)
    table.add_column("ours", ratio=1)
    table.add_column("control", justify="right", no_wrap=True)
    table.add_column("verdict", min_width=12)
    for judgement in claims:
        claim, verdict = judgement["claim"], judgement["verdict"]
        table.add_row(
            Text(claim["id"]),
            Text(claim["statement"].strip()),
            Text(str(claim["paper"]["value"])),
            Text(_ours(judgement)),
            Text(_number(judgement["control"])),
            Text(verdict, style=STYLES[verdict]),
        )
    return table


def _ours(judgement: Mapping[str, Any]) -> str:
    if judgement["verdict"] == "not tested":
        return judgement["reason"]
    interval = judgement["interval"]
    between = f" [{_number(interval[0])}, {_number(interval[1])}]" if interval else ""
    return _number(judgement["value"]) + between


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _show_changes(console: Console, changes: Sequence[Change] | str) -> None:
    if isinstance(changes, str):
        console.print(Text(changes, style="dim"))
        return
    for change in changes:
        mark = "fell" if change.fell else "changed"
        console.print(Text(f"{mark} since the record: {change.subject}: {change.recorded} → {change.now}"))
    if not changes:
        console.print(Text("As recorded: same verdicts, every number within its tolerance.", style="dim"))
