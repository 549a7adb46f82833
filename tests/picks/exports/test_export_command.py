"""`tools/export`, as it is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from picks.exports.command import main
from picks.papers import load_papers

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["bibtex", "ris", "csl", "markdown", "json"])
def test_every_format_prints_the_paper_asked_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "https://arxiv.org/abs/2412.11965v2"], ROOT) == 0
    out = capsys.readouterr().out
    assert out.count("Inferring Functionality of Attention Heads") == 1
    assert "Patchscopes" not in out


def test_papers_come_as_they_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    main(["json", "2412.11965", "2309.16042"], ROOT)
    assert [paper["id"] for paper in json.loads(capsys.readouterr().out)["papers"]] == ["2412.11965", "2309.16042"]


def test_a_tag_chooses_its_papers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["json", "--tag", "circuits"], ROOT) == 0
    chosen = json.loads(capsys.readouterr().out)["papers"]
    assert [paper["id"] for paper in chosen] == [
        paper.id for paper in load_papers(ROOT).values() if "circuits" in paper.tags
    ]


def test_a_key_is_the_same_alone_and_in_company(capsys: pytest.CaptureFixture[str]) -> None:
    main(["bibtex"], ROOT)
    everything = capsys.readouterr().out
    main(["bibtex", "2402.00794"], ROOT)
    assert capsys.readouterr().out in everything


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["bibtex", "2412.11966"], "2412.11966 is not among the papers here: did you mean 2412.11965?"),
        (["bibtex", "../x"], "there is no paper '../x'"),
        (["bibtex", "--tag", "circuit"], "there is no tag 'circuit': did you mean circuits?"),
        (["bibtx"], "invalid choice"),
        ([], "FORMAT"),
    ],
)
def test_bad_input_is_refused_in_words(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(arguments, ROOT) == 2
    except SystemExit as stop:
        assert stop.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("tools/export: ")
    assert why in said.err


def test_a_broken_entry_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "papers").mkdir()
    shutil.copy(ROOT / "papers" / "_tags.yml", tmp_path / "papers")
    (tmp_path / "papers" / "2412.11965.yml").write_text("title: [", "utf8")
    assert main(["bibtex"], tmp_path) == 2
    assert "2412.11965.yml:2:1: " in capsys.readouterr().err


def test_a_reader_that_stops_early_hears_no_complaint() -> None:
    code = f"{sys.executable} -m picks.exports json | head -c 10"
    shown = subprocess.run(
        ["bash", "-c", code], capture_output=True, timeout=60, check=True, cwd=ROOT / "tools", env=dict(os.environ)
    )
    assert shown.stderr == b""
    assert len(shown.stdout) == 10
