"""How far a sweep has come: one table that changes in place on a terminal, a line a change elsewhere, and time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from picks.sweep.outcome import COMPLETE, FAILED, FELL, KILLED, LATE, RUNS, WAITS, Outcome
from picks.sweep.points import Point

STYLES = {WAITS: "dim", RUNS: "bold", FELL: "bold magenta", FAILED: "bold red", LATE: "yellow", KILLED: "red"}


@dataclass
class Board:
    """The points of a sweep, what has become of each, and the seconds it took."""

    points: Sequence[Point]
    console: Console
    at_once: int = 1
    outcomes: dict[Point, Outcome] = field(default_factory=dict)
    begun: dict[Point, float] = field(default_factory=dict)
    took: dict[Point, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live = (
            Live(console=self.console, get_renderable=self._table, transient=True) if _moves(self.console) else None
        )

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def of(self, point: Point) -> Outcome:
        """What has become of a point."""
        return self.outcomes.get(point, Outcome(WAITS))

    def set(self, point: Point, outcome: Outcome) -> None:
        """Something has become of it."""
        if outcome.state == RUNS:
            self.begun[point] = time.monotonic()
        elif point in self.begun:
            self.took[point] = time.monotonic() - self.begun.pop(point)
        changed, self.outcomes[point] = self.of(point) != outcome, outcome
        if changed and not self.live:
            left = f"; {duration(self.left)} left" if self.left else ""
            note = "" if outcome.state in COMPLETE else outcome.note
            self.console.print(Text(f"{point}: {outcome.state} {note}".rstrip() + left), soft_wrap=True)

    @property
    def left(self) -> float:
        """Seconds until all is done, at the pace of what has ended."""
        pace = sum(self.took.values()) / (sum(point.need.seconds for point in self.took) or 1) if self.took else 1
        now, left = time.monotonic(), 0.0
        for point in self.points:
            expected = point.need.seconds * pace
            if self.of(point).state == WAITS:
                left += expected
            elif point in self.begun:
                left += max(0.0, expected - (now - self.begun[point]))
        return left / self.at_once

    def _table(self) -> Table:
        table = Table(*map(str, ("run", "", "time", "")), box=None, title=f"about {duration(self.left)} left")
        for point in self.points:
            outcome, begun = self.of(point), self.begun.get(point)
            seconds = time.monotonic() - begun if begun else self.took.get(point)
            about = f"about {duration(point.need.seconds)}" if seconds is None else duration(seconds)
            word = Text(outcome.state, STYLES.get(outcome.state, "cyan"))
            table.add_row(str(point), word, about if outcome.state not in COMPLETE or seconds else "", outcome.note)
        return table


def show(console: Console, board: Board) -> None:
    """What was done, run by run, and in one sentence."""
    table = Table(*[Column(overflow="fold") for _ in range(3)], box=None, show_header=False, padding=(0, 2, 0, 0))
    for point in board.points:
        outcome = board.of(point)
        took = duration(board.took[point]) if point in board.took else "before" * (outcome.state in COMPLETE)
        table.add_row(str(point), Text(outcome.state, STYLES.get(outcome.state, "cyan")), f"{took}  {outcome.note}")
    console.print(table)
    counts = Counter(board.of(point).state for point in board.points)
    console.print(", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to run", style="bold")


def show_plan(console: Console, board: Board, done: Mapping[Point, Outcome]) -> None:
    """What would run, why, how long it takes and in how much memory."""
    table = Table("run", "why", "about", "memory", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for point in board.points:
        took = done[point].state if point in done else duration(point.need.seconds)
        table.add_row(str(point), point.why, took, f"{point.need.memory_mib / 1024:.1f} GiB")
    console.print(table)
    waiting = len(board.points) - len(done)
    console.print(
        f"{waiting} to run, {len(done)} complete or failed before; about {duration(board.left)}, "
        f"{board.at_once} at once. Nothing was started."
    )


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _moves(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
