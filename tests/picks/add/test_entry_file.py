"""Changing a fact in a file that people write: nothing else may move."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.add.entry_file import EntryFile
from reproductions.common.errors import UserError

ROOT = Path(__file__).parents[3]
ENTRIES = sorted((ROOT / "papers").glob("[!_]*.yml"))

WRITTEN = """\
# kept: why this entry is odd
title: An old title  # as in version 1
authors:
  # in the paper's order
  - Ada Example
  - B. Example  # no first name in the PDF
  - Cem Örnek
published: '2024-12-06'

summary: >-
  A first line, folded,
  and a second.

# about the links
links:
  code: https://example.org/code   # needs Git LFS
tags: [probing,
       circuits]
builds_on: []
not_reproduced: too large
# the end
"""

LAYOUTS = {
    "house": WRITTEN,
    "Windows": WRITTEN.replace("\n", "\r\n"),
    "no last newline": WRITTEN.rstrip("\n"),
    "byte order mark": "\ufeff" + WRITTEN,
    "document marks": f"---\n{WRITTEN}...\n",
    "lists not indented": WRITTEN.replace("  - ", "- ").replace("  # in", "# in"),
    "trailing blank lines": WRITTEN + "\n\n\n",
    "odd spaces": WRITTEN.replace("title: ", "title:    ").replace("code: ", "code :  "),
}


def written(folder: Path, text: str) -> EntryFile:
    path = folder / "2412.05353.yml"
    path.write_bytes(text.encode("utf8"))
    return EntryFile.load(path)


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_a_real_entry_is_saved_byte_for_byte_and_edited_in_one_place(path: Path, tmp_path: Path) -> None:
    entry = EntryFile.load(path)
    copy = EntryFile(tmp_path / path.name, entry.text)
    copy.save()
    assert copy.path.read_bytes() == path.read_bytes()

    changed = copy.with_value("A title of 2031: revised", "title").with_value("XYZ 2031", "venue")
    assert changed.fields == entry.fields | {"title": "A title of 2031: revised", "venue": "XYZ 2031"}
    restored = changed.with_value(entry.fields["title"], "title")
    assert restored.fields["title"] == entry.fields["title"]
    assert not {line for line in path.read_text("utf8").splitlines() if line.startswith("#")} - set(
        changed.text.splitlines()
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_survives_loading_and_saving(layout: str, tmp_path: Path) -> None:
    entry = written(tmp_path, LAYOUTS[layout])
    entry.save()
    assert entry.path.read_bytes() == LAYOUTS[layout].encode("utf8")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_changed_title_changes_the_title_alone(layout: str, tmp_path: Path) -> None:
    changed = written(tmp_path, LAYOUTS[layout]).with_value("Fables: a new title", "title")
    assert changed.text == LAYOUTS[layout].replace("An old title", '"Fables: a new title"')


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_new_key_takes_its_place_in_the_order(layout: str, tmp_path: Path) -> None:
    changed = written(tmp_path, LAYOUTS[layout]).with_value("ACL 2025", "venue")
    lines = changed.text.splitlines()
    assert [line for line in lines if line != "venue: ACL 2025"] == LAYOUTS[layout].splitlines()
    assert lines.index("venue: ACL 2025") == next(i for i, line in enumerate(lines) if "circuits]" in line) + 1
    assert ("\r\n" in changed.text) == (layout == "Windows")
    assert changed.text.count("\r\n") in (0, changed.text.count("\n"))


def test_a_quoted_value_stays_quoted_its_way(tmp_path: Path) -> None:
    changed = written(tmp_path, WRITTEN).with_value("2024-12-07", "published")
    assert changed.text == WRITTEN.replace("'2024-12-06'", "'2024-12-07'")


def test_a_folded_value_is_replaced_up_to_its_end(tmp_path: Path) -> None:
    changed = written(tmp_path, WRITTEN).with_value("Short.", "summary")
    assert changed.text == WRITTEN.replace(">-\n  A first line, folded,\n  and a second.", "Short.")


def test_an_empty_value_is_filled(tmp_path: Path) -> None:
    entry = written(tmp_path, "title: T\nvenue:   # when known\nkind: tool\n")
    assert entry.with_value("ACL 2025", "venue").text == "title: T\nvenue: ACL 2025   # when known\nkind: tool\n"


def test_an_author_is_corrected_where_the_name_stands(tmp_path: Path) -> None:
    changed = written(tmp_path, WRITTEN).with_value(["Ada Example", "Ben Example", "Cem Örnek"], "authors")
    assert changed.text == WRITTEN.replace("B. Example", "Ben Example")


def test_an_author_more_keeps_the_lines_of_the_others(tmp_path: Path) -> None:
    names = ["Ada Example", "Zoë Example", "B. Example", "Cem Örnek"]
    changed = written(tmp_path, WRITTEN).with_value(names, "authors")
    assert changed.text == WRITTEN.replace("  - B.", "  - Zoë Example\n  - B.")


def test_an_author_less_leaves_the_comments_above(tmp_path: Path) -> None:
    changed = written(tmp_path, WRITTEN).with_value(["Cem Örnek"], "authors")
    assert changed.get("authors") == ["Cem Örnek"]
    assert "  # in the paper's order\n  - Cem Örnek\n" in changed.text


def test_a_flow_list_stays_a_flow_list(tmp_path: Path) -> None:
    changed = written(tmp_path, "authors: [A B, C D]\ntitle: T\n").with_value(["A B", "D, E"], "authors")
    assert changed.text == 'authors: ["A B", "D, E"]\ntitle: T\n'


def test_links_and_numbers_are_added_inside_their_mapping(tmp_path: Path) -> None:
    entry = written(tmp_path, WRITTEN).with_value("https://example.org/a", "links", "anthology")
    assert entry.text == WRITTEN.replace("Git LFS\n", "Git LFS\n  anthology: https://example.org/a\n")
    placed = entry.with_value(7, "collection", "order")
    assert placed.text == entry.text.replace("builds_on", "collection:\n  order: 7\nbuilds_on")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("{title: T}\n", ("venue",)),
        ("title: T\nlinks: none\n", ("links", "code")),
        ("title: T\nlinks: {code: x}\n", ("links", "post")),
        ("title: T\nlinks: [a]\n", ("links", "code")),
    ],
)
def test_an_edit_that_would_touch_more_is_refused(text: str, keys: tuple[str, ...], tmp_path: Path) -> None:
    entry = written(tmp_path, text)
    with pytest.raises(UserError, match="by hand"):
        entry.with_value("https://example.org", *keys)
    assert entry.path.read_text("utf8") == text


def test_an_edit_that_would_say_something_else_is_refused(tmp_path: Path) -> None:
    entry = written(tmp_path, "title: T\nlinks: {code: x}\n")
    assert entry.with_value("y", "links", "code").text == "title: T\nlinks: {code: y}\n"
    with pytest.raises(UserError, match="by hand"):
        entry.with_value("y, demo", "links", "code")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"- a\n", "expected `key: value`"),
        (b"title: [a\n", ":2:1: "),
        (b"[" * 5000, "nested more than"),
        (b"a: &a [x]\nb: *a\n", "alias"),
        (b"#" * 70_000, "larger than 64 KB"),
    ],
)
def test_what_is_no_entry_is_refused_in_a_sentence(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "2412.05353.yml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=why):
        EntryFile.load(path)


def test_saving_leaves_no_other_file_behind(tmp_path: Path) -> None:
    written(tmp_path, WRITTEN).with_value("T", "title").save()
    assert [path.name for path in tmp_path.iterdir()] == ["2412.05353.yml"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff\ufffe\uffff")))
def test_any_title_reads_back(title: str) -> None:
    changed = EntryFile(Path("x.yml"), WRITTEN).with_value(title, "title")
    assert yaml.safe_load(changed.text) == yaml.safe_load(WRITTEN) | {"title": title}
    assert changed.text.startswith("# kept") and changed.text.endswith(WRITTEN[WRITTEN.index("  # as in") :])
