"""`tools/repro verify`: a verdict is a function of its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from picks.run import command
from picks.run.arguments import parse
from picks.run.command import ROOT
from picks.run.plan import make_plan
from picks.run.record import build_record, keep
from reproductions.common.files import sha256
from reproductions.common.metrics import share_of
from tests.fixtures import house

RECORDS = sorted(
    path for path in ROOT.glob("reproductions/*/results/*.json") if "schema" in json.loads(path.read_text())
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The kept record of a house, with a figure and data beside it."""
    plan = make_plan(house.build(tmp_path), parse(["coin_flips"]))
    run = tmp_path / "run"
    for name in ("toss.png", "toss.json"):
        run.mkdir(exist_ok=True)
        (run / name).write_bytes(b"[1]")
    reported: dict[str, Any] = {
        "metrics": [metric.to_json() for metric in (share_of("heads", 51, 60, (0.8, 0.9)), share_of("fair", 30, 60))],
        "figures": [{"name": "toss", "file": "toss.png", "alt": "a coin", "sha256": ""}],
        "data": [{"name": "toss", "file": "toss.json", "sha256": ""}],
    }
    built = build_record(plan, run, reported, "2026-01-01T00:00:00+00:00", 1.0)
    return keep(built, run, plan.reproduction.results)[0]


def verified(*paths: Path) -> int:
    return command.main(["verify", *map(str, paths)])


def change(record: Path, *keys: str | int, to: object) -> None:
    content = json.loads(record.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    assert place[keys[-1]] != to
    place[keys[-1]] = to
    record.write_text(json.dumps(content))


def test_a_record_follows_from_its_units(record, capsys):
    assert verified(record) == 0
    assert "3 verdicts and 2 numbers follow from the units" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keys", "to", "said"),
    [
        (("claims", 0, "verdict"), "opposite", "C1: its verdict is recorded as 'opposite', its numbers say 'holds'"),
        (("claims", 0, "value"), 0.95, "C1: its value"),
        (("claims", 0, "control"), 0.1, "C1: its control"),
        (("metrics", 0, "value"), 0.95, "heads: its value"),
        (("metrics", 0, "interval"), [0.9, 0.95], "heads: its interval"),
        (("metrics", 0, "units"), [31], "heads: its value"),
        (("metrics", 1, "units"), [51], "fair: its value"),
        (("claims", 0, "claim", "null"), 0.9, "C1: its verdict is recorded as 'holds', its numbers say 'cannot tell'"),
    ],
)
def test_a_number_or_verdict_that_was_changed_by_hand_is_found(record, keys, to, said, capsys):
    change(record, *keys, to=to)
    assert verified(record) == 3
    assert said in capsys.readouterr().err


def test_kept_numbers_can_be_judged_again_where_claims_have_changed(record, tmp_path, capsys):
    root = record.parents[3]
    claims = root / "reproductions" / "coin_flips" / "reproduction.yml"
    claims.write_text(claims.read_text().replace("null: 0.5", "null: 0.9"))
    assert command.main(["verify", "--judge-again", str(record)], root) == 0
    content = json.loads(record.read_text())
    assert (content["claims"][0]["verdict"], content["claims"][0]["claim"]["null"]) == ("cannot tell", 0.9)
    assert content["provenance"]["judged_again"]["claims_sha256"] == sha256(claims)
    claims.write_text(
        claims.read_text().replace("{heads: share", "{tails: share").replace("metric: heads", "metric: tails")
    )
    assert command.main(["verify", "--judge-again", str(record)], root) == 2
    assert "'tails', which the notebook did not report" in capsys.readouterr().err


def test_files_beside_a_record_are_those_that_were_recorded(record, capsys):
    (record.parent / "smollm2-135m.quick.toss.png").write_bytes(b"another")
    (record.parent / "smollm2-135m.quick.toss.json").unlink()
    assert verified(record) == 3
    said = capsys.readouterr().err
    assert "toss.png is not the file that was recorded" in said
    assert "toss.json is missing" in said


def test_what_belongs_to_a_record_is_passed_over(record, capsys):
    assert verified(record.with_name("smollm2-135m.quick.toss.json")) == 0
    assert "belongs to smollm2-135m.quick.json" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 1}', '{"schema": 2}'])
def test_what_is_no_record_is_refused(content, tmp_path, capsys):
    path = tmp_path / "other.json"
    path.write_text(content)
    assert verified(path) == 2
    assert str(path) in capsys.readouterr().err


def test_a_missing_file_is_said_in_one_line(tmp_path, capsys):
    assert verified(tmp_path / "none.json") == 2
    assert "none.json" in capsys.readouterr().err


def test_no_torch_is_needed(record):
    code = (
        "import sys; from picks.run.command import main\n"
        f"main(['verify', {str(record)!r}]); sys.exit('torch' in sys.modules)"
    )
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tools")))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={"PYTHONPATH": path})


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_record_of_ours_follows_from_its_units(path):
    assert verified(path) == 0
