"""`tools/pick`, as a curator uses it: again and again, until nothing is left to do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from picks.pick.command import main
from tests.fixtures import house
from tests.picks.add.server import RECORDED

BIBTEX = str(RECORDED / "papers.bib")
TAGS = Path(__file__).parents[3] / "papers" / "_tags.yml"
Captured = pytest.CaptureFixture[str]

SUMMARY = """\
  Curators pick one paper a day, and nobody had asked how often they forget a line of what they should write. Here
  forty of them were watched for a month, each with a list and without one, in an order that was drawn. With the list
  three lines in a hundred stayed open; without it, there were eleven of them."""
WRITTEN = {
    "  TODO – what was asked, what was done and what was found, in two to five sentences of your own, with the\n"
    "  numbers that matter": SUMMARY,
    "TODO – the main result in one sentence, with its number and where it stands (Table 2)": "A list saves 8 of 11.",
    "TODO – in one line, why somebody should read this": "It is the shortest study of lists.",
    "tags: [TODO]": "tags: [evaluation, tools]",
    "kind: TODO": "kind: analysis",
    "models: [TODO]": "models: []",
    "data: [TODO]": "data: []",
    "TODO – what you read, and how much of it, like arXiv v2": "arXiv v1",
    "TODO – in one line, why there is no notebook, or that one is planned": "a study of people",
}
FACTS = {"TODO – the day of the first version, like 2024-12-16": "2023-09-27", "category: TODO": "category: cs.LG"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(house.HOUSE / "papers", tmp_path / "papers")
    shutil.copy(TAGS, tmp_path / "papers")
    return tmp_path


def pick(root: Path, *arguments: str) -> int:
    return main([*arguments, "--no-page"], root)


def write(root: Path, name: str, todos: Mapping[str, str] = MappingProxyType(WRITTEN)) -> None:
    path = root / "papers" / f"{name}.yml"
    text = path.read_text("utf8")
    for todo, done in todos.items():
        assert todo in text
        text = text.replace(todo, done)
    path.write_text(text, "utf8")


def test_a_pick_is_started_then_written_then_announced(root: Path, capsys: Captured) -> None:
    assert pick(root, "2309.16042", "--bibtex", BIBTEX) == 1
    started = capsys.readouterr().out
    assert started.startswith("papers/2309.16042.yml: started – Towards Best Practices")
    assert "  summary " in started and "`builds_on`" in started

    write(root, "2309.16042")
    write(root, "2309.16042", FACTS)
    assert pick(root, "https://arxiv.org/abs/2309.16042v2") == 0
    ready = capsys.readouterr().out
    assert "🔍 Today's pick in Interpretability & Analysis of LMs" in ready
    assert "--- Bluesky, at most 300 characters" in ready


def test_what_is_wrong_with_what_was_written_is_told(root: Path, capsys: Captured) -> None:
    pick(root, "2309.16042", "--bibtex", BIBTEX)
    write(root, "2309.16042")
    path = root / "papers" / "2309.16042.yml"
    path.write_text(path.read_text("utf8").replace("tags: [evaluation, tools]", "tags: [evaluations]"), "utf8")
    capsys.readouterr()
    assert pick(root, "2309.16042") == 1
    told = capsys.readouterr().out
    assert "unknown-tag: 'evaluations': did you mean evaluation?" in told
    assert "published  " in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("hello",), "neither an arXiv id"),
        (("2404.00001",), "arXiv cannot be reached"),
        (("2404.00001", "--bibtex", BIBTEX), "has no entry"),
        (("https://[x",), "neither an arXiv id"),
    ],
)
def test_what_cannot_be_picked_is_said(
    arguments: tuple[str, ...], why: str, root: Path, capsys: Captured, no_network: None
) -> None:
    assert pick(root, *arguments) == 2
    said = capsys.readouterr()
    assert why in said.err and said.err.startswith("tools/pick: ")
    assert said.out == ""
