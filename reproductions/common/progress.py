"""What a fetch shows on stderr: a bar or a running clock on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

MIB = 2**20


def say(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def downloading(label: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar of bytes; yields what is to be called with the bytes had so far."""
    with _progress(label, DownloadColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task(label, total=total_bytes)
        yield lambda done: progress.update(task, completed=min(done, total_bytes))
        progress.update(task, completed=total_bytes)


@contextmanager
def counting(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar of things done, with the time that is left; yields what is to be called with how many more were done."""
    done = TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit)
    with _progress(f"{label}: {total:,} {unit}", done, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(label, total=total)
        yield lambda more: progress.update(task, advance=more)


@contextmanager
def working(label: str) -> Iterator[None]:
    """A running clock, for work whose length is not known."""
    with _progress(label, TimeElapsedColumn()) as progress:
        task = progress.add_task(label, total=None)
        yield
        progress.update(task, total=1, completed=1)


def _progress(label: str, *columns: ProgressColumn) -> Progress:
    """The bar holds on to the stderr of now, so that noise redirected from it meanwhile does not take the bar along."""
    on_terminal = sys.stderr.isatty()
    if not on_terminal:
        say(label)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=Console(file=sys.stderr),
        redirect_stderr=False,
        redirect_stdout=False,
        disable=not on_terminal,
    )
