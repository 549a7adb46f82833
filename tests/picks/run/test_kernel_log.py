"""What a kernel writes past its notebook."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from picks.run import kernel_log
from picks.run.kernel_log import KernelLog
from picks.run.outputs import TEXT_LIMIT


def test_a_kernel_that_says_nothing_leaves_no_file(tmp_path: Path) -> None:
    with KernelLog(tmp_path / "kernel.log"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_start_and_end_are_kept_of_much(tmp_path: Path) -> None:
    path = tmp_path / "kernel.log"
    with KernelLog(path) as log:
        os.write(log.kernels_end, b"the first\n")
        for _ in range(1000):
            os.write(log.kernels_end, b"x" * 10_000)
        os.write(log.kernels_end, "\nthe lást\n".encode())
    text = path.read_text(encoding="utf8")
    assert text.startswith("the first\n")
    assert text.endswith("\nthe lást\n")
    assert "characters cut here" in text
    assert len(text) < TEXT_LIMIT + 100
    assert log.last_words == "the lást"


def test_it_can_be_read_while_the_kernel_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Event()
    keep = KernelLog._keep
    monkeypatch.setattr(KernelLog, "_keep", lambda log: (keep(log), written.set()))
    with KernelLog(tmp_path / "kernel.log") as log:
        os.write(log.kernels_end, b"a warning\n")
        assert written.wait(60)
        assert (tmp_path / "kernel.log").read_text() == "a warning\n"


def test_a_process_that_holds_the_pipe_open_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "PATIENCE", 0.1)
    with KernelLog(tmp_path / "kernel.log") as log:
        survivor = os.dup(log.kernels_end)
        os.write(survivor, b"told\n")
    assert (tmp_path / "kernel.log").read_text() == "told\n"
    os.close(survivor)


def test_a_full_disk_is_no_matter(tmp_path: Path) -> None:
    with KernelLog(tmp_path / "missing" / "kernel.log") as log:
        os.write(log.kernels_end, b"told\n")
    assert log.last_words == "told"
