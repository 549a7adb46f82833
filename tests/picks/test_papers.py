"""The door to the papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.errors import UserError
from picks.papers import load_paper, load_papers, paper_ids
from tests.fixtures import house


def _paper(root: Path, text: str) -> Path:
    (root / "papers").mkdir()
    path = root / "papers" / "2501.00001.yml"
    path.write_text(text, encoding="utf8")
    return path


def test_ids_are_file_names_and_templates_are_no_papers() -> None:
    assert paper_ids(house.HOUSE) == ["2501.08310", "2501.08319", "2501.08320"]
    assert list(load_papers(house.HOUSE)) == paper_ids(house.HOUSE)


def test_a_paper_has_its_title_authors_and_reproduction() -> None:
    paper = load_paper(house.HOUSE, "2501.08310")
    assert paper.title.startswith("On the Fairness of Coins")
    assert paper.authors == ("Ada Example", "Ben Example")
    assert (paper.reproduction, paper.not_reproduced) == ("coin_flips", None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title: [a, b", ":1:13: not YAML"),
        ("title: a\n\tauthors: b", ":2:1: not YAML"),
        ("- a\n- b", "expected `key: value`"),
        ("title: a", "`authors`"),
        ("authors: [a]", "`title`"),
        ("title: 5\nauthors: [a]", "`title` must be text"),
        ("title: a\nauthors: [a]\nreproduction: 7", "`reproduction` must be text"),
        ("title: !!python/object/apply:os.getcwd []\nauthors: [a]", ":1:8: not YAML"),
        ("title: a\n" + "#" * 70_000, "larger than 64 KB"),
    ],
)
def test_faults_name_the_file_and_the_place(text: str, why: str, tmp_path: Path) -> None:
    path = _paper(tmp_path, text)
    with pytest.raises(UserError) as refusal:
        load_paper(tmp_path, "2501.00001")
    assert str(path) in str(refusal.value)
    assert why in str(refusal.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    _paper(tmp_path, "").write_bytes(b"title: \xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        load_paper(tmp_path, "2501.00001")
