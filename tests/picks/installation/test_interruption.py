"""A start that is ended, at whatever stage and however: nothing goes on, nothing is left half-made."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.checkout import Project, fresh, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what runs is read from /proc")


def building(project: Project, temporary: Path) -> subprocess.Popen[bytes]:
    """A start whose pip builds a package and waits."""
    project.lock("fabricated==1.0\n")
    project.hold.touch()
    start = project.start_aside("start", TMPDIR=str(temporary))
    wait_for(lambda: project.builds)
    return start


def creating(project: Project, temporary: Path) -> subprocess.Popen[bytes]:
    """A start whose environment is being created."""
    fresh(project)
    start = project.start_aside("start", TMPDIR=str(temporary))
    wait_for(lambda: "ensurepip" in " ".join(project.processes))
    return start


def fetching(project: Project, temporary: Path) -> subprocess.Popen[bytes]:
    """A first start whose pip builds a package and waits."""
    return building(fresh(project), temporary)


INT, TERM, HUP, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL


@pytest.mark.parametrize(
    ("stage", "number"),
    [(creating, INT), (creating, KILL), (fetching, TERM), (fetching, KILL)]
    + [(building, number) for number in (INT, TERM, HUP, KILL)],
)
def test_nothing_is_left(
    project: Project, tmp_path: Path, stage: Callable[[Project, Path], subprocess.Popen[bytes]], number: int
) -> None:
    start = stage(project, tmp_path)
    os.kill(start.pid, number)
    assert start.wait(timeout=60) == (-number if number == KILL else 128 + number)
    wait_for(lambda: not project.processes)
    made = project.root / ".venv"
    assert (made / "stamp").exists() if stage is building else not made.exists()  # pip had changed nothing yet
    assert not (made / "tmp").exists()
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in project.said("start")
    last = project.said("start").splitlines()[-1]
    assert number == KILL or last == "tools/repro: interrupted; nothing is left half-made; start again to make .venv."


def test_the_next_start_makes_it(project: Project, tmp_path: Path) -> None:
    building(project, tmp_path).kill()
    wait_for(lambda: not project.processes)
    project.hold.unlink()
    assert project.start().returncode == 0
    assert project.imports("fabricated")


def test_a_worker_that_is_killed_is_said_and_mended(project: Project, tmp_path: Path) -> None:
    start = building(project, tmp_path)
    worker = Path(f"/proc/{start.pid}/task/{start.pid}/children").read_text().split()[0]
    os.kill(int(worker), signal.SIGKILL)
    assert start.wait(timeout=60) == 128 + signal.SIGKILL
    wait_for(lambda: not project.processes)
    assert "what makes .venv was killed" in project.said("start")
    project.hold.unlink()
    assert project.start().returncode == 0
    assert project.imports("fabricated")


def test_one_that_waits_for_another_can_be_ended(project: Project, tmp_path: Path) -> None:
    building(project, tmp_path)
    other = project.start_aside("other")
    wait_for(lambda: "waiting" in project.said("other"))
    other.send_signal(signal.SIGINT)
    assert other.wait(timeout=60) == 128 + signal.SIGINT
    assert (project.root / ".venv" / "made-by-daily-picks").exists()  # it is the first one's, which goes on
    project.hold.unlink()
    wait_for(lambda: not project.processes)
    assert project.imports("fabricated")
