"""A report for networks that a notebook trains itself: without a model, and on one thread."""

from pathlib import Path

import pytest
import torch

from reproductions.common import notebook
from reproductions.common.claims import load_claims
from tests.fixtures import house

CLAIMS = house.HOUSE / "reproductions" / house.NAME / "reproduction.yml"


def test_a_workbench_needs_no_model_and_computes_on_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "load_claims", lambda _: load_claims(CLAIMS))
    monkeypatch.setattr(notebook, "load_model", lambda *_: pytest.fail("loaded"))
    before = torch.get_num_threads()
    try:
        report = notebook.workbench(house.NAME, str(tmp_path))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert report.machine["device"] == "cpu"
    assert report.machine["weights_sha256"] is None
