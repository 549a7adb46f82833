"""Notebooks that print, start and leave too much, in real kernels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import house

MOST_MIB = 300  # of the runner's memory, whatever a notebook prints; without any printing it takes some 160
PEAK = "\nprint(next(line for line in open('/proc/self/status') if 'VmHWM' in line), file=sys.stderr)\n"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process used, and gives orphans up")


def _measured(root: Path) -> tuple[int, str]:
    """The peak of a runner's memory in MiB, and what it said."""
    script = house.COMMAND.replace("sys.exit(command.main(", "print(command.main(") + PEAK
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(house.CODE), str(house.CODE / "tools")])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(root), "2501.08310"], env=environment, capture_output=True, text=True,
        check=True, timeout=300,
    )  # fmt: skip
    [peak] = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("VmHWM")]
    return int(peak) // 1024, done.stderr


FLOODS = {
    "printed": "for _ in range(200): print('x' * 2**20)",
    "printed at once": "print('x' * (200 * 2**20))",
    "flushed": "for _ in range(20_000): print('x' * 10_000, flush=True)",
    "shown": "from IPython.display import display\nfor _ in range(150): display({'image/png': 'x' * 2**21}, raw=True)",
    "returned": "class Long:\n    def __repr__(self): return 'x' * (200 * 2**20)\nLong()",
    "raised": "raise ValueError('x' * (200 * 2**20))",
    "written": "import os\nfor _ in range(200): os.write(1, b'x' * 2**20); os.write(2, b'y' * 1000)",
}


@LINUX
@pytest.mark.parametrize("flood", FLOODS)
def test_a_runner_stays_small_and_so_do_its_files(flood: str, tmp_path: Path) -> None:
    root = house.build(tmp_path, FLOODS[flood])
    peak, said = _measured(root)
    [folder] = house.run_folders(root)
    cells = json.loads((folder / "state.json").read_text())["cells"]
    assert cells[-1]["state"] == ("failed" if flood == "raised" else "completed"), said
    assert peak < MOST_MIB
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 10 * 2**20
    if flood == "written":
        assert 0 < (folder / "kernel.log").stat().st_size < 100_000


DETACH = {
    "session": "subprocess.Popen(SLEEP, start_new_session=True, env={})",
    "twice": "subprocess.run([sys.executable, '-c', f'import subprocess; "
    "subprocess.Popen({SLEEP}, start_new_session=True, env={{}})'], check=True)",
    "fork": "os.fork() or (os.setsid(), os.fork() and os._exit(0), os.execvpe(SLEEP[0], SLEEP, {}))",
}
ENDS = {"well": "", "raises": "1 / 0", "dies": "os.kill(os.getpid(), 9)"}


@pytest.fixture
def nap() -> str:
    """How long a process of this test sleeps, by which it is found."""
    return f"{600 + time.time_ns() % 10**6 / 10**6:.6f}"


def _sleeping(nap: str) -> list[str]:
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line == f"/bin/sleep {nap}"]


def _detaching(tmp_path: Path, nap: str, how: str, end: str) -> Path:
    code = f"""
import os, subprocess, sys, time
from pathlib import Path

SLEEP = ["/bin/sleep", "{nap}"]
{DETACH[how]}
while "sleep {nap}" not in subprocess.check_output(["ps", "-A", "-o", "args="], text=True):
    time.sleep(0.05)
Path(out, "detached").touch()
{end}
"""
    return house.build(tmp_path, code)


@LINUX
@pytest.mark.parametrize(
    ("how", "end"), [*((how, "well") for how in DETACH), *(("session", end) for end in ENDS if end != "well")]
)
def test_what_a_notebook_detaches_ends_with_the_run(how: str, end: str, tmp_path: Path, nap: str) -> None:
    root = _detaching(tmp_path, nap, how, ENDS[end])
    house.run(root, "2501.08310")
    [folder] = house.run_folders(root)
    assert (folder / "detached").exists()
    assert _sleeping(nap) == []


