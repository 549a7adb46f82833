"""A run's temporary folder, and what is left of a dead run's."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from picks.places import PlaceError
from picks.run import temporary
from picks.run.temporary import LOCK, temporary_folder
from tests.fixtures import house


def test_it_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "deep").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_runs_folder_goes_at_the_next_start_and_a_living_ones_stays(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from picks.run.temporary import temporary_folder\n"
        "with temporary_folder(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=house.CODE / "tools", check=False,
                   env={"PYTHONPATH": f"{house.CODE}:{house.CODE / 'tools'}"})  # fmt: skip
    [dead] = tmp_path.iterdir()
    with temporary_folder(tmp_path) as living, temporary_folder(tmp_path) as other:
        assert not dead.exists()
        assert {living, other} == set(tmp_path.iterdir())


def test_what_is_no_runs_is_left_alone(tmp_path: Path) -> None:
    for name in ("picks-20241212", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / LOCK).touch()
    with temporary_folder(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"picks-20241212", "other"}


def test_a_file_system_without_locks_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(temporary.fcntl, "flock", refuse)
    with temporary_folder(tmp_path) as first, temporary_folder(tmp_path) as second:
        assert first.exists()
        assert second.exists()
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_it_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"none.*TMPDIR"), temporary_folder(tmp_path / "none"):
        pass
