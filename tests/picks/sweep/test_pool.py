"""What is started beside what: cores, memory and GPUs are counted, and nothing is started that does not fit."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from picks.sweep import pool
from picks.sweep.board import Board
from picks.sweep.outcome import Outcome
from picks.sweep.points import Need

NAP = [sys.executable, "-c", "import time; time.sleep(0.4)"]


class FakePoint:
    def __init__(self, name: str, memory_mib: int, gpus: int = 0) -> None:
        self.folder, self.need = name, Need(memory_mib, gpus, 1.0)

    def __str__(self) -> str:
        return self.folder


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine of 8 GiB of which nothing is taken."""
    memory = SimpleNamespace(total=8 * 2**30, available=8 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(pool, "outcome", lambda *_, **__: Outcome("done"))
    return memory


def _most_at_once(
    points: list[FakePoint], folder: Path, slots: int = 4, gpus: tuple[str, ...] = ()
) -> tuple[int, Board]:
    """Run points that take a nap; how many of them ran at once, and what became of them."""
    board = Board(points, Console(quiet=True), slots)
    made = pool.Pool(folder, board, lambda _: NAP, slots, keep=False, gpus=list(gpus))
    most = 0
    collect = made._collect

    def counted() -> None:
        nonlocal most
        most = max(most, len(made.running))
        collect()

    made._collect = counted
    made.run()
    return most, board


@pytest.mark.parametrize(("memory_mib", "slots", "at_once"), [(100, 4, 4), (100, 2, 2), (3000, 4, 2), (7000, 4, 1)])
def test_as_many_at_once_as_cores_and_memory_hold(
    memory_mib: int, slots: int, at_once: int, tmp_path: Path, machine: SimpleNamespace
) -> None:
    points = [FakePoint(f"{number}", memory_mib) for number in range(4)]
    most, board = _most_at_once(points, tmp_path, slots)
    assert most == at_once
    assert {board.of(point).state for point in points} == {"done"}


def test_what_can_never_fit_is_told_and_the_others_run(tmp_path: Path, machine: SimpleNamespace) -> None:
    large, small, gpu = FakePoint("large", 9000), FakePoint("small", 100), FakePoint("gpu", 100, gpus=1)
    _, board = _most_at_once([large, small, gpu], tmp_path)
    assert [board.of(point).state for point in (large, small, gpu)] == ["failed", "done", "failed"]
    assert "wants 8.8 GiB of memory; this machine has 8.0" in board.of(large).note
    assert "wants a GPU" in board.of(gpu).note


def test_one_run_a_gpu(tmp_path: Path, machine: SimpleNamespace) -> None:
    points = [FakePoint(f"{number}", 100, gpus=1) for number in range(3)]
    assert _most_at_once(points, tmp_path, gpus=("0", "1"))[0] == 2


def test_memory_that_others_hold_is_waited_for_and_not_for_ever(
    tmp_path: Path, machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.available = 2**30
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    point = FakePoint("one", 3000)
    begun = time.monotonic()
    _, board = _most_at_once([point], tmp_path)
    assert time.monotonic() - begun > 0.5
    assert "which others held" in board.of(point).note
