"""Past its deadline a run that is getting on goes on; one that is stuck, or past the end, is stopped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from picks.run import command, deadline, runner
from picks.run.deadline import Deadline, Limits
from picks.run.launch import processor_seconds
from picks.run.progress import LiveProgress, PlainProgress
from picks.run.state import RunState
from tests.fixtures import house

PROC = Path("/proc/self/stat")


class Kernel:
    """A kernel that computes as it is told, and notes that it was killed."""

    def __init__(self, *cpu_s: float | None) -> None:
        self.cpu_s = list(cpu_s)
        self.killed = False

    @property
    def processor_seconds(self) -> float | None:
        return self.cpu_s.pop(0) if len(self.cpu_s) > 1 else self.cpu_s[0]

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def state(tmp_path: Path) -> RunState:
    """Of a notebook of three cells, the first of which has ended and the second of which runs."""
    state = RunState(tmp_path / "state.json")
    state.plan(house.notebook(["a = 1", "b = 2", "c = 3"])["cells"])
    state.begin(0)
    state.end(0, "completed")
    state.begin(1)
    return state


class Watched:
    """A deadline of 100 s, with an end after 400, looked at whenever the test says."""

    def __init__(self, state: RunState, recorded_cpu_s: float | None = None) -> None:
        self.told = StringIO()
        progress = PlainProgress(Console(file=self.told))
        self.deadline = Deadline(Limits(100, 400, recorded_cpu_s), Kernel(None), state, progress)  # type: ignore[arg-type]

    def at(self, elapsed: float, cpu_s: float | None) -> str:
        return self.deadline.verdict(elapsed, cpu_s)


def test_before_the_deadline_nothing_is_asked(state: RunState) -> None:
    watched = Watched(state)
    assert [watched.at(elapsed, 0.0) for elapsed in (1, 99)] == ["", ""]
    assert watched.told.getvalue() == ""


def test_a_run_that_computes_goes_on_to_the_end_and_is_told_of_once(state: RunState) -> None:
    watched = Watched(state)
    assert not any(watched.at(elapsed, elapsed / 4) for elapsed in range(100, 400))
    assert watched.told.getvalue().count("the machine is busy; this takes at most 5 min more") == 1
    assert "has passed" in watched.at(400, 100)


def test_how_long_it_takes_follows_from_the_recorded_run(state: RunState) -> None:
    watched = Watched(state, recorded_cpu_s=45)
    watched.at(100, 30)
    assert "the machine is busy; this takes about 50 s more" in watched.told.getvalue()


def test_a_run_that_has_its_processor_is_not_said_to_share_it(state: RunState) -> None:
    watched = Watched(state)
    watched.at(100, 99)
    assert "more to do than usual" in watched.told.getvalue()
    assert "busy" not in watched.told.getvalue()


def test_a_run_that_computes_nothing_is_stuck(state: RunState) -> None:
    watched = Watched(state)
    trickle = 0.001  # of a processor: a kernel that waits
    assert not any(watched.at(elapsed, elapsed * trickle) for elapsed in range(100, 161))
    assert "nothing was computed for 60 s: the notebook is stuck" in watched.at(161, 161 * trickle)


def test_a_cell_that_ends_is_a_sign_of_life(state: RunState) -> None:
    watched = Watched(state)
    watched.at(100, 1.0)
    state.end(1, "completed")
    assert not watched.at(150, 1.0)
    assert not watched.at(209, 1.0)
    assert "stuck" in watched.at(211, 1.0)


def test_without_processor_time_one_long_cell_is_what_ends_a_run(state: RunState) -> None:
    watched = Watched(state)
    assert not any(watched.at(elapsed, None) for elapsed in range(100, 400))
    state._since = time.monotonic() - 101
    assert "one cell alone has taken longer" in watched.at(200, None)


def test_a_limit_of_the_users_is_the_end(state: RunState) -> None:
    limit = Deadline(Limits(5, 5), Kernel(9.0), state, PlainProgress(Console(file=StringIO())))  # type: ignore[arg-type]
    assert limit.verdict(5, 9.0) == "the deadline of 5 s has passed; --timeout sets another"


def test_the_watcher_kills_and_says_why(state: RunState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "TICK", 0.01)
    kernel: Any = Kernel(0.0, 1.0, 2.0)
    state.end(1, "completed")
    watch = Deadline(Limits(0.01, 0.1), kernel, state, PlainProgress(Console(file=StringIO())))
    with watch.watching():
        until = time.monotonic() + 10
        while not kernel.killed and time.monotonic() < until:
            time.sleep(0.01)
    assert kernel.killed
    assert "the deadline of 0.1 s has passed" in watch.passed


def test_a_watcher_leaves_with_its_run(state: RunState) -> None:
    kernel: Any = Kernel(0.0)
    began = time.monotonic()
    with Deadline(Limits(60, 60), kernel, state, PlainProgress(Console(file=StringIO()))).watching():
        pass
    assert not kernel.killed
    assert time.monotonic() - began < 10


def test_a_note_stands_on_a_line_of_its_own() -> None:
    plain, terminal = StringIO(), StringIO()
    for kind, file in ((PlainProgress, plain), (LiveProgress, terminal)):
        with kind(Console(file=file, force_terminal=kind is LiveProgress)) as progress:
            progress.begin("[1/2] Toss")
            progress.note("the machine is busy")
            progress.end("0.1 s")
    assert plain.getvalue() == "[1/2] Toss … \nthe machine is busy\n[1/2] Toss … 0.1 s\n"
    assert "the machine is busy\n" in terminal.getvalue()


@pytest.mark.skipif(not PROC.exists(), reason="there is no /proc here")
def test_processor_time_is_that_of_the_whole_group_and_of_its_dead() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass\n"
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\n"
    code = f"{child}{spin}print('done', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = processor_seconds(process.pid)
        process.communicate(b"\n")
    assert used is not None
    assert 0.5 <= used < 3
    assert processor_seconds(process.pid) == 0
    assert processor_seconds(os.getpgid(0)) is not None


def test_without_proc_processor_time_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert processor_seconds(1) is None


def _with_deadline(root: Path, seconds: float) -> Path:
    path = root / "reproductions" / house.NAME / "reproduction.yml"
    text = path.read_text()
    assert "quick: 60," in text
    path.write_text(text.replace("quick: 60,", f"quick: {seconds},"))
    return root


def test_a_run_that_gets_on_completes_past_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    root = _with_deadline(house.build(tmp_path), 1)
    spin = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < 0.3: pass"
    house.notebook_path(root).write_text(json.dumps(house.notebook([*house.CELLS[:4], spin, spin, *house.CELLS[4:]])))
    monkeypatch.setattr("picks.run.plan.PATIENCE", 200)
    monkeypatch.setattr(RunState, "running_s", 0.0)
    assert command.main(["2501.08310"], root) == 0
    assert "past the deadline of 1 s, but getting on" in capsys.readouterr().err


def test_a_run_that_hangs_past_its_deadline_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    monkeypatch.setattr(deadline, "STUCK", 1.5)
    monkeypatch.setattr("picks.run.plan.PATIENCE", 200)
    root = _with_deadline(house.build(tmp_path, "import time; time.sleep(600)"), 3)
    assert command.main(["2501.08310"], root) == 124
    assert re.search("nothing was computed|one cell alone", capsys.readouterr().err)
    [folder] = house.run_folders(root)
    assert json.loads((folder / "state.json").read_text())["state"] == "timeout"
