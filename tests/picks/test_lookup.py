"""The paper that a person means."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.lookup import find_paper
from reproductions.common.errors import UserError
from tests.fixtures.mini_site import NAME, entry, write_entry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "papers").mkdir()
    anthology = "https://aclanthology.org/2025.acl-long.1"
    runs = {"reproduction": NAME, "links": {"code": "https://github.com/ada/TOSS", "anthology": anthology}}
    first = entry("How Coins Fall", titles=["Falling Coins"], doi="10.18653/v1/2025.acl-long.1", **runs)
    del first["not_reproduced"]
    entries = {
        "2501.00001": first,
        "2501.00002": entry("How Dice Fall", why="Dice are coins with more sides."),
        "2501.00003": entry("An Induction Head in the Wild"),
        "lw-on-coins": entry("Thoughts", address="https://www.lesswrong.com/posts/a/on-coins", former_ids=["lw-coins"]),
    }
    for name, fields in entries.items():
        write_entry(tmp_path, name, fields)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2501.00001", "2501.00001"),
        ("arXiv:2501.00001v2 [cs.CL]", "2501.00001"),
        ("https://ar5iv.labs.arxiv.org/html/2501.00001", "2501.00001"),
        ("10.18653/V1/2025.ACL-long.1", "2501.00001"),
        ("https://doi.org/10.18653/v1/2025.acl-long.1", "2501.00001"),
        ("https://aclanthology.org/2025.acl-long.1.pdf", "2501.00001"),
        ("2025.acl-long.1", "2501.00001"),
        (NAME, "2501.00001"),
        (NAME.upper().replace("_", "-"), "2501.00001"),
        ("toss", "2501.00001"),
        ("falling coin", "2501.00001"),
        ("coins", "2501.00001"),  # in a title; the other says it elsewhere
        ("induction head", "2501.00003"),
        ("papers/2501.00003.yml", "2501.00003"),
        ("https://www.alignmentforum.org/posts/a/on-coins", "lw-on-coins"),
        ("lw-coins", "lw-on-coins"),
        ("more sides dice", "2501.00002"),
    ],
)
def test_any_name_leads_to_its_paper(text: str, name: str, root: Path) -> None:
    assert find_paper(root, text).id == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "fall",
            "'fall' fits several papers; give the id of one:\n  2501.00001  How Coins Fall\n  2501.00002  How Dice",
        ),
        ("2501.10001", "2501.10001 is not among the papers here: did you mean 2501.00001?"),
        ("coin_flip", "there is no paper 'coin_flip': did you mean coin_flips?"),
        ("nothing of the kind", "there is no paper 'nothing of the kind'"),
        ("10.1000/x", "there is no paper"),
        ("../evil", "there is no paper"),
        ("???", "there is no paper"),
    ],
)
def test_what_is_not_meant_is_said(text: str, why: str, root: Path) -> None:
    with pytest.raises(UserError) as refusal:
        find_paper(root, text)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MAPS", "2412.11965"),
        ("https://huggingface.co/papers/2412.11965", "2412.11965"),
        ("Head-Mapping", "2412.11965"),
    ],
)
def test_the_real_papers_have_the_names_that_people_use(text: str, name: str) -> None:
    assert find_paper(ROOT, text).id == name
