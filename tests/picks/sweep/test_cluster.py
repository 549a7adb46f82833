"""Sweeps through Snakemake: on this machine, and on a Slurm of one node that the test sets up and tears down."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from picks.sweep.command import main
from tests.fixtures import house, slurm
from tests.fixtures.sweeps import Sweeps, left_of, until

PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
COST = "\ncost: {memory_mib: {quick: 300, full: 600}, gpus: 1}\n"
NOTES_GPU = """\
import os

with Path({file!r}).open("a") as file:
    file.write(f"{{os.environ['CUDA_VISIBLE_DEVICES']}}\\n")
"""


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    if shutil.which("snakemake", path=PLACES) is None:
        pytest.skip("snakemake is not on this machine; pip install 'snakemake>=9,<10' snakemake-executor-plugin-slurm")
    return Sweeps(tmp_path)


def _points(sweeps: Sweeps) -> list[dict[str, object]]:
    """The jobs of the last round."""
    [path] = sweeps.root.glob("runs/sweeps/*/points.json")
    return json.loads(path.read_text())


def test_snakemake_does_what_is_missing_after_the_driver_was_killed(sweeps: Sweeps) -> None:
    sweeps.go.unlink()
    driver = sweeps.start("--all", "--cluster", "local")
    until(lambda: len(sweeps.ran) == 2)
    driver.kill()
    driver.communicate()
    sweeps.go.touch()
    done = sweeps.run("--resume")
    assert done.returncode == 0, done.stderr
    assert len(sweeps.complete) == 2
    until(lambda: not left_of(sweeps.root))
    ran = len(sweeps.ran)
    assert sweeps.run("--resume").returncode == 0
    assert len(sweeps.ran) == ran


def test_through_snakemake_a_killed_run_gets_more_memory_and_a_failed_one_no_second_try(sweeps: Sweeps) -> None:
    sweeps.rewrite(house.TOSS, "if model == 'smollm2-135m':\n    1 / 0\nimport os\nos.kill(os.getpid(), 9)")
    done = sweeps.run("--all", "--cluster", "local")
    assert done.returncode == 4
    assert sweeps.ran == ["gemma3-270m quick 20", "gemma3-270m quick 20", "smollm2-135m quick 20"]
    assert [(point["model"], point["memory_mib"]) for point in _points(sweeps)] == [("gemma3-270m", 8192)]
    assert "ZeroDivisionError" in done.stdout


def test_what_snakemake_cannot_do_is_told_in_its_words(
    sweeps: Sweeps, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--all", "--cluster", "nowhere"], sweeps.root) == 2
    assert "kubernetes, local, slurm" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("executor: magic\n")
    assert main(["--all", "--cluster", str(tmp_path)], sweeps.root) == 2
    told = capsys.readouterr().err
    assert "says why" in told
    assert "magic" in told


def test_without_snakemake_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("picks.sweep.cluster.shutil.which", lambda _: None)
    monkeypatch.setattr("picks.sweep.cluster.sys.executable", str(tmp_path / "python"))
    assert main(["--all", "--cluster", "slurm"], house.build(tmp_path)) == 2
    assert "pip install" in capsys.readouterr().err


WITH_A_KILL = """
import json, subprocess, sys, time
from pathlib import Path
first, again, go, count = json.loads(sys.argv[1])
driver = subprocess.Popen(first)
until = time.monotonic() + 90
while not (Path(count).exists() and Path(count).read_text()) and time.monotonic() < until:
    time.sleep(0.2)
print(subprocess.run(["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True).stdout, flush=True)
driver.kill()
Path(go).touch()
sys.exit(subprocess.run(again).returncode)
"""


def test_slurm_runs_them_one_a_gpu_and_the_driver_may_be_killed(sweeps: Sweeps, tmp_path: Path) -> None:
    if why := slurm.lacking():
        pytest.skip(why)
    declared = sweeps.root / "reproductions" / house.NAME / "reproduction.yml"
    declared.write_text(declared.read_text() + COST)
    gpus = tmp_path / "gpus"
    sweeps.rewrite(house.TOSS, NOTES_GPU.format(file=str(gpus)) + house.TOSS)
    sweeps.go.unlink()
    commands = sweeps.command("--all", "--cluster", "slurm"), sweeps.command("--resume")
    told = json.dumps([*commands, str(sweeps.go), str(sweeps.count)])
    code, stdout, stderr = slurm.run(tmp_path / "slurm", [sys.executable, "-c", WITH_A_KILL, told])
    assert code == 0, stdout + stderr
    assert "2 done" in stdout
    jobs = [line for line in stdout.splitlines() if line.startswith("JobId=")]
    assert sorted("JobState=RUNNING" in job for job in jobs) == [False, True]  # there is one GPU
    assert all("TresPerJob=gres:gpu:1" in job and "mem=300M" in job for job in jobs), jobs
    assert len(sweeps.complete) == 2
    assert sweeps.ran == ["gemma3-270m quick 20", "smollm2-135m quick 20"]  # the job outlived its driver
    assert gpus.read_text() == "0\n0\n"
    assert not left_of(tmp_path)
