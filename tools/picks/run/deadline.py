"""The time a run has: past its deadline, a run that is getting on goes on to a much later limit; a stuck one ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from picks.run.launch import Kernel
from picks.run.progress import PlainProgress
from picks.run.state import RunState

TICK = 1.0  # seconds between two looks at a run that is past its deadline
STUCK = 60.0  # seconds without a sign of life, which is the end of a cell or LIFE
LIFE = 0.5  # seconds of processor time; a kernel that only waits takes less than a fifth of this while STUCK lasts
BUSY = 0.75  # of one processor: a run that gets less has to share


@dataclass(frozen=True)
class Limits:
    """In seconds: the deadline, the end whatever happens, and the recorded run's processor time, if there is one."""

    deadline: float
    end: float
    cpu_s: float | None = None


class Deadline:
    """Watches a kernel, and kills it when the run's time is over; `passed` then says why."""

    def __init__(self, limits: Limits, kernel: Kernel, state: RunState, progress: PlainProgress) -> None:
        self.limits, self.kernel, self.state, self.progress = limits, kernel, state, progress
        self.passed = ""
        self._alive_at: float | None = None  # the last sign of life; None before the deadline
        self._cpu_s = 0.0  # processor time at the last sign of life
        self._ended = 0  # cells by then

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the kernel runs."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=[over], daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        begun = time.monotonic()
        while not over.wait(self._pause(time.monotonic() - begun)):
            self.passed = self.verdict(time.monotonic() - begun, self.kernel.processor_seconds)
            if self.passed:
                self.kernel.kill()
                return

    def _pause(self, elapsed: float) -> float:
        """Seconds until the next look."""
        if elapsed < self.limits.deadline:
            return self.limits.deadline - elapsed
        return max(0.0, min(TICK, self.limits.end - elapsed))

    def verdict(self, elapsed: float, cpu_s: float | None) -> str:
        """Why the run must end now, `elapsed` seconds after its start; empty if it may go on."""
        deadline = _duration(self.limits.deadline)
        if elapsed >= self.limits.end:
            return f"the deadline of {_duration(self.limits.end)} has passed; --timeout sets another"
        if elapsed < self.limits.deadline:
            return ""
        if self.state.running_s > self.limits.deadline:
            return f"one cell alone has taken longer than the deadline of {deadline}; --timeout sets another"
        if self._alive_at is None:
            self.progress.note(f"past the deadline of {deadline}, but getting on: {self._outlook(elapsed, cpu_s)}")
        if self._shows_life(cpu_s):
            self._alive_at, self._cpu_s, self._ended = elapsed, cpu_s or 0.0, self.state.ended
        elif elapsed - (self._alive_at or 0.0) > STUCK:
            return (
                f"past the deadline of {deadline}, nothing was computed for {_duration(STUCK)}: the notebook is stuck"
            )
        return ""

    def _shows_life(self, cpu_s: float | None) -> bool:
        """Whether a cell has ended or something was computed since the last sign of life."""
        if self._alive_at is None or cpu_s is None:  # where it is not known, only the time of each cell counts
            return True
        return self.state.ended > self._ended or cpu_s - self._cpu_s > LIFE

    def _outlook(self, elapsed: float, cpu_s: float | None) -> str:
        """How much longer it takes, from what the recorded run computed and how fast this one does."""
        busy = cpu_s is not None and cpu_s < BUSY * elapsed
        why = "the machine is busy" if busy else "the machine is slow, or there is more to do than usual"
        if cpu_s and self.limits.cpu_s and self.limits.cpu_s > cpu_s:
            return f"{why}; this takes about {_duration((self.limits.cpu_s - cpu_s) * elapsed / cpu_s)} more"
        return f"{why}; this takes at most {_duration(self.limits.end - elapsed)} more"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.0f} min"
