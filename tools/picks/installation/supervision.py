"""Work that outlives nobody: it is done in a process beside this one, and ends when this one does, however that ends.

The worker has a session of its own, so that Ctrl-C and the closing of a terminal reach only its supervisor. What ties
them is a pipe, the lifeline: its other end closes with the supervisor, even a killed one. The worker then ends its
programs, tidies up and goes.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RAISED = 70  # EX_SOFTWARE of sysexits.h
KILLED = 128

Work = Callable[[int], int]


class StopError(Exception):
    """A signal that asks to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def supervised(work: Work) -> int:
    """The exit code of work, which gets the lifeline; 128 and the signal if it, or this process, was stopped by one."""
    lifeline, hold = os.pipe()
    with _stops_raised():
        worker = os.fork()
        if worker == 0:
            os.close(hold)
            _do(work, lifeline)
        try:
            return _code_of(worker)
        except StopError as stopped:
            for number in STOPS:
                signal.signal(number, signal.SIG_IGN)
            os.close(hold)
            os.waitpid(worker, 0)
            return KILLED + stopped.number


def end_programs() -> None:
    """In the worker: ask every program that it started, and theirs, to end."""
    os.killpg(0, signal.SIGTERM)


def _do(work: Work, lifeline: int) -> NoReturn:
    """Be the worker. `end_programs` reaches it as well, and must not end it; what it starts has no such handler."""
    code = RAISED
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: None)
        code = work(lifeline)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _code_of(worker: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if code >= 0:
        return code
    with suppress(ProcessLookupError):  # nothing of it was left
        os.killpg(worker, signal.SIGKILL)
    return KILLED - code


@contextmanager
def _stops_raised() -> Iterator[None]:
    """Let signals that ask to end raise `StopError`, but for those that this process was started to ignore."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _: FrameType | None) -> NoReturn:
    raise StopError(number)
