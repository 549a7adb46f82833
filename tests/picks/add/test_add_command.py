"""`tools/add`, as it is used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from picks.add.command import main
from picks.add.entry_file import EntryFile
from tests.fixtures import house
from tests.picks.add.server import RECORDED, recorded
from tests.picks.add.test_add_collection import PAPERS, SLUG

CODE = Path(__file__).parents[3]
Answers = Callable[..., list[str]]
BIBTEX = str(RECORDED / "papers.bib")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(house.HOUSE / "papers", tmp_path / "papers")
    return tmp_path


def run(root: Path, *arguments: str) -> int:
    return main(arguments, root)


def listing(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "papers").iterdir()}


def test_an_entry_is_started_from_arxiv(root: Path, arxiv_answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    arxiv_answers(recorded("arxiv.xml"))
    assert run(root, "https://arxiv.org/pdf/2412.11965v2.pdf") == 0
    entry = EntryFile.load(root / "papers" / "2412.11965.yml")
    assert (entry.get("venue"), entry.get("published"), entry.get("tags")) == ("ACL 2025", "2024-12-16", ["TODO"])
    assert "tools/check papers/2412.11965.yml" in capsys.readouterr().out


def test_entries_are_started_from_bibtex_without_a_network(root: Path) -> None:
    assert run(root, "2408.05147", "2309.16042", "--bibtex", BIBTEX) == 0
    assert {"2408.05147.yml", "2309.16042.yml"} < set(listing(root))


def test_one_paper_that_cannot_be_started_does_not_stop_the_others(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(root)  # the house has 2501.08319, and so has the file
    assert run(root, "--bibtex", BIBTEX) == 2
    assert {name: content for name, content in listing(root).items() if name in before} == before
    assert len(listing(root)) > len(before) + 4
    assert capsys.readouterr().err == (
        "tools/add: papers/2501.08319.yml exists; to bring its facts up to date, use --update\n"
    )


def test_a_paper_that_is_given_twice_is_started_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "2408.05147", "lieberum2024gemmascope", "--bibtex", BIBTEX) == 2
    assert capsys.readouterr().err == "tools/add: 2408.05147 is given twice; the first is kept\n"
    assert "2408.05147.yml" in listing(root)


def test_what_is_to_be_written_is_listed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "2408.05147", "--bibtex", BIBTEX) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Still to be written, by line:"
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert all(
        f"  {key} " in text for key in ("authors", "summary", "finding", "why", "tags", "kind", "models", "read")
    )
    assert "the authors after these" in text


def test_the_day_on_which_it_was_added_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picks.add.files.today", lambda: date(2025, 2, 3))
    run(root, "2408.05147", "--bibtex", BIBTEX)
    assert EntryFile.load(root / "papers" / "2408.05147.yml").get("picked") == "2025-02-03"


def test_nothing_is_fetched_for_an_entry_that_exists(
    root: Path, arxiv_answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = arxiv_answers(recorded("arxiv.xml"))
    assert run(root, "2501.08319") == 2
    assert asked == []
    assert "--update" in capsys.readouterr().err


def test_an_update_shows_what_changes_and_keeps_the_rest(
    root: Path, arxiv_answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "papers" / "2412.11965.yml"
    path.write_text(
        "title: An older title  # of v1\nauthors:\n  - Amit Elhelo\n  - Mor Geva\nwhy: ours\nbuilds_on: {}\n", "utf8"
    )
    arxiv_answers(recorded("arxiv.xml"))
    assert run(root, "2412.11965", "--update") == 0
    out = capsys.readouterr().out
    assert "-title: An older title  # of v1\n+title: Inferring Functionality" in out
    assert "+titles:\n+  - An older title" in out
    assert "+venue: ACL 2025" in out
    assert "why: ours\n" in path.read_text("utf8")
    assert "  # of v1\n" in path.read_text("utf8")
    assert run(root, "2412.11965", "--update") == 0
    assert capsys.readouterr().out == "papers/2412.11965.yml: nothing new\n"


def test_what_is_missing_from_a_collection_is_listed_and_then_started(
    root: Path, arxiv_answers: Answers, hub_answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    arxiv_answers(recorded("arxiv.xml"))
    hub_answers(**{f"/api/collections/{SLUG}": recorded("collection.json")}, **PAPERS)
    before = listing(root)
    assert run(root, "--collection", SLUG) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2405.00208  A Primer on the Inner Workings  (pick 3)",
        "2412.11965  Inferring Functionality  (pick 4)",
        "2 missing here; add --write to start their entries",
    ]
    assert listing(root) == before

    assert run(root, "--collection", SLUG, "--write") == 0
    assert EntryFile.load(root / "papers" / "2405.00208.yml").get("collection") == {"order": "3", "upvotes": "10"}
    capsys.readouterr()
    assert run(root, "--collection", SLUG) == 0
    assert capsys.readouterr().out == f"nothing of {SLUG} is missing here\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "which paper?"),
        (("hello",), "neither an arXiv id"),
        (("2412.1",), "neither an arXiv id"),
        (("2413.00001",), "neither an arXiv id"),
        (("../../etc/passwd",), "neither an arXiv id"),
        (("\x1b[31m",), "neither an arXiv id"),
        (("10.18653/v1/2025.acl-long.866",), "--bibtex FILE"),
        (("2025.acl-long.866",), "--bibtex FILE"),
        (("lw-some-post",), "--bibtex FILE"),
        (("2412.11965",), "arXiv cannot be reached"),
        (("2412.11965", "--update"), "does not exist"),
        (("--write", "2412.11965"), "--write belongs to --collection"),
        (("--collection", "a/b", "2412.11965"), "stands alone"),
        (("--collection", "nonsense"), "OWNER/SLUG"),
        (("--collection", "a/b"), "cannot be reached"),
        (("--bibtex", "none.bib"), "cannot be read"),
        (("2412.00009", "--bibtex", BIBTEX), "has no entry"),
        (("https://example.org",), "neither an arXiv id"),
        (("https://192.168.0.1/a",), "neither an arXiv id"),
        (("http://distill.pub/2020/a",), "neither an arXiv id"),
        (("javascript:alert(1)",), "neither an arXiv id"),
        (("--updte",), "unrecognized"),
    ],
)
def test_bad_input_is_refused_in_words(
    arguments: tuple[str, ...], why: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(root)
    try:
        assert run(root, *arguments) == 2
    except SystemExit as stop:
        assert stop.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err
    assert said.err.startswith("tools/add: ")
    assert said.err.replace("\n", "").isprintable()
    assert listing(root) == before


def test_help_names_every_option_at_once() -> None:
    command = [sys.executable, "-m", "picks.add", "--help"]
    shown = subprocess.run(command, cwd=CODE / "tools", capture_output=True, text=True, timeout=60, check=True)
    assert all(option in shown.stdout for option in ("--bibtex", "--update", "--collection", "--write"))
