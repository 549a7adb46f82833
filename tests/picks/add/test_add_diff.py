"""Which facts of an entry a source may change, and how that is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from picks.add.diff import changes, show, updated
from picks.add.entry_file import EntryFile
from picks.add.facts import Facts

ENTRY = EntryFile(
    Path("papers/2412.11965.yml"),
    """\
# an entry with a history
title: Inferring Functionality of Attention Heads
authors:
  - Amit Elhelo
  - János Kramár  # accents as he writes them
published: "2024-12"
summary: >-
  Ours, word by word.
why: Ours too.
tags: [attention heads]
kind: method
venue: ACL 2024 (System Demonstrations)
doi: 10.48550/arXiv.2412.11965
category: TODO
links:
  code: https://github.com/ours/better
builds_on: []
not_reproduced: planned
""",
)
FACTS = Facts(
    id="2412.11965",
    title="Inferring functionality of attention heads",
    authors=("A. Elhelo", "Janos Kramar"),
    published="2024-12-16",
    venue="ACL 2024",
    doi="10.18653/v1/2025.acl-long.866",
    category="cs.CL",
    links={"code": "https://github.com/theirs/other", "anthology": "https://aclanthology.org/2025.acl-long.866"},
    collection={"order": 92},
)


def keys(**different: Any) -> set[str]:
    return {".".join(path) for path, _ in changes(ENTRY, replace(FACTS, **different))}


def test_better_facts_are_taken_and_a_persons_wording_and_links_stay() -> None:
    after = updated(ENTRY, FACTS)
    for old, new in {
        '"2024-12"': '"2024-12-16"',
        "10.48550/arXiv.2412.11965": "10.18653/v1/2025.acl-long.866",
        "category: TODO": "category: cs.CL",
        "/better\n": "/better\n  anthology: https://aclanthology.org/2025.acl-long.866\ncollection:\n  order: 92\n",
    }.items():
        assert old in ENTRY.text
        after = replace(after, text=after.text.replace(new, old))
    assert after.text == ENTRY.text


def test_a_list_that_breaks_off_replaces_no_authors() -> None:
    assert "authors" not in keys(authors=("Somebody Else", "TODO – the authors after these"))


def test_another_spelling_of_the_same_venue_stays() -> None:
    entry = ENTRY.with_value("TMLR 2025", "venue")
    longer = "Transactions on Machine Learning Research 2025"
    assert updated(entry, Facts(FACTS.id, FACTS.title, FACTS.authors, venue=longer)) == entry


def test_a_todo_of_the_source_replaces_nothing() -> None:
    assert "venue" not in keys(venue="TODO – a short form of: The Conference")
    assert "doi" not in keys(doi="TODO – the DOI, which reads x")


def test_a_new_title_keeps_the_old_one_among_the_others() -> None:
    after = updated(ENTRY, Facts(FACTS.id, "A Published Title", FACTS.authors))
    assert (after.get("title"), after.get("titles")) == ("A Published Title", [ENTRY.get("title")])
    again = updated(after, Facts(FACTS.id, "A Third Title", FACTS.authors))
    assert again.get("titles") == [ENTRY.get("title"), "A Published Title"]


def test_what_the_source_does_not_know_stays() -> None:
    silent = Facts(FACTS.id, FACTS.title, FACTS.authors)
    assert updated(ENTRY, silent).text == ENTRY.text


@pytest.mark.parametrize(
    ("different", "changed"),
    [
        ({"title": "Inferring the Functionality of Heads"}, "title"),
        ({"authors": ("Amit Elhelo", "Mor Geva")}, "authors"),
        ({"authors": ("Amit Elhelo", "János Kramár", "Mor Geva")}, "authors"),
        ({"authors": ("Amit B. Elhelo", "János Kramár")}, "authors"),
        ({"venue": "ACL 2025"}, "venue"),
    ],
)
def test_a_real_difference_counts(different: dict[str, Any], changed: str) -> None:
    assert changed not in keys()
    assert changed in keys(**different)


def test_the_difference_is_shown_line_by_line() -> None:
    after = ENTRY.with_value("ACL 2025", "venue")
    assert show(ENTRY, after, "papers/2412.11965.yml").splitlines() == [
        "--- papers/2412.11965.yml now",
        "+++ papers/2412.11965.yml then",
        "@@ -11,3 +11,3 @@",
        " kind: method",
        "-venue: ACL 2024 (System Demonstrations)",
        "+venue: ACL 2025",
        " doi: 10.48550/arXiv.2412.11965",
    ]
    assert show(ENTRY, ENTRY, "x") == ""
