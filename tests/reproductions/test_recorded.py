"""Every reproduction still says what was recorded of it: its quick profile, on its default model, run for real."""

import ast
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest

from picks.run import command, record
from picks.run.command import ROOT
from picks.run.due import Budget, Due, in_turn
from picks.run.parameters import load_schema
from picks.run.reproductions import Reproduction, load_all
from picks.run.staleness import why_stale
from reproductions.common.claims import load_claims
from reproductions.common.steps import NAME
from tests.conftest import BUDGET

REPRODUCTIONS = {found.name: found for found in load_all(ROOT)}
MOST_BYTES = 600 * 1024  # of a model's results
LARGER = {  # which are to be cut
    "feature_flow": 1000 * 1024,  # a graph of 455 nodes and eight figures
    "induction_clamping": 700 * 1024,  # curves of five networks under each of nine clamps
}


@pytest.fixture(params=REPRODUCTIONS)
def reproduction(request) -> Reproduction:
    return REPRODUCTIONS[request.param]


def test_what_it_declares_can_be_read(reproduction):
    assert load_claims(reproduction.file).claims
    assert load_schema(reproduction.file).parameters


def test_notebooks_are_committed_without_outputs(reproduction):
    cells = json.loads(reproduction.notebook.read_text(encoding="utf8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def _step_names(reproduction: Reproduction) -> Iterator[str]:
    """What a notebook calls its steps, alone or side by side; what a name is formatted with is left out."""
    cells = json.loads(reproduction.notebook.read_text(encoding="utf8"))["cells"]
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        tree = ast.parse(source)
        assigned = {ast.unparse(node.targets[0]): node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for name in _named(node.func.attr, node.args, assigned):
                    parts = name.values if isinstance(name, ast.JoinedStr) else [name]
                    yield "".join(part.value for part in parts if isinstance(part, ast.Constant))


def _named(method: str, arguments: list[ast.expr], assigned: dict[str, ast.expr]) -> list[ast.expr]:
    """The names in a call of `step`, or of `steps` with a dict or a comprehension of one, given or assigned before."""
    return _keys(arguments[0], assigned) if method == "steps" else arguments[:1] if method == "step" else []


def _keys(given: ast.expr, assigned: dict[str, ast.expr]) -> list[ast.expr]:
    """The keys of a dict, of two that are joined, or of a comprehension, which may take them from another dict."""
    match given:
        case ast.Name():
            return _keys(assigned[given.id], assigned)
        case ast.BinOp():
            return _keys(given.left, assigned) + _keys(given.right, assigned)
        case ast.DictComp(
            key=ast.Name(), generators=[ast.comprehension(iter=ast.Call(func=ast.Attribute(value=other)))]
        ):
            return _keys(other, assigned)
        case ast.DictComp():
            return [given.key]
    return given.keys


def test_expensive_parts_are_steps_under_names_that_a_file_can_have(reproduction):
    names = list(_step_names(reproduction))
    assert names
    assert [name for name in names if not NAME.fullmatch(name)] == []
    assert len(set(names)) == len(names)


def test_results_stay_small(reproduction):
    """Of each model together, in the repository that everyone clones; pictures of before go when a run is recorded."""
    sizes = Counter()
    for path in reproduction.results.glob("*"):
        sizes[path.name.partition(".")[0]] += path.stat().st_size if path.suffix != ".png" else 0
    most = LARGER.get(reproduction.name, MOST_BYTES)
    assert {model: size for model, size in sizes.items() if size > most} == {}


def _due(reproduction: Reproduction) -> Due:
    """The quick run on the default model; one that was never recorded is stale."""
    found = record.recorded(reproduction, load_schema(reproduction.file).models[0], "quick")
    if found is None:
        return Due(reproduction.name, stale=True, seconds=0.0)
    return Due(reproduction.name, bool(why_stale(reproduction, found)), found["provenance"]["wall_s"])


@pytest.fixture(scope="session")
def budget(request) -> Budget:
    return Budget(60 * request.config.getoption(BUDGET))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "due" in metafunc.fixturenames:
        runs = in_turn([_due(found) for found in REPRODUCTIONS.values()], date.today())
        metafunc.parametrize("due", runs, ids=[run.name for run in runs])


@pytest.mark.notebook
@pytest.mark.model
def test_the_quick_profile_finds_what_was_recorded(due, budget, tmp_path):
    if not budget.allows(due):
        word = "stale, and not" if due.stale else "not"
        pytest.skip(f"{due.name} was {word} run again: the time for notebooks is spent ({BUDGET} gives more)")
    begun = time.monotonic()
    reproduction = REPRODUCTIONS[due.name]
    assert command.main([reproduction.name, "--out", str(tmp_path / "run"), "--json"]) == 0
    budget.pay(due, time.monotonic() - begun)
    found = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf8"))
    recorded = record.recorded(reproduction, found["model"]["name"], "quick")
    assert recorded is not None, f"record it: tools/repro {reproduction.name} --record"
    assert record.comparable(found, recorded)
    changes = record.compare(found, recorded, load_claims(reproduction.file).metrics)
    drifted = [change for change in changes if change.fell or not change.subject.startswith("claim ")]
    assert drifted == []
