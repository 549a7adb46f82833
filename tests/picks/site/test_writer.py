"""Keeping a folder in step."""

from __future__ import annotations

from pathlib import Path

from picks.site.writer import synchronise


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_to_hold_exactly_the_files(tmp_path: Path) -> None:
    synchronise(tmp_path, {"old/gone.md": b"1", "stays.md": b"2", "changes.md": b"3"})
    wanted = {"stays.md": b"2", "changes.md": b"4", "new/deep/page.md": b"5"}
    assert synchronise(tmp_path, wanted) == (2, 1)
    assert _content(tmp_path) == wanted
    assert not (tmp_path / "old").exists()


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    files = {"a.md": b"1", "b/c.md": b"2"}
    synchronise(tmp_path, files)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert synchronise(tmp_path, files) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
