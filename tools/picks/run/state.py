"""The state of a run as we know it: `state.json`.

Not papermill's: after a dead kernel it marks every cell as completed, those that never ran too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reproductions.common.files import dump_json, write_json

RUNNING = "running"
COMPLETE = "complete"
ERROR = "error"
TIMEOUT = "timeout"
KILLED = "killed"

PARAMETERS = {"parameters": "parameters", "injected-parameters": "this run's parameters"}  # titles by papermill's tags


@dataclass(frozen=True)
class Ending:
    """How a run ended: a run state, the exit code it means, and what to tell the user."""

    state: str
    exit_code: int
    message: str = ""


@dataclass
class CellState:
    """A code cell: the heading it stands under, whether it ran, and for how long."""

    title: str
    state: str = "not run"
    seconds: float | None = None


@dataclass
class RunState:
    """How far a run has come; every change is on disk at once."""

    path: Path
    cells: dict[int, CellState] = field(default_factory=dict)  # by position in the notebook
    state: str = RUNNING
    message: str = ""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._save()

    def plan(self, cells: Sequence[Mapping[str, Any]]) -> None:
        """These are the notebook's cells; none has run."""
        self.cells = cell_titles(cells)
        self._save()

    def begin(self, index: int) -> None:
        """A cell starts."""
        self._since = time.monotonic()
        self.cells[index].state = "running"
        self._save()

    def end(self, index: int, state: str) -> None:
        """A cell is completed, or failed."""
        self._mark(index, state)
        self._save()

    def finish(self, ending: Ending) -> None:
        """The run is over."""
        for index, cell in self.cells.items():
            if cell.state == "running":
                self._mark(index, "failed")
        self.state, self.message = ending.state, ending.message
        try:
            self._save()
        except OSError:
            self._overwrite()

    @property
    def running_s(self) -> float:
        """Seconds since the cell began that is running now; 0 between cells."""
        running = any(cell.state == "running" for cell in self.cells.values())
        return time.monotonic() - self._since if running else 0.0

    @property
    def ended(self) -> int:
        """How many cells have ended."""
        return sum(cell.state not in {"not run", "running"} for cell in self.cells.values())

    @property
    def begun(self) -> bool:
        """Whether any cell was begun."""
        return any(cell.state != "not run" for cell in self.cells.values())

    @property
    def failed(self) -> CellState | None:
        """The cell that did not complete, if one was begun and did not."""
        return next((cell for cell in self.cells.values() if cell.state == "failed"), None)

    def to_json(self) -> dict[str, Any]:
        """As it stands in `state.json`."""
        cells = [asdict(cell) for cell in self.cells.values()]
        return {"state": self.state, "message": self.message, "started": self.started, "cells": cells}

    def _mark(self, index: int, state: str) -> None:
        self.cells[index].state = state
        self.cells[index].seconds = round(time.monotonic() - self._since, 3)

    def _save(self) -> None:
        write_json(self.path, self.to_json())

    def _overwrite(self) -> None:
        """Say the same in the room that the file has already, for there is no more; if need be, without the cells."""
        whole = self.to_json()
        for content in (whole, whole | {"cells": []}):
            with contextlib.suppress(OSError), self.path.open("rb+") as file:
                file.write(dump_json(content).encode("utf8"))
                file.truncate()
                return


def cell_titles(cells: Sequence[Mapping[str, Any]]) -> dict[int, CellState]:
    """Every code cell, by position, under the nearest heading above it, or else its first comment."""
    titled = {}
    heading = ""
    for index, cell in enumerate(cells):
        lines = cell["source"].strip().splitlines()
        if cell["cell_type"] == "markdown":
            heading = next((_text(line) for line in reversed(lines) if line.startswith("#")), heading)
        elif cell["cell_type"] == "code" and lines:
            comment = _text(lines[0]) if lines[0].startswith("#") else ""
            tagged = next((PARAMETERS[tag] for tag in cell["metadata"].get("tags", []) if tag in PARAMETERS), "")
            titled[index] = CellState(tagged or heading or comment or f"cell {index + 1}")
    return titled


def _text(line: str) -> str:
    return line.strip("# \t").replace("`", "").replace("*", "")[:80]
