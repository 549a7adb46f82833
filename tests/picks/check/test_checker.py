"""Checking files: everything at once, in order, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.check.checker import check, display
from tests.picks.check import shelf

TWENTY = """\
1:8 latex
2:11 author-et-al
2:26 author-order
2:42 author-marks
3:12 date-against-id
3:12 unquoted-date
4:9 picked-before-published
5:1 unknown-key
6:10 todo
8:6 unquoted-boolean
9:7 number-of-tags
9:8 unknown-tag
10:7 wrong-value
11:1 duplicate-key
12:6 wrong-value
14:9 link-scheme
15:14 link-host
16:12 link-form
19:10 thread-host
22:21 unquoted-octal
22:34 unquoted-sexagesimal
23:15 unquoted-id
24:13 cycle
24:36 unknown-paper
27:15 no-such-reproduction"""


def test_a_file_with_twenty_faults_has_all_of_them_told_in_order(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "twenty_faults")
    assert "\n".join(shelf.found(root)) == TWENTY


def test_circles_are_told_from_ways_into_them(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    ways = {1: [2], 2: [3], 3: [4, 5], 4: [2], 5: [], 6: [6]}
    for paper, below in ways.items():
        named = ", ".join(f'"2501.0000{other}": uses it' for other in below)
        shelf.entry(root, ("builds_on: {}", f"builds_on: {{{named}}}"), name=f"2501.0000{paper}.yml")
    told = [fault.what.replace("2501.0000", "") for fault in shelf.faults(root) if fault.rule == "cycle"]
    assert told == [
        "2 builds on 3 builds on 4 builds on 2", "3 builds on 4 builds on 2 builds on 3",
        "4 builds on 2 builds on 3 builds on 4", "6 builds on 6",
    ]  # fmt: skip


def test_a_fault_says_where_what_why_and_how_to_mend_it(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    path = shelf.entry(root, ("threads:", "thread:"))
    [fault] = shelf.faults(root)
    assert (fault.path, fault.position.line, fault.position.column) == (str(path), 21, 1)
    assert fault.what == "'thread': did you mean threads?"
    assert fault.why.startswith("nothing reads it")
    assert fault.mend.startswith("keys here are title, titles, authors,")


def test_one_file_is_held_against_all_but_only_its_own_faults_are_told(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "invalid" / "copied-text")
    first, second = sorted((root / "papers").glob("2*.yml"))
    found = check(root, [second])
    assert [fault.rule for fault in found] == ["copied-text"]
    assert found[0].path == str(second)
    assert first.name.removesuffix(".yml") in found[0].what
    assert found[0].position.line == 9  # in the midst of the folded summary, where the words are


def test_a_file_from_elsewhere_is_checked_among_the_others(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    inside = shelf.entry(root)
    outside = tmp_path / inside.name
    outside.write_bytes(inside.read_bytes())
    assert "same-id" in {fault.rule for fault in check(root, [outside])}
    assert check(root, [inside]) == []


def test_a_name_with_a_turn_in_it_is_the_same_file(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    path = shelf.entry(root)
    assert check(root, [path.parent / ".." / "papers" / path.name]) == []


def test_faults_stop_being_told_one_by_one_after_fifty(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root, ("tags: [attention heads", f"tags: [{', '.join(f'tag{n}' for n in range(80))}"))
    unknown = [fault for fault in shelf.faults(root) if fault.rule == "unknown-tag"]
    assert len(unknown) == 51
    assert unknown[-1].what == "and 30 more such faults from here on"


def test_a_broken_file_of_tags_is_one_fault_and_not_one_a_tag(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root)
    (root / "papers" / "_tags.yml").write_text("- a\n")
    assert shelf.found(root) == ["1:1 not-a-mapping"]


def test_traps_are_found_in_the_file_of_tags_too(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    (root / "papers" / "_tags.yml").write_text("no: Never.\nyear: 2024\nyear: twice\n")
    assert shelf.found(root) == ["1:1 unquoted-boolean", "2:7 unquoted-number", "3:1 duplicate-key"]


def test_a_bomb_of_aliases_is_told_and_not_followed(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    levels = "".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    (root / "papers" / "2501.01234.yml").write_text("k0: &a0 [lol]\n" + levels)
    assert {"alias", "unknown-key"} <= {fault.rule for fault in shelf.faults(root)}


def test_what_can_be_read_is_checked_beside_what_cannot(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    path = shelf.entry(root, ("kind: analysis", "kind: analyses"), ('again."', "again."))
    path.write_bytes(path.read_bytes().replace(b"Ben Sample", b"B\xe9n\x07Sample"))
    assert shelf.found(root) == [
        "4:6 not-utf8", "4:8 control-character", "13:7 wrong-value", "33:1 not-yaml",
    ]  # fmt: skip


def test_line_endings_of_windows_are_fine(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    path = shelf.entry(root, ("kind: analysis", "kind: analyses"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert shelf.found(root) == ["13:7 wrong-value"]


@pytest.mark.parametrize("escape", [r"\u202e", r"\x1b", r"\u200b"])
def test_an_escape_hides_nothing(escape: str, tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root, ("venue: ACL 2025", f'venue: "ACL{escape} 2025"'))
    [fault] = shelf.faults(root)
    assert fault.rule.endswith("-character")
    assert "written as an escape" in fault.what


def test_nothing_of_a_file_reaches_the_terminal_that_a_terminal_obeys(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    path = shelf.entry(root, ("kind: analysis", r'kind: "\e[31m\n"'), name="2501.\x1b[31m\n.yml")
    for fault in check(root, [path]):
        assert (fault.path + fault.what + fault.mend).isprintable()


def test_a_path_is_shown_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert display(Path.cwd() / "papers" / "a.yml") == "papers/a.yml"
    assert display(Path("/elsewhere/a.yml")) == "/elsewhere/a.yml"
