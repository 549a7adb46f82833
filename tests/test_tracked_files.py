"""What everyone clones stays small: a package that was fetched, or a run that was kept, is not part of the project."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from picks.environment import ROOT

MIB = 1024 * 1024
FETCHED = {".whl", ".gz", ".zip", ".pt", ".pkl", ".bin", ".gguf"}


def _tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone, so git cannot say what belongs to it")
    return (path for name in filter(None, listed.stdout.split("\0")) if (path := ROOT / name).is_file())


def test_no_file_is_over_8_mib_and_all_are_under_96() -> None:
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in _tracked()}
    assert {str(path): size for path, size in sizes.items() if size > 8 * MIB} == {}
    assert sum(sizes.values()) < 96 * MIB


def test_nothing_that_was_fetched_is_tracked() -> None:
    assert [str(path) for path in _tracked() if path.suffix in FETCHED] == []
