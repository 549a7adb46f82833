"""Every reproduction still says what was recorded of it: its quick profile, on its default model, run for real."""

import ast
import json
from collections.abc import Iterator

import pytest

from picks import record, repro
from picks.parameters import load_schema, notebook_faults
from picks.repro import ROOT
from picks.reproductions import Reproduction, load_all
from reproductions.common.claims import load_claims
from reproductions.common.steps import NAME

REPRODUCTIONS = {found.name: found for found in load_all(ROOT)}


@pytest.fixture(params=REPRODUCTIONS)
def reproduction(request) -> Reproduction:
    return REPRODUCTIONS[request.param]


def test_the_notebooks_parameters_are_the_quick_profile(reproduction):
    assert notebook_faults(load_schema(reproduction.parameters), reproduction.notebook) == []


def test_notebooks_are_committed_without_outputs(reproduction):
    cells = json.loads(reproduction.notebook.read_text(encoding="utf8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def _step_names(reproduction: Reproduction) -> Iterator[str]:
    """What a notebook calls its steps; what a name is formatted with is left out."""
    cells = json.loads(reproduction.notebook.read_text(encoding="utf8"))["cells"]
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                yield "".join(part.value for part in parts if isinstance(part, ast.Constant))


def test_expensive_parts_are_steps_under_names_that_a_file_can_have(reproduction):
    names = list(_step_names(reproduction))
    assert names
    assert [name for name in names if not NAME.fullmatch(name)] == []
    assert len(set(names)) == len(names)


@pytest.mark.notebook
@pytest.mark.model
def test_the_quick_profile_finds_what_was_recorded(reproduction, tmp_path):
    assert repro.main([reproduction.name, "--out", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf8"))
    recorded = record.recorded(reproduction, found["model"]["name"], "quick")
    assert recorded is not None, f"record it: tools/repro {reproduction.name} --record"
    assert record.comparable(found, recorded)
    changes = record.compare(found, recorded, load_claims(reproduction.claims).metrics)
    drifted = [change for change in changes if change.fell or not change.subject.startswith("claim ")]
    assert drifted == []
