"""A new entry: the house's layout, facts filled in, the rest a TODO."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from picks.add.entry import new_entry
from picks.add.facts import Facts
from picks.bibliography.venues import Venue
from picks.papers import load_paper
from picks.schema import keys
from reproductions.common.errors import UserError

DAY = date(2024, 12, 18)
FULL = Facts(
    id="2412.05353",
    title="Incremental: a study",
    authors=("Michael Hanna", "Åke No"),
    published="2024-12-06",
    venue="NAACL 2025",
    venue_kind="proceedings",
    pages="10–12",
    doi="10.18653/v1/2025.naacl-long.164",
    category="cs.CL",
    links={"anthology": "https://aclanthology.org/2025.naacl-long.164", "code": "https://github.com/a/b"},
    collection={"order": 89, "upvotes": 1},
)


def test_an_entry_is_written_as_the_others_are() -> None:
    assert (
        new_entry(FULL, DAY)
        == """\
title: "Incremental: a study"
authors:
  - Michael Hanna
  - Åke No
published: "2024-12-06"
picked: "2024-12-18"
summary: >-
  TODO – what was asked, what was done and what was found, in two to five sentences of your own, with the
  numbers that matter
finding: TODO – the main result in one sentence, with its number and where it stands (Table 2)
why: TODO – in one line, why somebody should read this
tags: [TODO]
kind: TODO
venue: NAACL 2025
venue_kind: proceedings
pages: "10–12"
doi: 10.18653/v1/2025.naacl-long.164
category: cs.CL
links:
  anthology: https://aclanthology.org/2025.naacl-long.164
  code: https://github.com/a/b
models: [TODO]
data: [TODO]
collection:
  order: 89
  upvotes: 1
builds_on: {}
read:
  version: TODO – what you read, and how much of it, like arXiv v2
not_reproduced: TODO – in one line, why there is no notebook, or that one is planned
"""
    )


def test_with_its_todos_done_an_entry_is_valid(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    path = tmp_path / "papers" / "2412.05353.yml"
    path.write_text(new_entry(FULL, DAY), encoding="utf8")
    with pytest.raises(UserError, match="`kind`"):
        load_paper(tmp_path, "2412.05353")
    path.write_text(new_entry(FULL, DAY).replace("kind: TODO", "kind: analysis"), encoding="utf8")
    paper = load_paper(tmp_path, "2412.05353")
    assert (paper.title, paper.authors, paper.venue) == (
        FULL.title, FULL.authors, Venue("NAACL 2025", "proceedings", pages="10–12"),
    )  # fmt: skip
    assert (paper.collection.order, paper.links["code"]) == (89, "https://github.com/a/b")


def test_what_is_not_known_and_needed_is_a_todo() -> None:
    text = new_entry(Facts("2412.05353", "T", ("A B",)), DAY)
    assert 'published: "TODO' in text
    assert "category: TODO" in text
    assert "venue" not in text
    written = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert written == sorted(written, key=keys().index)


def test_what_is_not_on_arxiv_has_an_address_and_no_category() -> None:
    address = "https://www.lesswrong.com/posts/abc/a-post"
    text = new_entry(Facts("lw-a-post", "T", ("A B",), "2024-01-01", address=address), DAY)
    assert f"address: {address}\n" in text
    assert "category" not in text
