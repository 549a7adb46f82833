"""CONTRIBUTING.md tells how to write a claim as `reproduction.yml` is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from picks.run.command import ROOT
from reproductions.common.claims import load_claims
from reproductions.common.schema import SCHEMAS

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
SCHEMA = json.loads((SCHEMAS / "reproduction.json").read_text(encoding="utf8"))
KEYS = set(SCHEMA["properties"]["claims"]["items"]["properties"])
PLAIN = {"id", "scale", "figure"}  # shown in the example, and plain from it


def test_the_example_is_a_claim(tmp_path: Path) -> None:
    example, found = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "reproduction.yml"
    around = 'paper: "2412.11965"\nmodels: [smollm2-135m]\ndeadline: {quick: 60, full: 120}\nparameters: {}\n'
    path.write_text(around + found + example, encoding="utf8")
    (claim,) = load_claims(path).claims
    (sentence,) = load_claims(path).found
    assert sentence.verdicts == {claim.id: "holds"}
    typical = claim.paper.typical
    assert typical is not None and typical > claim.null
    assert {key for key, value in vars(claim).items() if value} >= PLAIN


def test_every_key_of_a_claim_is_explained() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", TEXT, re.MULTILINE)
    explained = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    mentioned = set(re.findall(r"`(\w+)(?::[^`]*)?`", TEXT))
    assert KEYS - PLAIN - mentioned == set()
    assert explained <= KEYS
