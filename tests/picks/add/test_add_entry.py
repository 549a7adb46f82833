"""A new entry: the house's layout, facts filled in, the rest a TODO."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.add.entry import new_entry
from picks.add.facts import Facts
from picks.papers import load_paper
from picks.schema import keys
from reproductions.common.errors import UserError

FULL = Facts(
    id="2412.05353",
    title="Incremental: a study",
    authors=("Michael Hanna", "Åke No"),
    published="2024-12-06",
    venue="NAACL 2025",
    doi="10.18653/v1/2025.naacl-long.164",
    category="cs.CL",
    links={"anthology": "https://aclanthology.org/2025.naacl-long.164", "code": "https://github.com/a/b"},
    collection={"order": 89, "upvotes": 1},
)


def test_an_entry_is_written_as_the_others_are() -> None:
    assert (
        new_entry(FULL)
        == """\
title: "Incremental: a study"
authors:
  - Michael Hanna
  - Åke No
published: "2024-12-06"
summary: >-
  TODO – what was asked, what was done and what was found, in two to five sentences of your own, with the
  numbers that matter
why: TODO – in one line, why somebody should read this
tags: [TODO]
kind: TODO
venue: NAACL 2025
doi: 10.18653/v1/2025.naacl-long.164
category: cs.CL
links:
  anthology: https://aclanthology.org/2025.naacl-long.164
  code: https://github.com/a/b
collection:
  order: 89
  upvotes: 1
builds_on: []
not_reproduced: TODO – in one line, why there is no notebook, or that one is planned
"""
    )


def test_with_its_todos_done_an_entry_is_valid(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    path = tmp_path / "papers" / "2412.05353.yml"
    path.write_text(new_entry(FULL), encoding="utf8")
    with pytest.raises(UserError, match="`kind`"):
        load_paper(tmp_path, "2412.05353")
    path.write_text(new_entry(FULL).replace("kind: TODO", "kind: analysis"), encoding="utf8")
    paper = load_paper(tmp_path, "2412.05353")
    assert (paper.title, paper.authors, paper.venue) == (FULL.title, FULL.authors, FULL.venue)
    assert (paper.collection.order, paper.links["code"]) == (89, "https://github.com/a/b")


def test_what_is_not_known_and_needed_is_a_todo() -> None:
    text = new_entry(Facts("2412.05353", "T", ("A B",)))
    assert 'published: "TODO' in text
    assert "category: TODO" in text
    assert "venue" not in text
    written = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert written == sorted(written, key=keys().index)


def test_a_post_is_a_discussion_without_category() -> None:
    text = new_entry(Facts("lw-a-post", "T", ("A B",), "2024-01-01", links={"post": "https://www.lesswrong.com/x"}))
    assert "kind: discussion" in text
    assert "category" not in text
