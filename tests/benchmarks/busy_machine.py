"""What other programs do to a run: the same run alone, beside three busy processes, and alone again.

    PYTHONPATH=.:tools .venv/bin/python tests/benchmarks/busy_machine.py [arguments of tools/repro]

Prints the seconds of each and how much longer the busy run took than the mean of the other two; ends with 1 if that is
more than `MOST` times as long. It measures nothing unless the machine is otherwise idle, so it is no part of the tests.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picks.run.launch import threads

BUSY = 3  # processes that compute without end
MOST = 3.0  # times as long; fair shares are 2.5 for two threads on two processors
IDLE = 0.5  # load average above which somebody else is computing
SMALL = ("head_mapping", "-p", "relations=country_capital,country_language,last_letter", "-p", "most_pairs=12")
ENDED_WELL = (0, 3)  # a small run decides less than the recorded one


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if os.getloadavg()[0] > IDLE:
        print(f"load average {os.getloadavg()[0]:.1f}: this machine is not idle, so the ratio says little", flush=True)
    before = _timed("alone", arguments)
    with _busy():
        beside = _timed(f"beside {BUSY} busy processes", arguments)
    after = _timed("alone again", arguments)
    ratio = 2 * beside / (before + after)
    print(f"{ratio:.2f} times as long; fair shares would be {fair_ratio():.2f}, at most {MOST:g} is wanted")
    return int(ratio > MOST)


def fair_ratio() -> float:
    """How much longer a run takes if each of its threads gets the share that each busy process gets."""
    wanted, processors = threads(os.environ), os.cpu_count() or 1
    return max(1.0, (wanted + BUSY) / max(processors, wanted))


def _timed(label: str, arguments: list[str]) -> float:
    """Wall seconds of a run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "picks.run", *arguments, "--json", "--out", str(Path(folder) / "run")]
        wall, cpu = time.monotonic(), _cpu_s()
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wall, cpu = time.monotonic() - wall, _cpu_s() - cpu
    if done.returncode not in ENDED_WELL:
        sys.exit(done.stderr)
    print(f"{label}: {wall:.1f} s, {cpu:.1f} processor seconds", flush=True)
    return wall


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _busy() -> Iterator[None]:
    """Other programs."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(SMALL)))
