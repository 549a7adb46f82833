"""What is said of places that cannot be used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from picks.places import WRONG, PlaceError, place_error, told_number, usable


@pytest.mark.parametrize("number", WRONG)
def test_a_refusal_is_one_sentence_with_place_and_way_out(number: int) -> None:
    error = place_error(OSError(number, os.strerror(number)), Path("/a/place"), "name another")
    assert str(error).startswith("/a/place: ")
    assert str(error).endswith(", or name another")
    assert "\n" not in str(error)
    assert error.exit_code == 74


def test_the_file_that_was_refused_is_the_place() -> None:
    error = place_error(OSError(errno.EROFS, "Read-only file system", "/a/place/file"), Path("/a/place"), "x")
    assert str(error).startswith("/a/place/file: this place can only be read")


def test_any_refusal_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="No such file or directory"), usable(tmp_path, "name another"):
        (tmp_path / "none" / "file").write_text("")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("[Errno 28] No space left on device: '/x'", 28),
        ("I/O error: No space left on device (os error 28)", 28),
        ("division by zero", None),
    ],
)
def test_a_number_is_found_in_python_s_words_and_rust_s(text: str, number: int | None) -> None:
    assert told_number(text) == number