@LINUX
def test_it_ends_even_when_the_runner_is_killed(tmp_path: Path, nap: str) -> None:
    root = _detaching(tmp_path, nap, "session", "time.sleep(600)")
    process = house.start(root, "2501.08310")
    assert _comes(lambda: list(root.glob("runs/*/*/*/detached")))
    process.kill()
    process.communicate()
    assert _comes(lambda: not _sleeping(nap))


def _comes(condition: Any) -> bool:
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(condition())


LITTER = """
import os, tempfile, time
from pathlib import Path
folders = {tempfile.mkdtemp(), *(os.environ[name] for name in ("TMPDIR", "TMP", "TEMP"))}
Path(out, "folders.part").write_text("\\n".join(folders))
Path(out, "folders.part").rename(Path(out, "folders"))
"""


def _littered(root: Path) -> list[Path]:
    [listed] = _comes(lambda: list(root.glob("runs/*/*/*/folders"))) and list(root.glob("runs/*/*/*/folders"))
    return [Path(line) for line in listed.read_text().splitlines()]


def test_what_a_notebook_leaves_in_its_temporary_folder_goes_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    root = house.build(tmp_path, LITTER)
    house.run(root, "2501.08310", env=_environment(TMPDIR=str(tmp_path / "tmp")))
    folders = _littered(root)
    assert all(folder.is_relative_to(tmp_path / "tmp") for folder in folders)
    assert not any(folder.exists() for folder in folders)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert str(tmp_path / "tmp") not in map(str, folders)


def test_after_a_kill_it_goes_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    environment = _environment(TMPDIR=str(tmp_path / "tmp"))
    root = house.build(tmp_path, LITTER + "time.sleep(600)")
    process = house.start(root, "2501.08310", env=environment)
    folders = _littered(root)
    process.kill()
    process.communicate()
    assert all(folder.exists() for folder in folders)
    house.notebook_path(root).write_text(json.dumps(house.notebook(house.CELLS)))
    assert house.run(root, "2501.08310", env=environment).returncode == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(house.CODE), str(house.CODE / "tools")])} | more


WAITS = """
import os, time
from pathlib import Path
Path(out, "pid").write_text(str(os.getpid()))
time.sleep(600)
"""


def test_a_terminal_that_is_closed_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    root = house.build(tmp_path, WAITS)
    main, terminal = os.openpty()
    process = house.start(root, "2501.08310", stdout=terminal, stderr=terminal, stdin=terminal, start_new_session=True)
    os.close(terminal)
    assert _comes(lambda: list(root.glob("runs/*/*/*/pid")))
    os.close(main)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 130
    [folder] = house.run_folders(root)
    assert json.loads((folder / "state.json").read_text())["state"] == "killed"


def test_under_nohup_a_run_goes_on(tmp_path: Path) -> None:
    root = house.build(tmp_path, WAITS.replace("time.sleep(600)", "time.sleep(1)"))
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = house.start(root, "2501.08310")
    finally:
        signal.signal(signal.SIGHUP, former)
    assert _comes(lambda: list(root.glob("runs/*/*/*/pid")))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 4  # it has reported nothing


@pytest.mark.parametrize("arguments", [("--json",), ()])
def test_a_reader_who_has_seen_enough_is_not_told_of_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    root = house.build(tmp_path)
    process = house.start(root, "2501.08310", *arguments)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(60) == 0
    assert "roken" not in said
    assert "Traceback" not in said
    [folder] = house.run_folders(root)
    assert (folder / "results.json").exists()


def test_nor_is_a_reader_of_the_progress(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    process = house.start(root, "2501.08310")
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    assert "What the paper claims" in process.stdout.read()
    assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("language", "arguments"),
    [("C", ("2501.08310",)), ("en_US.ISO-8859-1", ("2501.08310", "--json")), ("C", ("--list",))],
)
def test_a_terminal_without_our_characters_gets_others(
    language: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    root = house.build(tmp_path)
    narrow = _environment(LC_ALL=language, LANG=language, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    narrow.pop("PYTHONIOENCODING", None)
    done = house.run(root, *arguments, env=narrow, encoding="latin-1")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if arguments == ("2501.08310",):
        assert "2501.08310" in done.stdout
        assert "?" in done.stderr  # for the ellipsis of the progress
