"""One machine: as many runs at once as its cores, its memory and its GPUs hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from picks.sweep.board import Board, duration
from picks.sweep.outcome import FAILED, KILLED, RUNS, WAITS, Outcome, outcome
from picks.sweep.points import Point

CODE = Path(__file__).resolve().parents[3]
TICK = 0.2  # seconds between looks at what runs
PATIENCE = 600  # seconds for which a run waits for memory that other programs hold
TIDILY = 10  # seconds for which runs that are asked to end may write down where they are
MORE = 2  # times the memory is set aside for a run that was killed
RESERVE_MIB = 256  # left to everything else

Command = Callable[[Point], list[str]]


@dataclass(eq=False)
class Running:
    """A run that was started: it ends with us, because we hold its leash."""

    point: Point
    process: subprocess.Popen[bytes]
    memory_mib: int
    gpus: Sequence[str]

    def growth(self) -> float:
        """The memory that it has yet to take, in MiB."""
        try:
            root = psutil.Process(self.process.pid)
            used = sum(each.memory_info().rss for each in [root, *root.children(recursive=True)])
        except psutil.Error:
            return 0.0
        return max(0.0, self.memory_mib - used / 2**20)

    def end(self) -> None:
        """Let go of the leash: whatever is left of it is killed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@dataclass
class Pool:
    """Runs points in a sweep's folder until none waits.

    slots: how many may run at once; gpus: the names of those that may be given out.
    """

    folder: Path
    board: Board
    command: Command
    slots: int
    keep: bool
    gpus: list[str] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    more: dict[Point, int] = field(default_factory=dict)  # how many times the memory, for what was killed
    idle_since: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Run what waits; interrupted, end what runs."""
        try:
            while self.waiting or self.running:
                self._start()
                self._collect()
                time.sleep(TICK)
        finally:
            self._stop()

    @property
    def waiting(self) -> list[Point]:
        """What has not been started."""
        return [point for point in self.board.points if self.board.of(point).state == WAITS]

    def _start(self) -> None:
        """Start whatever there is room for; what cannot ever have it is told so."""
        for point in self.waiting:
            if lacking := self._lacks_for_ever(point):
                self.board.set(point, Outcome(FAILED, lacking))
            elif len(self.running) < self.slots and self._fits(point):
                self.running.append(self._started(point))
                self.board.set(point, Outcome(RUNS))

    def _fits(self, point: Point) -> bool:
        free = psutil.virtual_memory().available / 2**20 - RESERVE_MIB - sum(run.growth() for run in self.running)
        return self._memory(point) <= free and point.need.gpus <= len(self._free_gpus())

    def _lacks_for_ever(self, point: Point) -> str:
        """What the machine has not got, and will not have; empty where waiting may help."""
        if point.need.gpus > len(self.gpus):
            return f"wants a GPU ({point.need.gpus}); there are {len(self.gpus)} here"
        wanted, all_of_it = self._memory(point), psutil.virtual_memory().total / 2**20
        if wanted > all_of_it - RESERVE_MIB:
            return f"wants {wanted / 1024:.1f} GiB of memory; this machine has {all_of_it / 1024:.1f}"
        if self.running:
            self.idle_since = time.monotonic()
        elif not self._fits(point) and time.monotonic() - self.idle_since > PATIENCE:
            return f"wants {wanted / 1024:.1f} GiB of memory, which others held for {duration(PATIENCE)}"
        return ""

    def _memory(self, point: Point) -> int:
        return point.need.memory_mib * self.more.get(point, 1)

    def _free_gpus(self) -> list[str]:
        return [gpu for gpu in self.gpus if not any(gpu in run.gpus for run in self.running)]

    def _started(self, point: Point) -> Running:
        gpus = self._free_gpus()[: point.need.gpus]
        log = self.folder / f"{point.folder}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = tied(self.command(point), output, {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {})
        return Running(point, process, self._memory(point), gpus)

    def _collect(self) -> None:
        """See what has ended, and try once more, with more memory, what was killed."""
        for run in [run for run in self.running if run.process.poll() is not None]:
            run.end()
            self.running.remove(run)
            point, ended = run.point, outcome(run.point, self.folder / run.point.folder, keep=self.keep)
            if ended.state == FAILED and run.process.returncode < 0:
                ended = Outcome(KILLED, f"signal {-run.process.returncode}")
            if ended.state == KILLED and point not in self.more:
                self.more[point] = MORE
                self.board.set(point, Outcome(WAITS, f"killed; tried once more with {MORE} times the memory"))
            else:
                self.board.set(point, ended)

    def _stop(self) -> None:
        for run in self.running:
            run.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + TIDILY
        while time.monotonic() < until and any(run.process.poll() is None for run in self.running):
            time.sleep(TICK)
        for run in self.running:
            run.end()


def tied(command: Sequence[str], output: object, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a command that does not outlive us, in a process group of its own; this code is what it finds."""
    path = os.pathsep.join(map(str, [CODE, CODE / "tools"]))
    leash = [sys.executable, "-P", "-m", "picks.sweep.leash", *command]
    return subprocess.Popen(
        leash,
        stdin=subprocess.PIPE,
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        env=os.environ | environment | {"PYTHONPATH": path},
        start_new_session=True,
    )


def cores() -> int:
    """How many processors we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_gpus() -> list[str]:
    """The GPUs that we may give out."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = [path.name.removeprefix("nvidia") for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]
    return found if allowed is None else [gpu for gpu in allowed.split(",") if gpu]
