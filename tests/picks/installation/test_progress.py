"""How far an installation is: one line that is drawn again on a terminal, and a line every ten seconds elsewhere."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from picks.installation import progress
from picks.installation.progress import Progress, Teller
from tests.fixtures.checkout import Project

HEARD = """\
Ignoring appnope: markers 'sys_platform == "darwin"' don't match your environment
Collecting einops==0.8.2 (from -r requirements.lock (line 3))
  Downloading einops-0.8.2-py3-none-any.whl (65 kB)
Collecting torch==2.13.0 (from -r requirements.lock (line 4))
  Downloading http://index.example/torch-2.13.0%2Bcpu-cp311-linux.whl (190.4 MB)""".splitlines()


@pytest.fixture
def now(tmp_path: Path) -> Progress:
    """An installation of four packages, one of which is for another system, as torch is being fetched."""
    (tmp_path / "tmp" / "pip-unpack-1").mkdir(parents=True)
    with (tmp_path / "tmp" / "pip-unpack-1" / "torch-2.13.0+cpu-cp311-linux.whl").open("wb") as file:
        file.truncate(84_000_000)
    (tmp_path / "packages").mkdir()
    now = Progress(tmp_path / "packages", tmp_path / "tmp", total=4)
    for line in HEARD:
        now.hear(line)
    return now


def test_fetching_counts_packages_and_bytes(now: Progress) -> None:
    assert (now.step, now.done, now.total) == ("1/3 fetching", 2, 3)
    assert now.sizes == "84 MB, torch 84 of 190 MB"


def test_installing_counts_what_is_there(now: Progress) -> None:
    now.hear("Installing collected packages: mpmath, einops, torch")
    (now.packages / "mpmath-1.3.0.dist-info").mkdir()
    old = now.packages / "pip-24.0.dist-info"
    old.mkdir()
    os.utime(old, (1, 1))
    assert (now.step, now.done, now.total) == ("2/3 installing", 1, 3)
    assert now.sizes.endswith(" MB written")


def test_a_bar_fits_a_terminal_of_eighty_columns(now: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(now, terminal=True, clock=lambda: 0.0)
    teller.hear("")
    drawn = capsys.readouterr().err
    assert drawn == "\r1/3 fetching [##########      ] 2 of 3, 0 s, 84 MB, torch 84 of 190 MB\033[K"
    assert len(drawn.removeprefix("\r").removesuffix("\033[K")) <= progress.COLUMNS
    teller.end()
    assert capsys.readouterr().err == "\r\033[K"


def test_without_a_terminal_a_line_comes_every_ten_seconds(now: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(1000))
    teller = Teller(now, terminal=False, clock=lambda: float(next(clock)))
    for _ in range(25):
        teller.hear("")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("1/3 fetching: 2 of 3 packages, 84 MB, torch 84 of 190 MB, after ")
    teller.end()
    assert capsys.readouterr().err == ""


def test_a_start_on_a_terminal_draws_its_bar_and_wipes_it(project: Project) -> None:
    project.lock("fabricated==1.0\n")
    ours, theirs = pty.openpty()
    command = [project.root / "tools" / "repro", "2412.11965"]
    environ = project.environ(TERM="xterm")
    with subprocess.Popen(command, cwd=project.shelf, env=environ, stdout=subprocess.PIPE, stderr=theirs) as start:
        os.close(theirs)
        assert start.wait(timeout=120) == 0
    drawn = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "1/3 fetching [" in drawn
    assert "2/3 installing [" in drawn
    assert "\r\033[KThe environment is ready" in drawn
