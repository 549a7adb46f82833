"""`tools/check` as it is typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from picks.check.command import main
from picks.check.rules import rules
from tests.picks.check import shelf

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = shelf.build(tmp_path)
    shelf.entry(root)
    monkeypatch.chdir(root)
    return root


def _refusal(arguments: list[str], root: Path, capsys: Captured) -> str:
    with pytest.raises(SystemExit) as left:
        main(arguments, root)
    assert left.value.code == 2
    return capsys.readouterr().err


def test_a_clean_base_exits_with_0(root: Path, capsys: Captured) -> None:
    assert main([], root) == 0
    assert capsys.readouterr().out == "2 files: no faults.\n"


def test_an_error_exits_with_1_and_is_counted(root: Path, capsys: Captured) -> None:
    shelf.entry(root, ("kind: analysis", "kind: analyses"), (", arithmetic", ""))
    assert main([], root) == 1
    first, second, empty, count = capsys.readouterr().out.splitlines()
    assert first.startswith("papers/2501.01234.yml:12:7 number-of-tags (hint): 1 tag – with one it is found")
    assert second.startswith("papers/2501.01234.yml:13:7 wrong-value: `kind`: 'analyses' is none of method, analysis")
    assert second.count(" – ") == 2
    assert empty == ""
    assert count.startswith("2 files: 1 error, 1 hint in 1 of them; tools/check --explain RULE")


def test_hints_do_not_fail(root: Path, capsys: Captured) -> None:
    shelf.entry(root, (", arithmetic", ""))
    assert main([], root) == 0
    assert "0 errors, 1 hint" in capsys.readouterr().out


def test_json_holds_every_fault(root: Path, capsys: Captured) -> None:
    shelf.entry(root, ("kind: analysis", "kind: analyses"))
    assert main(["--format", "json", "papers/2501.01234.yml"], root) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["files"], report["errors"], report["hints"]) == (1, 1, 0)
    [fault] = report["faults"]
    assert list(fault) == ["path", "line", "column", "rule", "what", "level", "why", "mend"]
    assert (fault["path"], fault["line"], fault["column"]) == ("papers/2501.01234.yml", 13, 7)


def test_github_gets_annotations_that_nothing_in_a_file_can_forge(root: Path, capsys: Captured) -> None:
    shelf.entry(root, ("kind: analysis", 'kind: "100%\\n::error::forged"'), (", arithmetic", ""))
    assert main(["--format", "github"], root) == 1
    hint, error, count = capsys.readouterr().out.splitlines()
    assert hint.startswith("::notice file=papers/2501.01234.yml,line=12,col=7,title=number-of-tags::1 tag – ")
    assert error.startswith("::error file=papers/2501.01234.yml,line=13,col=7,title=wrong-value::`kind`: '100%25")
    assert count == "2 files: 1 error, 1 hint in 1 of them"


def test_files_and_folders_are_taken_once_each(root: Path, capsys: Captured) -> None:
    assert main(["papers", "papers/2501.01234.yml", str(root / "papers")], root) == 0
    assert capsys.readouterr().out == "2 files: no faults.\n"


def test_what_is_not_there_is_refused_all_at_once(root: Path, capsys: Captured) -> None:
    assert "there is no 2501.9, no nowhere/" in _refusal(["2501.9", "papers", "nowhere/x"], root, capsys)


@pytest.mark.parametrize("name", ["_template.yml", "_schema.json", "empty"])
def test_what_holds_no_entries_is_refused(name: str, root: Path, capsys: Captured) -> None:
    path = root / "papers" / name
    path.mkdir() if name == "empty" else path.write_text("title: TODO\n")
    assert "there are no entries in papers/" in _refusal([f"papers/{name}"], root, capsys)


def test_a_link_to_nowhere_and_a_folder_among_the_entries_are_faults(root: Path, capsys: Captured) -> None:
    (root / "papers" / "2501.00002.yml").symlink_to("nowhere")
    (root / "papers" / "2501.00003.yml").mkdir()
    assert main([], root) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("papers/2501.00002.yml:1:1 symlink: ")
    assert lines[1].startswith("papers/2501.00003.yml:1:1 unreadable: is not a file")


def test_a_pipe_is_not_waited_for(root: Path, capsys: Captured) -> None:
    os.mkfifo(root / "papers" / "2501.00002.yml")
    assert main([], root) == 1
    assert "2501.00002.yml:1:1 unreadable: is not a file" in capsys.readouterr().out


def test_a_rule_is_explained(root: Path, capsys: Captured) -> None:
    assert main(["--explain", "unquoted-id"], root) == 0
    page = capsys.readouterr().out
    assert page.startswith("# unquoted-id\n\nAn arXiv id stands without quotes.\n\n**Why it matters.** YAML reads it")
    assert "**How to mend it.** Put it in quotes" in page
    assert "rules/traps.py" in page


def test_a_misspelt_rule_is_guessed_at(root: Path, capsys: Captured) -> None:
    assert "did you mean unquoted-id?" in _refusal(["--explain", "unqoted_id"], root, capsys)
    assert all(rule in _refusal(["--explain", "???"], root, capsys) for rule in rules())


def test_every_rule_has_a_page() -> None:
    from picks.check.pages import rule_pages

    pages = rule_pages()
    assert list(pages) == list(rules())
    for rule, page in pages.items():
        assert page.startswith(f"# {rule}\n\n")
        assert page.count("**Why it matters.**") == page.count("**How to mend it.**") == 1
