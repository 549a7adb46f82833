"""What makes a record stale and what does not, on a fabricated house and on every real reproduction."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from picks.run.command import ROOT
from picks.run.dependence import dependence
from picks.run.reproductions import find, load_all
from reproductions.common.catalogue import model_card
from tests.fixtures import house

MODEL = model_card("smollm2-135m")
METHOD = '''"""What it does."""

import math  # for pi

from reproductions.coin_flips.figures import draw

RATE = 0.5


def share(n):
    """Half of it."""
    return n * RATE
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A house whose notebook takes a method, which takes two modules more and a file of data."""
    root = house.build(tmp_path, "from reproductions.coin_flips.method import share\nimport reproductions.common.coins")
    folder = root / "reproductions" / house.NAME
    (folder / "method.py").write_text(METHOD)
    (folder / "figures.py").write_text("COLOUR = 'red'\nfrom reproductions.coin_flips import hidden")
    (folder / "hidden.py").write_text("X = 1")
    (folder / "unused.py").write_text("X = 1")
    common = root / "reproductions" / "common"
    common.mkdir(exist_ok=True)
    (common / "coins.py").write_text("from reproductions.common import mint\nFILE = 'coins.jsonl'")
    (common / "mint.py").write_text("YEAR = 1999")
    (common / "coins.jsonl").write_text("{}")
    (common / "other.jsonl").write_text("{}")
    return root


def parts(root: Path, **values: object) -> dict[str, str]:
    return dependence(find(root, house.NAME), MODEL, values)


def changed_by(root: Path, path: str, content: str) -> set[str]:
    """The parts that differ once a file has this content."""
    before = parts(root)
    file = root / "reproductions" / path
    file.write_text(content)
    after = parts(root)
    return {part for part in before | after if before.get(part) != after.get(part)}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("coin_flips/method.py", METHOD.replace("0.5", "0.25")),
        ("coin_flips/method.py", METHOD.replace("n * RATE", "n + RATE")),
        ("common/coins.py", "from reproductions.common import mint\nFILE = 'other.jsonl'"),
        ("common/mint.py", "YEAR = 2000"),
        ("common/coins.jsonl", '{"heads": 1}'),
        ("coin_flips/tosses.txt", "HTHT"),
    ],
)
def test_a_change_that_may_change_a_number_is_seen(root: Path, path: str, content: str) -> None:
    assert f"reproductions/{path}" in changed_by(root, path, content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("coin_flips/method.py", METHOD.replace("Half of it", "A half").replace("# for pi", "")),
        ("coin_flips/method.py", METHOD.replace("\n\n", "\n\n\n").replace('"""What it does."""', "")),
        ("coin_flips/figures.py", "COLOUR = 'blue'"),
        ("coin_flips/hidden.py", "X = 2"),
        ("coin_flips/unused.py", "X = 2"),
        ("coin_flips/notes.md", "# Notes"),
        ("common/other.jsonl", '{"heads": 1}'),
    ],
)
def test_words_pictures_and_what_is_not_reached_are_free(root: Path, path: str, content: str) -> None:
    assert changed_by(root, path, content) == set()


def test_the_notebooks_code_counts_and_its_text_does_not(root: Path) -> None:
    before = parts(root)
    notebook = json.loads(house.notebook_path(root).read_text())
    notebook["cells"][0]["source"] = "# Other words"
    house.notebook_path(root).write_text(json.dumps(notebook))
    assert parts(root) == before
    notebook["cells"][-1]["source"] += "\nx = 1"
    house.notebook_path(root).write_text(json.dumps(notebook))
    assert {part for part, digest in parts(root).items() if before[part] != digest} == {"the notebook"}


def test_a_cell_that_is_no_python_counts_by_its_text(root: Path) -> None:
    hashes = set()
    for magic in ("%time x", "%time y"):
        house.notebook_path(root).write_text(json.dumps(house.notebook(["x = 1", magic])))
        hashes.add(parts(root)["the notebook"])
    assert len(hashes) == 2


def test_parameters_model_and_packages_count(root: Path) -> None:
    (root / "requirements.lock").write_text("torch==2.0.0 ; x\nrich==1.0\n")
    before = parts(root, n=1)
    assert {part for part, digest in parts(root, n=2).items() if digest != before[part]} == {"the profile's parameters"}
    (root / "requirements.lock").write_text("torch==2.0.0\nrich==2.0\n")
    assert parts(root, n=1) == before
    (root / "requirements.lock").write_text("torch==2.0.1\nrich==2.0\n")
    assert {part for part, digest in parts(root, n=1).items() if digest != before[part]} == {"the numeric packages"}
    other = dependence(find(root, house.NAME), model_card("gemma3-270m"), {"n": 1})
    assert other["the model"] != before["the model"]


@pytest.mark.parametrize("reproduction", load_all(ROOT), ids=lambda found: found.name)
def test_nothing_left_out_hands_a_number_to_a_notebook(reproduction) -> None:
    """Of figures, which alone are called in a reproduction's own folder, only drawings and their titles are used."""
    cells = json.loads(reproduction.notebook.read_text())["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == "figures"}  # fmt: skip
    assert {name for name in used if not name.islower()} <= {"MODULES", "TITLES"}


@pytest.mark.parametrize("reproduction", load_all(ROOT), ids=lambda found: found.name)
def test_every_module_that_a_real_notebook_imports_by_name_is_reached(reproduction) -> None:
    """Against what the imports of its own folder say, read apart from the code under test."""
    found = dependence(reproduction, MODEL, {})
    left_out = {"figures.py"}
    own = {str(path.relative_to(ROOT)) for path in reproduction.folder.glob("*.py") if path.name not in left_out}
    assert own <= set(found)
    assert any(part.endswith("common/models.py") for part in found)
    for part in found:
        if part.endswith(".py"):
            ast.parse((ROOT / part).read_text())
