"""What every notebook begins with: a model, and a report for what is found on it."""

from __future__ import annotations

from pathlib import Path

import torch
from transformer_lens.model_bridge import TransformerBridge

from reproductions.common import dictionaries
from reproductions.common.claims import Claims, load_claims
from reproductions.common.models import load_model, machine
from reproductions.common.report import Report


def bench(
    name: str, model: str, device: str = "auto", out: str = "", profile: str = "quick"
) -> tuple[TransformerBridge, Report]:
    """The model, and the report of the reproduction `name`, which judges by the claims of its `reproduction.yml`.

    out: where the report is written; empty for a fresh temporary folder.

    Raises:
        ClaimError: there is no such reproduction, or its file is not as it must be.
        ModelError: the model cannot be had.
    """
    claims = _claims(name)
    if out:
        dictionaries.take_up(Path(out))
    lm = load_model(model, device)
    return lm, Report(out, claims, profile, machine(lm))


def workbench(name: str, out: str = "", profile: str = "quick") -> Report:
    """The report of a reproduction that trains networks of its own, on one thread: they come out the same every time.

    Raises:
        ClaimError: there is no such reproduction, or its file is not as it must be.
    """
    torch.set_num_threads(1)
    return Report(out, _claims(name), profile, machine())


def _claims(name: str) -> Claims:
    return load_claims(Path(__file__).parents[1] / name / "reproduction.yml")
