"""What is told and who may end it: readers that leave, terminals that are closed, signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from rich.console import Console

LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)
ENDINGS = (signal.SIGINT, *LIKE_CTRL_C)


class Terminal(Console):
    """A console whose reader may leave: the rest goes nowhere, and nothing else changes."""

    def on_broken_pipe(self) -> None:
        """Nobody reads any more."""
        self.quiet = True
        nowhere(self.file.fileno())


def tell(text: str) -> None:
    """Print on standard output, for a reader who may have seen enough."""
    with unread_is_well():
        print(text)


@contextmanager
def unread_is_well(stream: TextIO | None = None) -> Iterator[None]:
    """What is printed in here (on standard output) may find no reader."""
    stream = stream or sys.stdout
    try:
        yield
        stream.flush()
    except BrokenPipeError:
        nowhere(stream.fileno())


def nowhere(*handles: int) -> None:
    """Lead these file descriptors to where nothing is kept."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for handle in handles:
        os.dup2(nothing, handle)
    os.close(nothing)


@contextmanager
def ended_tidily() -> Iterator[None]:
    """Asked to end, or left by our terminal, we end as by Ctrl-C; under `nohup` we stay."""
    terminals = [handle for handle in (1, 2) if os.isatty(handle)]

    def end(number: int, _: FrameType | None) -> NoReturn:
        if number == signal.SIGHUP:
            nowhere(*terminals)
        raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in LIKE_CTRL_C}
    heard = [number for number in LIKE_CTRL_C if former[number] != signal.SIG_IGN]
    for number in heard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, former[number])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A few milliseconds that nobody may interrupt; signals wait until after."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
