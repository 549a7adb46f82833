"""Every real entry through the checker and the door, and the template that entries are begun from."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.check.checker import check, files_in
from picks.check.faults import ERROR, Fault
from picks.papers import load_paper, load_tags, paper_ids
from picks.schema import keys

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "papers" / "_template.yml"


@pytest.fixture(scope="session")
def faults() -> list[Fault]:
    return check(ROOT, files_in(ROOT / "papers"))


@pytest.mark.parametrize("paper_id", paper_ids(ROOT))
def test_an_entry_has_no_faults(paper_id: str, faults: list[Fault]) -> None:
    told = [fault for fault in faults if Path(fault.path).stem == paper_id and fault.level == ERROR]
    assert told == []


@pytest.mark.parametrize("paper_id", paper_ids(ROOT))
def test_an_entry_can_be_loaded(paper_id: str) -> None:
    assert load_paper(ROOT, paper_id).id == paper_id


def test_nothing_else_has_faults(faults: list[Fault]) -> None:
    known = set(paper_ids(ROOT))
    assert [fault for fault in faults if Path(fault.path).stem not in known] == []


def test_every_tag_is_used() -> None:
    used = {tag for paper_id in paper_ids(ROOT) for tag in load_paper(ROOT, paper_id).tags}
    assert set(load_tags(ROOT)) == used


def test_the_template_names_every_key_in_the_order_of_the_schema() -> None:
    lines = [line.removeprefix("# ") for line in TEMPLATE.read_text(encoding="utf8").splitlines()]
    named = [line.split(":")[0] for line in lines if line.split(":")[0] in keys()]
    assert named == [key for key in keys() if key != "reproduction"]
    assert "`reproduction:`" in TEMPLATE.read_text(encoding="utf8")


def test_a_copy_of_the_template_has_only_todos(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    copy = tmp_path / "papers" / "2501.01234.yml"
    copy.write_bytes(TEMPLATE.read_bytes())
    told = check(tmp_path, [copy])
    assert {fault.rule for fault in told} == {"todo"}
    assert len(told) == TEMPLATE.read_text(encoding="utf8").count(" TODO\n") + 5  # two in quotes, three in brackets


def test_the_template_filled_in_has_none(tmp_path: Path) -> None:
    filled = {
        "title: TODO": "title: Heads that Count", "  - TODO": "  - Ada Example", "why: TODO": "why: It counts.",
        'published: "TODO"': 'published: "2025-01-14"', 'picked: "TODO"': 'picked: "2025-01-20"',
        "  TODO\n": "  " + "Plain words about a plain paper. " * 8 + "\n",
        "finding: TODO": "finding: Nine of ten are right (Table 1).",
        "tags: [TODO]": "tags: [arithmetic, circuits]", "kind: TODO": "kind: method",
        "category: TODO": "category: cs.CL", "version: TODO": "version: arXiv v1",
        "models: [TODO]": "models: [GPT-2 small]", "data: [TODO]": "data: []",
        "not_reproduced: TODO": "not_reproduced: planned",
    }  # fmt: skip
    text = TEMPLATE.read_text(encoding="utf8")
    for todo, instead in filled.items():
        text = text.replace(todo, instead, 1)
    (tmp_path / "papers").mkdir()
    copy = tmp_path / "papers" / "2501.01234.yml"
    copy.write_text("\n".join(line.removeprefix("# #") for line in text.splitlines()), encoding="utf8")
    assert [fault for fault in check(tmp_path, [copy]) if fault.level == ERROR] == []
