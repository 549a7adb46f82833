"""Systems solved together, with more threads than one; and that nobody hands batches to what is wrong with them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

import reproductions
from reproductions.common.linear_systems import solved

LU = {"solve", "inv", "lu", "lu_factor", "lu_solve", "inverse"}
ONE_BY_ONE = {"common/regression.py": 1, "mamba_rome/method.py": 1}  # single matrices


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [3, 200, 257])
def test_each_system_is_solved_whatever_the_threads(rows, two_threads):
    generator = torch.Generator().manual_seed(0)
    half, right = (torch.randn(24, rows, n, generator=generator) for n in (2 * rows, 1))
    positive = half @ half.mT / rows + torch.eye(rows)
    x = solved(positive, right[..., 0])
    torch.testing.assert_close(positive @ x[..., None], right, atol=1e-4, rtol=1e-4)


def test_batches_are_solved_here_alone():
    root = Path(reproductions.__file__).parent
    found = {}
    for path in root.rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf8"))) if isinstance(node, ast.Call)]
        said = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in LU]
        if own := [call for call in said if call.startswith("torch.") or call.endswith(".inverse")]:
            found[path.relative_to(root).as_posix()] = len(own)
    assert found == ONE_BY_ONE
