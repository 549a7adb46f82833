"""Runs in places that are full, read-only or without locks: one sentence, code 74, and a state that is true."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picks.places import PlaceError
from picks.run import command, continuation, runner, state
from picks.run.state import ERROR, Ending, RunState
from reproductions.common import files
from tests.fixtures import house


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    return house.build(tmp_path)


def _refuse(number: int) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


FILL = """
from pathlib import Path
with Path(out, "ballast").open("wb", buffering=0) as file:
    while True:
        file.write(b"x" * 4096)
"""


def _told_once(done: subprocess.CompletedProcess[str], place: Path) -> bool:
    return done.stderr.count("the disk is full: free some room") == 1 and str(place) in done.stderr


def test_a_notebook_that_fills_the_disk(disk: Path, tmp_path: Path) -> None:
    done = house.run(house.build(tmp_path, FILL), "2501.08310", "--out", str(disk / "run"))
    assert done.returncode == 74, done.stderr
    assert _told_once(done, disk)
    assert "Traceback" not in done.stderr
    assert json.loads((disk / "run" / "state.json").read_text())["state"] == "error"
    assert not list((disk / "run").glob("*.part"))


def test_a_disk_that_fills_up_behind_a_run(disk: Path, tmp_path: Path) -> None:
    fills = FILL.replace("while True:", "while True:\n      try:").replace(
        "        file.write", "          file.write"
    ) + "      except OSError: break\n"  # fmt: skip
    done = house.run(house.build(tmp_path, fills), "2501.08310", "--out", str(disk / "run"))
    assert done.returncode == 74, done.stderr
    assert _told_once(done, disk)
    assert "Traceback" not in done.stderr
    assert json.loads((disk / "run" / "state.json").read_text())["state"] == "error"


def test_a_disk_that_is_full_from_the_start(disk: Path, tmp_path: Path) -> None:
    (disk / "run").mkdir()
    with (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 4096)
            except OSError:
                break
    done = house.run(house.build(tmp_path), "2501.08310", "--out", str(disk / "run"))
    assert done.returncode == 74
    assert _told_once(done, disk)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_results_that_cannot_be_written(
    number: int, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "write_json", _refuse(number))
    assert command.main(["2501.08310"], root) == 74
    [folder] = house.run_folders(root)
    assert json.loads((folder / "state.json").read_text())["state"] == "error"
    said = capsys.readouterr().err
    assert f"{folder}: " in said
    assert "--out" in said


def test_a_fault_of_our_own_is_not_left_running(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: Any) -> None:
        raise ZeroDivisionError("a slip of ours")

    monkeypatch.setattr(runner, "build_record", break_down)
    with pytest.raises(ZeroDivisionError):
        command.main(["2501.08310"], root)
    [folder] = house.run_folders(root)
    found = json.loads((folder / "state.json").read_text())
    assert (found["state"], found["message"]) == (
        "error", "the runner itself failed: ZeroDivisionError: a slip of ours",
    )  # fmt: skip


def test_an_interruption_between_notebook_and_record_is_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "build_record", interrupt)
    assert command.main(["2501.08310"], root) == 130
    [folder] = house.run_folders(root)
    assert json.loads((folder / "state.json").read_text())["state"] == "killed"


def test_a_state_finds_room_in_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunState(tmp_path / "state.json")
    run.plan(house.notebook(["a = 1"])["cells"])
    run.begin(0)
    monkeypatch.setattr(state, "write_json", _refuse(errno.ENOSPC))
    run.finish(Ending(ERROR, 74, "the disk is full"))
    found = json.loads((tmp_path / "state.json").read_text())
    assert (found["state"], found["cells"][0]["state"]) == ("error", "failed")


def test_half_a_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("whole")
    monkeypatch.setattr(Path, "replace", _refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        files.write_text(tmp_path / "file", "anew")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "whole"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_place_that_is_only_to_be_read(
    number: int, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "mkdir", _refuse(number))
    for arguments in (["2501.08310"], ["2501.08310", "--out", str(root / "elsewhere")]):
        assert command.main(arguments, root) == 74
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert str(root) in said
        assert "--out" in said


def test_a_folder_in_the_way_is_bad_input(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "file").touch()
    for out in (root / "file", root / "file" / "below"):
        assert command.main(["2501.08310", "--out", str(out)], root) == 2
        assert "cannot be a run directory" in capsys.readouterr().err


def test_a_run_needs_no_locks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation.fcntl, "flock", _refuse(errno.ENOLCK))
    assert command.main(["2501.08310"], root) == 0


def test_no_place_for_a_model_is_not_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.CompletedProcess([], PlaceError.exit_code)
    monkeypatch.setattr(runner.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(PlaceError, match="smollm2-135m is not to be had"):
        runner.fetch_model(_plan())


def _plan() -> Any:
    """As much of a plan as fetching its model asks for."""
    return SimpleNamespace(model=SimpleNamespace(name="smollm2-135m", kind="wheels"), device="cpu", needs=())
