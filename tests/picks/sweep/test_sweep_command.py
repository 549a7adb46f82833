"""`tools/sweep` from outside, on a house that tosses coins: what it runs, what it skips, what kills leave behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from picks.sweep.command import main
from tests.fixtures import house
from tests.fixtures.sweeps import Sweeps, left_of, until

RESULTS = Path("reproductions") / house.NAME / "results"
QUICK = "smollm2-135m.quick.json"


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path)


def test_a_dry_run_says_what_would_run_and_why_and_starts_nothing(sweeps: Sweeps) -> None:
    done = sweeps.run("--stale", "--profile", "quick", "--profile", "full", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert re.search(r"coin_flips smollm2-135m quick +never recorded +60 s +4\.0 GiB", done.stdout)
    assert "4 to run, 0 complete or failed before; about 3 min, 2 at once. Nothing was started." in " ".join(
        done.stdout.split()
    )
    assert not (sweeps.root / "runs").exists()


def test_what_is_given_several_times_is_varied_and_the_same_command_again_runs_nothing(sweeps: Sweeps) -> None:
    asked = ("coin_flips", "-p", "n_tosses=20", "-p", "n_tosses=30", "--model", "smollm2-135m")
    done = sweeps.run(*asked)
    assert done.returncode == 0, done.stderr
    assert sweeps.ran == ["smollm2-135m quick 20", "smollm2-135m quick 30"]
    assert "2 done" in done.stdout
    for again in (asked, ("--resume",)):
        assert "before" in sweeps.run(*again).stdout
    assert len(sweeps.ran) == len(sweeps.complete) == 2
    sweeps.rewrite("< bias", "<= bias")
    assert sweeps.run(*asked).returncode == 0
    assert len(sweeps.ran) == 4


def test_stale_records_are_brought_up_to_date_by_one_command_that_survives_two_kills(sweeps: Sweeps) -> None:
    sweeps.commit()
    assert sweeps.run("--all", "--record").returncode == 0
    sweeps.rewrite("< bias", "<= bias")
    sweeps.commit()
    sweeps.go.unlink()

    driver = sweeps.start("--stale", "--record")
    until(lambda: len(sweeps.ran) == 4)
    worker, *_ = [found for found in psutil.Process(driver.pid).children() if "coin_flips" in found.cmdline()]
    worker.kill()
    until(lambda: len(sweeps.ran) == 5)  # tried once more
    driver.kill()
    driver.communicate()
    until(lambda: not left_of(sweeps.root))
    assert len(sweeps.complete) == 2

    sweeps.go.touch()
    done = sweeps.run("--resume")
    assert done.returncode == 0, done.stderr
    assert "2 recorded" in done.stdout
    assert len(sweeps.ran) == 7
    assert sweeps.run("--stale").stdout == "nothing to run\n"
    commits = {
        json.loads(path.read_text())["provenance"]["commit"] for path in (sweeps.root / RESULTS).glob("*quick.json")
    }
    head = subprocess.run(
        ["git", "-C", str(sweeps.root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert commits == {head.stdout.strip()}


def test_a_kill_between_completion_and_recording_loses_nothing(sweeps: Sweeps) -> None:
    sweeps.commit()
    assert sweeps.run("coin_flips", "--model", "smollm2-135m").returncode == 0
    done = sweeps.run("coin_flips", "--model", "smollm2-135m", "--record")
    assert done.returncode == 0, done.stderr
    assert len(sweeps.ran) == 1
    assert (sweeps.root / RESULTS / QUICK).exists()


def test_a_killed_kernel_is_tried_once_more_and_a_failure_is_not(tmp_path: Path) -> None:
    for name, fault, times in (("killed", "import os\nos.kill(os.getpid(), 9)", 2), ("raises", "1 / 0", 1)):
        sweeps = Sweeps(tmp_path / name)
        sweeps.rewrite(house.TOSS, fault)
        done = sweeps.run("coin_flips", "--model", "smollm2-135m", "--name", name)
        assert done.returncode == 4
        assert len(sweeps.ran) == times, done.stderr
        again = sweeps.run("--resume", name)
        assert again.returncode == 4
        assert len(sweeps.ran) == (4 if name == "killed" else 1)
    assert "ZeroDivisionError" in again.stdout
    assert "--retry-failed" in again.stdout
    sweeps.run("--resume", name, "--retry-failed")
    assert len(sweeps.ran) == 2


def test_an_interrupted_sweep_ends_its_runs_and_says_how_to_go_on(sweeps: Sweeps) -> None:
    sweeps.go.unlink()
    driver = sweeps.start("--all")
    until(lambda: len(sweeps.ran) == 2)
    driver.send_signal(signal.SIGINT)
    _, stderr = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "--resume goes on" in stderr
    assert not left_of(sweeps.root)


def test_a_second_driver_of_the_same_sweep_is_refused(sweeps: Sweeps) -> None:
    sweeps.go.unlink()
    driver = sweeps.start("--all")
    until(lambda: len(sweeps.ran) == 2)
    assert "has not ended" in sweeps.run("--all").stderr
    sweeps.go.touch()
    driver.communicate(timeout=60)
    assert driver.returncode == 0
    assert len(sweeps.ran) == 2


def test_what_fell_below_its_record_is_told_and_not_recorded(sweeps: Sweeps) -> None:
    sweeps.commit()
    asked = ("coin_flips", "--model", "smollm2-135m", "--record")
    assert sweeps.run(*asked).returncode == 0
    path = sweeps.root / RESULTS / QUICK
    recorded = json.loads(path.read_text())
    recorded["claims"][1]["verdict"] = "holds"
    recorded["provenance"]["wall_s"] += 1
    path.write_text(json.dumps(recorded))
    done = sweeps.run(*asked)
    assert done.returncode == 3
    assert "claim C2: holds → cannot tell" in " ".join(done.stdout.split())
    assert json.loads(path.read_text()) == recorded


def test_what_changed_since_a_commit_is_told_by_what_its_numbers_depend_on(sweeps: Sweeps) -> None:
    sweeps.commit()
    sweeps.rewrite("import random", "# a comment\nimport random")
    assert "0 to run" in sweeps.run("--changed-since", "HEAD", "--dry-run").stdout
    sweeps.rewrite("< bias", "<= bias")
    done = sweeps.run("--changed-since", "HEAD", "--dry-run")
    assert "the notebook changed since HEAD" in done.stdout
    assert "2 to run" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which runs?"),
        (["--all", "--stale"], "exclude each other"),
        (["coin_flip"], "did you mean coin_flips?"),
        (["coin_flips", "-p", "sede=1"], "did you mean seeds?"),
        (["--stale", "--seeds", "0"], "leave out -p and --seeds"),
        (["--resume"], "there is no sweep to go on with"),
        (["--resume", "../evil"], "cannot name a sweep"),
        (["--changed-since", "--output=x"], "expected one argument"),
        (["--changed-since", "nowhere"], "is no commit here"),
        (["--all", "--jobs", "9999"], "would stall each other"),
        (["--all", "--record"], "there is none here"),
        (["--resume", "--all"], "leave out what to run"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = house.build(tmp_path)
    try:
        code = main(arguments, root)
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not (root / "runs").exists()
