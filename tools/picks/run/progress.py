"""What the user sees while a notebook runs: one live line on a terminal, one plain line a cell elsewhere."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class PlainProgress:
    """A line a cell: `[3/12] Static against dynamic scores … 4.2 s`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.label = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, label: str) -> None:
        """A cell starts."""
        self.label = label
        self.console.out(f"{label} …", end=" ", highlight=False)

    def end(self, result: str) -> None:
        """It has ended."""
        self.console.out(result, highlight=False)

    def note(self, text: str) -> None:
        """Something to be told while a cell runs, on a line of its own."""
        self.console.out(f"\n{text}\n{self.label} …", end=" ", highlight=False)


class LiveProgress(PlainProgress):
    """One line that changes in place and is gone at the end."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self.line = Progress(*columns, console=console, transient=True)
        self.task = self.line.add_task("starting the kernel")

    def __enter__(self) -> Self:
        self.line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.line.stop()

    def begin(self, label: str) -> None:
        """A cell starts."""
        self.line.update(self.task, description=label)

    def end(self, result: str) -> None:
        """It has ended: the next cell's title takes the line."""

    def note(self, text: str) -> None:
        """Something to be told; it stays above the line."""
        self.line.console.out(text, highlight=False)


def progress_on(console: Console) -> PlainProgress:
    """The display that suits where standard error goes."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)
