"""Where an environment lies: what is not ours is left alone, what cannot be written is said; what is made is tried."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from picks.installation import place
from picks.installation.errors import PlaceError, place_error
from tests.fixtures.checkout import ROOT, STARTER, Project, fresh, refusal
from tests.picks.installation.test_index import wheel

PLACE = 74


def test_an_environment_of_the_users_own_is_left_alone(project: Project) -> None:
    fresh(project)
    (project.root / ".venv" / "bin").mkdir(parents=True)
    (project.root / ".venv" / "bin" / "mine").write_text("kept")
    assert ".venv was there before and was not made by this command" in refusal(project.start())
    assert [path.name for path in (project.root / ".venv").rglob("*")] == ["bin", "mine"]


def test_a_file_of_that_name_is_left_alone(project: Project) -> None:
    (fresh(project).root / ".venv").write_text("kept")
    assert "it is left alone" in refusal(project.start())
    assert (project.root / ".venv").read_text() == "kept"


def test_a_link_to_another_projects_environment_is_left_alone(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.move(project.root / ".venv", other)
    stamp = (other / "stamp").read_bytes().replace(b"a clone", b"another")
    (other / "stamp").write_bytes(stamp)
    (other / "made-by-daily-picks").unlink()
    (project.root / ".venv").symlink_to(other)
    assert "it is left alone" in refusal(project.start())
    assert (other / "stamp").read_bytes() == stamp


def test_a_link_to_an_empty_folder_is_filled(project: Project, tmp_path: Path) -> None:
    (fresh(project).root / ".venv").symlink_to(tmp_path)
    assert project.start().returncode == 0
    assert (tmp_path / "stamp").exists()
    assert project.start().stderr == ""


def test_an_environment_of_an_earlier_version_which_left_no_mark_is_ours(project: Project) -> None:
    (project.root / ".venv" / "made-by-daily-picks").unlink()
    project.lock("fabricated==1.0\n")
    assert project.start().returncode == 0
    assert project.imports("fabricated")


def test_what_was_installed_is_tried_before_it_is_called_ready(project: Project) -> None:
    (project.shelf / "rich-1.0-py3-none-any.whl").write_bytes(wheel("import not_there", "rich"))
    project.lock("rich==1.0\n")
    sentence = refusal(project.start())
    assert "what was installed cannot be imported: ModuleNotFoundError: No module named 'not_there'" in sentence
    assert not (project.root / ".venv").exists()


def test_a_place_that_cannot_be_written_is_an_error_of_its_own(project: Project) -> None:
    fresh(project)
    (project.root / ".venv.lock").unlink()
    (project.root / ".venv.lock").mkdir()
    assert f"{project.root / '.venv.lock'}: Is a directory; clone the project" in refusal(project.start(), PLACE)


@pytest.mark.parametrize(
    ("number", "path", "expected"),
    [
        (errno.EROFS, "/checkout/.venv.lock", "/checkout/.venv.lock: Read-only file system; clone the project to"),
        (errno.EACCES, "/checkout/.venv", "/checkout/.venv: Permission denied; clone the project to"),
        (errno.ENOLCK, None, "/near: No locks available; clone the project to a folder of an ordinary file system"),
        (errno.ENOSPC, None, "the disk is full where /near lies; free some 3 GB"),
    ],
)
def test_an_error_of_the_system_is_said_with_the_place(number: int, path: str | None, expected: str) -> None:
    assert expected in str(place_error(OSError(number, os.strerror(number), path), Path("/near")))


def test_too_little_room_is_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1_200_000_000))
    with pytest.raises(PlaceError, match=r"1\.2 GB are free where .*\.venv is to lie, and 3 GB are needed"):
        place.refuse_without_room()


def test_a_clone_with_windows_line_endings_starts(project: Project, tmp_path: Path) -> None:
    source, clone = tmp_path / "source", tmp_path / "clone"
    shutil.copytree(project.root, source, ignore=shutil.ignore_patterns(".venv*"), symlinks=True)
    shutil.copy(ROOT / ".gitattributes", source)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, "-C", source, *command], check=True)
    subprocess.run([*git, "clone", "-q", "-c", "core.autocrlf=true", source, clone], check=True)
    assert not [name for name in STARTER if (clone / name).is_file() and b"\r" in (clone / name).read_bytes()]
    done = Project(clone, project.shelf).start("--help")
    assert (done.returncode, done.stderr) == (0, "")
