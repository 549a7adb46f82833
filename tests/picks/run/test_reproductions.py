"""Finding a reproduction by its paper or its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.run.reproductions import find, load_all, names
from reproductions.common.errors import UserError
from tests.fixtures import house


@pytest.mark.parametrize("text", ["2501.08310", "coin_flips", "Coin-Flips", "COIN_FLIPS"])
def test_a_paper_and_a_name_lead_to_the_same_folder(text: str, tmp_path: Path) -> None:
    found = find(house.build(tmp_path), text)
    assert (found.name, found.paper.id) == ("coin_flips", "2501.08310")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2501.08319", "has no reproduction: needs dice that are not published"),
        ("2501.08320", "(Cards that Turn Themselves) has no reproduction: planned\n"),
        ("2501.18310", "did you mean 2501.08310?"),
        ("1706.03762", "is not among the papers here\n"),
        ("coin_flip", "did you mean coin_flips?"),
        ("attention", "there is no paper 'attention'\n"),
    ],
)
def test_what_cannot_be_run_says_why_and_what_can(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        find(house.build(tmp_path), text)
    assert why in str(refusal.value)
    assert "can be run: coin_flips" in str(refusal.value)


def test_paper_and_folder_must_name_each_other(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    claims = root / "reproductions" / "coin_flips" / "reproduction.yml"
    claims.write_text(claims.read_text().replace("2501.08310", "2501.08319"))
    for text in ("coin_flips", "2501.08310"):
        with pytest.raises(UserError, match=r"papers/2501\.08319\.yml does not say `reproduction: coin_flips`"):
            find(root, text)


def test_an_unquoted_id_in_the_claims_is_no_paper(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    claims = root / "reproductions" / "coin_flips" / "reproduction.yml"
    claims.write_text(claims.read_text().replace('"2501.08310"', "2501.08310"))
    with pytest.raises(UserError, match=r"2501\.0831 is not among the papers"):
        find(root, "coin_flips")


@pytest.mark.parametrize(
    ("folder", "why"), [("../../etc", "'../../etc' has not the right form"), ("dice", "dice, which does not exist")]
)
def test_a_paper_may_not_name_a_folder_elsewhere(folder: str, why: str, tmp_path: Path) -> None:
    root = house.build(tmp_path)
    paper = root / "papers" / "2501.08310.yml"
    paper.write_text(paper.read_text().replace("coin_flips", folder))
    with pytest.raises(UserError, match=why):
        find(root, "2501.08310")


def test_folders_without_a_notebook_are_no_reproductions(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    (root / "reproductions" / "common").mkdir()
    assert names(root) == ["coin_flips"]
    assert [each.name for each in load_all(root)] == ["coin_flips"]
