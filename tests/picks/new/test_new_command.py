"""`tools/new` gives a reproduction that runs, is checked and tested as it is, and refuses what cannot be one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from picks.new.command import main
from picks.run.command import ROOT
from picks.run.reproductions import find
from reproductions.common.claims import load_claims
from tests.fixtures import house

PAPER = "2501.08319"
ENTRY = f"papers/{PAPER}.yml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return house.build(tmp_path)


def test_a_reproduction_and_its_paper_name_each_other(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dice_memory", "--paper", PAPER], root) == 0
    said = capsys.readouterr().out
    assert find(root, PAPER).name == find(root, "dice_memory").name == "dice_memory"
    (claim,) = load_claims(root / "reproductions" / "dice_memory" / "reproduction.yml").claims
    assert claim.metric
    files = {"__init__.py", "method.py", "notebook.ipynb", "reproduction.yml"}
    assert {path.name for path in (root / "reproductions" / "dice_memory").iterdir()} == files
    assert all(f"reproductions/dice_memory/{name}\n" in said for name in files)
    assert "tools/repro dice_memory" in said
    texts = [path.read_text() for path in (root / "reproductions" / "dice_memory").iterdir()]
    assert not any(re.search("@[A-Z]+@", text) for text in texts)


@pytest.mark.parametrize("reason", ["planned", ">-\n  for now\n  planned", "|\n  a\n\n  b"])
def test_a_reason_for_having_none_goes_whatever_its_lines_are(root: Path, reason: str) -> None:
    entry = root / ENTRY
    before, _, _ = entry.read_text().partition("not_reproduced:")
    entry.write_text(f"{before}not_reproduced: {reason}\nbuilds_on: []\n".replace("builds_on: []\n", "", 1))
    assert main(["dice_memory", "--paper", PAPER], root) == 0
    assert entry.read_text().startswith(before.replace("builds_on: []\n", "", 1) + "reproduction: dice_memory\n")
    assert find(root, PAPER).name == "dice_memory"


@pytest.mark.parametrize(
    ("name", "paper", "why"),
    [
        ("Dice", PAPER, "'Dice' cannot name a reproduction"),
        ("../dice", PAPER, "cannot name a reproduction"),
        ("class", PAPER, "cannot name a reproduction"),
        ("coin_flips", PAPER, "coin_flips is there already"),
        ("dice", "2501.08318", "2501.08318 is not among the papers here: did you mean"),
        ("dice", "2501.08310", "2501.08310 has a reproduction, coin_flips"),
    ],
)
def test_what_cannot_be_started_is_refused(
    name: str, paper: str, why: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(root.rglob("*"))
    assert main([name, "--paper", paper], root) == 2
    assert why in capsys.readouterr().err
    assert sorted(root.rglob("*")) == before


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project in which a reproduction was started."""
    root = tmp_path_factory.mktemp("project")
    for name in ("reproductions", "tools", "tests/common", "papers"):
        skipped = shutil.ignore_patterns("results", "__pycache__", "test_*")
        shutil.copytree(ROOT / name, root / name, ignore=skipped)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    entry = next(path for path in sorted((root / "papers").glob("2*.yml")) if "not_reproduced" in path.read_text())
    assert main(["first_try", "--paper", entry.stem], root) == 0
    return root


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tools")])}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_what_is_started_is_clean_and_its_test_passes(project: Path) -> None:
    folders = ("reproductions/first_try", "tests/first_try")
    for check in (("ruff", "check"), ("ruff", "format", "--check")):
        done = _run(project, *check, *folders)
        assert done.returncode == 0, done.stdout
    done = _run(project, "pytest", "-q", "tests/first_try")
    assert done.returncode == 0, done.stdout


@pytest.mark.model
def test_what_is_started_runs(project: Path) -> None:
    done = _run(project, "picks.run", "first_try")
    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout or "cannot tell" in done.stdout
