"""A YAML file with the place of everything in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproductions.common.documents import Document, DocumentError, Position, position_of, read_document


def _read(tmp_path: Path, content: str | bytes) -> Document:
    path = tmp_path / "file.yml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path)


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ("2403.19650", "2403.19650"),
        ("2024-12-16", "2024-12-16"),
        ("no", "no"),
        ("012", "012"),
        ("1:30", "1:30"),
        ("12", 12),
        ('"12"', "12"),
        ("~", "~"),
        ("!!int 12", "12"),
        ("<<", "<<"),
        ("[a, 1]", ["a", 1]),
        ("{b: {c: d}}", {"b": {"c": "d"}}),
        ("[*x]", [""]),
        ("9" * 30, "9" * 30),
    ],
)
def test_values_stay_as_they_were_written(written: str, data: object, tmp_path: Path) -> None:
    assert _read(tmp_path, f"a: {written}\n").mapping.data == {"a": data}


@pytest.mark.parametrize(
    ("written", "kind"),
    [("a", "str"), ("yes", "bool"), ("~", "null"), ("", "null"), ("1", "int"), ("1.5", "float"), ('"1.5"', "str"),
     ("2024-12-16", "timestamp"), ("0x1f", "int"), ("1:30", "int"), ("=", "str"), ("*a", "alias")],
)  # fmt: skip
def test_a_scalar_knows_what_yaml_takes_it_for(written: str, kind: str, tmp_path: Path) -> None:
    node = _read(tmp_path, f"a: {written}\n").node("a")
    assert node is not None
    assert getattr(node, "type", None) == kind


def test_everything_has_its_place(tmp_path: Path) -> None:
    document = _read(tmp_path, "é: x\nlist:\n  - one\n  - {k: v}\n")
    assert document.position("é") == Position(1, 4)
    assert document.position("list", 1, "k") == Position(4, 9)
    assert document.position("list", 7, "k") == document.position("list") == Position(3, 3)
    assert document.position("nowhere") == Position(1, 1)
    assert [(path, scalar.value, is_key) for path, scalar, is_key in document.scalars][-2:] == [
        (("list", 1, "k"), "k", True),
        (("list", 1, "k"), "v", False),
    ]


def test_of_two_equal_keys_the_first_counts_and_both_are_kept(tmp_path: Path) -> None:
    mapping = _read(tmp_path, "a: 1\na: 2\n").mapping
    assert mapping.data == {"a": 1}
    assert [value.data for _, value in mapping.pairs] == [1, 2]


def test_words_are_found_across_lines(tmp_path: Path) -> None:
    document = _read(tmp_path, "words: other\ntext: >-\n  Some\n  words, here.\n")
    assert document.find(["words", "here"], document.position("text")) == Position(4, 3)
    assert document.find(["words"], document.position("text")) == Position(4, 3)
    assert document.find(["absent"], document.position("text")) == document.position("text")


@pytest.mark.parametrize(
    ("content", "kind", "place"),
    [
        ("a: [b\n", "not-yaml", (2, 1)),
        ("a: b\n---\nc: d\n", "not-yaml", (2, 1)),
        ("? [a]\n: b\n", "not-yaml", (1, 3)),
        ("a: *b\n", "alias", (1, 4)),
        ("a: !b c\n", "explicit-tag", (1, 4)),
        ("[" * 9 + "]" * 9, "too-deep", (1, 9)),
        (b"a: b\nc: \xff\n", "not-utf8", (2, 4)),
    ],
)
def test_a_problem_has_a_kind_and_a_place(
    content: str | bytes, kind: str, place: tuple[int, int], tmp_path: Path
) -> None:
    [problem] = _read(tmp_path, content).problems
    assert (problem.kind, problem.position) == (kind, Position(*place))


def test_what_stands_before_a_problem_is_read(tmp_path: Path) -> None:
    document = _read(tmp_path, "a: b\nc: [d, e\n")
    assert document.mapping.data == {"a": "b", "c": ["d", "e"]}
    assert not document.whole


@pytest.mark.parametrize("content", ["", "# nothing\n", "- a\n", "a\n", "---\n...\n"])
def test_without_keys_there_is_an_empty_mapping(content: str, tmp_path: Path) -> None:
    assert _read(tmp_path, content).mapping.data == {}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.yml").symlink_to(tmp_path / "file.yml")
    _read(tmp_path, "a: b\n")
    for name, why in {"": "is not a file", "absent": "cannot be read", "link.yml": "is a symbolic link"}.items():
        with pytest.raises(DocumentError, match=why):
            read_document(tmp_path / name)


def test_a_file_of_64_kilobytes_is_the_largest(tmp_path: Path) -> None:
    assert _read(tmp_path, "#" * 65_536).root is None
    with pytest.raises(DocumentError, match="larger than 64 KB"):
        _read(tmp_path, "#" * 65_537)


def test_a_place_is_counted_from_one() -> None:
    assert [position_of("ab\ncd", offset) for offset in (0, 1, 3, 5)] == [
        Position(1, 1), Position(1, 2), Position(2, 1), Position(2, 3),
    ]  # fmt: skip
