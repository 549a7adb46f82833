"""The door to the papers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import pytest

from picks.bibliography.names import Name
from picks.bibliography.venues import Venue
from picks.papers import Place, Read, Status, Thread, load_paper, load_papers, load_tags, paper_ids
from reproductions.common.errors import UserError
from tests.fixtures import house

FULL = """\
title: Heads that Count
authors: [Ada Example, "Ben {Van Example}"]
published: "2025-01-02"
picked: "2025-01-05"
status: {is: superseded, note: By a longer one., by: "2502.00001"}
summary: >-
  What do heads count? They count
  tokens.
finding: Three of four count.
why: It counts.
tags: [attention heads, arithmetic]
kind: method
venue: TMLR 2025
venue_kind: journal
volume: "7"
pages: "10–12"
awards: [oral]
doi: 10.18653/v1/2025.acl-long.1
category: cs.CL
links:
  code: https://github.com/example/heads
threads:
  - platform: x
    url: https://x.com/ada/status/1
models: [GPT-2 small]
data: [OpenWebText]
collection: {order: 7, upvotes: 3}
picked_with: ["2501.00002"]
builds_on: {"2403.19650": uses its heads}
read: {version: arXiv v1, sources: ["https://example.org/a"], second_hand: The third head.}
not_reproduced: planned
"""


def _paper(root: Path, text: str, paper_id: str = "2501.00001") -> Path:
    (root / "papers").mkdir(exist_ok=True)
    path = root / "papers" / f"{paper_id}.yml"
    path.write_text(text, encoding="utf8")
    return path


def test_ids_are_file_names_and_templates_are_no_papers() -> None:
    assert paper_ids(house.HOUSE) == ["2501.08310", "2501.08319", "2501.08320"]
    assert list(load_papers(house.HOUSE)) == paper_ids(house.HOUSE)


def test_a_paper_has_what_its_file_says(tmp_path: Path) -> None:
    _paper(tmp_path, FULL)
    paper = load_paper(tmp_path, "2501.00001")
    assert (paper.title, paper.authors) == ("Heads that Count", ("Ada Example", "Ben Van Example"))
    assert paper.names[1] == Name("Van Example", "Ben")
    assert paper.venue == Venue("TMLR 2025", "journal", "7", None, "10–12")
    assert (paper.finding, paper.awards, paper.models, paper.data) == (
        "Three of four count.", ("oral",), ("GPT-2 small",), ("OpenWebText",),
    )  # fmt: skip
    assert paper.read == Read("arXiv v1", ("https://example.org/a",), "The third head.")
    assert paper.status == Status("superseded", "By a longer one.", "2502.00001")
    assert (paper.published, paper.picked) == (date(2025, 1, 2), date(2025, 1, 5))
    assert paper.summary == "What do heads count? They count tokens."
    assert (paper.tags, paper.kind, paper.category) == (("attention heads", "arithmetic"), "method", "cs.CL")
    assert dict(paper.links) == {"code": "https://github.com/example/heads"}
    assert paper.threads == (Thread("x", "https://x.com/ada/status/1"),)
    assert paper.collection == Place(order=7, upvotes=3)
    assert (paper.picked_with, dict(paper.builds_on)) == (("2501.00002",), {"2403.19650": "uses its heads"})
    assert not paper.is_founding
    assert (paper.reproduction, paper.not_reproduced) == (None, "planned")


@pytest.mark.parametrize(
    ("written", "first"), [("2025-01-02", (2025, 1, 2)), ("2025-01", (2025, 1, 1)), ("2025", (2025, 1, 1))]
)
def test_a_date_is_known_as_far_as_it_is_known(written: str, first: tuple[int, int, int], tmp_path: Path) -> None:
    _paper(tmp_path, FULL.replace("2025-01-02", written))
    paper = load_paper(tmp_path, "2501.00001")
    assert (paper.published, paper.published_as) == (date(*first), written)


def test_a_paper_does_not_change(tmp_path: Path) -> None:
    _paper(tmp_path, FULL)
    paper = load_paper(tmp_path, "2501.00001")
    with pytest.raises(FrozenInstanceError):
        paper.title = "Another"  # type: ignore[misc]
    with pytest.raises(TypeError):
        paper.links["code"] = "elsewhere"  # type: ignore[index]


@pytest.mark.parametrize(
    ("paper_id", "arxiv", "huggingface"),
    [
        ("2501.00001", "https://arxiv.org/abs/2501.00001", "https://huggingface.co/papers/2501.00001"),
        ("cs-0101001", "https://arxiv.org/abs/cs/0101001", None),
        ("cmp-lg-9407001", "https://arxiv.org/abs/cmp-lg/9407001", None),
    ],
)
def test_an_arxiv_paper_knows_its_pages(paper_id: str, arxiv: str, huggingface: str | None, tmp_path: Path) -> None:
    _paper(tmp_path, FULL, paper_id)
    paper = load_paper(tmp_path, paper_id)
    assert paper.is_arxiv
    assert (paper.url, paper.arxiv_url, paper.huggingface_url) == (arxiv, arxiv, huggingface)


def test_what_is_not_on_arxiv_is_read_at_its_address(tmp_path: Path) -> None:
    post = "https://www.lesswrong.com/posts/abc/heads-that-count"
    _paper(tmp_path, FULL.replace("category: cs.CL", f"address: {post}"), "lw-heads-that-count")
    paper = load_paper(tmp_path, "lw-heads-that-count")
    assert not paper.is_arxiv
    assert (paper.url, paper.arxiv_url, paper.huggingface_url) == (post, None, None)


@pytest.mark.parametrize(
    ("written", "instead", "why"),
    [
        ("title: Heads", "title: [Heads", ":2:8: not YAML"),
        ("title: Heads that Count", "title: 5", ":1:8: `title` must be text"),
        ("title: Heads that Count\n", "", ":1:1: this file has no `title` – The title of the version"),
        ('[Ada Example, "Ben {Van Example}"]', "Ada Example", ":2:10: `authors` must be a list"),
        ("2025-01-02", "2025-02-30", ":3:12: `published`: '2025-02-30' is no day"),
        ("2025-01-02", "January", ":3:12: `published`: 'January' has not the right form"),
        ("kind: method", "kind: methods", ":12:7: `kind`: 'methods' is none of method,"),
        ("order: 7", "order: 0", ":27:21: `collection.order` is below 1"),
        ("platform: x", "platform: twitter", ":23:15: `threads[1].platform`: 'twitter' is none of x, bluesky"),
        ("tags:", "Tags:", ":11:1: 'Tags': did you mean tags?"),
        ("not_reproduced: planned", "reproduction: heads\nnot_reproduced: planned", ":32:17: `not_reproduced` cannot"),
        ("not_reproduced: planned", "", ":1:1: this file has no `not_reproduced`"),
        ("title: Heads that Count", "title: !!python/object/apply:os.getcwd []", ":1:8: tag tag:yaml.org,2002:python"),
        ("why: It counts.", "why: It counts.\n" + "#" * 70_000, ":1:1: larger than 64 KB"),
    ],
)
def test_faults_name_the_file_the_place_and_the_remedy(written: str, instead: str, why: str, tmp_path: Path) -> None:
    assert written in FULL
    path = _paper(tmp_path, FULL.replace(written, instead, 1))
    with pytest.raises(UserError) as refusal:
        load_paper(tmp_path, "2501.00001")
    assert f"{path}{why.replace('not YAML', '')}" in str(refusal.value)


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    first = _paper(tmp_path, FULL.replace("kind: method", "kind: x").replace("title:", "titel:"))
    second = _paper(tmp_path, "- a\n- b", "2501.00002")
    with pytest.raises(UserError) as refusal:
        load_papers(tmp_path)
    lines = str(refusal.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{first}:1:1", f"{first}:1:1", f"{first}:12:7", f"{second}:1:1"]


def test_a_file_is_not_read_under_a_name_that_is_no_id(tmp_path: Path) -> None:
    _paper(tmp_path, FULL, "heads")
    with pytest.raises(UserError, match="must be named after an arXiv id"):
        load_paper(tmp_path, "heads")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    _paper(tmp_path, "").write_bytes(b"title: \xff\xfe")
    with pytest.raises(UserError, match=r":1:8: byte 0xff is not UTF-8"):
        load_paper(tmp_path, "2501.00001")


def test_tags_have_a_sentence_each(tmp_path: Path) -> None:
    _paper(tmp_path, "circuits: Subgraphs.\nno: Never.\n", "_tags")
    assert load_tags(tmp_path) == {"circuits": "Subgraphs.", "no": "Never."}
    _paper(tmp_path, "circuits:\n  - a\n", "_tags")
    with pytest.raises(UserError, match="'circuits' needs a sentence"):
        load_tags(tmp_path)
