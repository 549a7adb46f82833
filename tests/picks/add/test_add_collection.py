"""A Hugging Face collection, from recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from picks.add.collection import Item, missing, slug_of
from reproductions.common.errors import UserError
from tests.picks.add.server import recorded

SLUG = "sample/interpretability"
HERE = {"2501.08310": 1, "2501.08320": 2, "2501.08319": 9}
Answers = Callable[..., list[str]]


def paper(name: str, title: str, upvotes: int) -> tuple[int, bytes]:
    answer = {"id": name, "title": title, "upvotes": upvotes, "authors": [], "publishedAt": "2024-12-16T16:45:33.000Z"}
    return 200, json.dumps(answer).encode()


PAPERS = {
    "/api/papers/2405.00208": paper("2405.00208", "A Primer on\n the Inner Workings", 10),
    "/api/papers/2412.11965": paper("2412.11965", "Inferring Functionality", 2),
}


def test_what_is_missing_comes_oldest_first_with_its_place(hub_answers: Answers) -> None:
    hub_answers(**{f"/api/collections/{SLUG}": recorded("collection.json")}, **PAPERS)
    assert missing(SLUG, HERE) == [
        Item("2405.00208", "A Primer on the Inner Workings", 3, 10),
        Item("2412.11965", "Inferring Functionality", 4, 2),
    ]


def test_a_collection_that_grows_at_its_end_is_told_by_our_own_order(hub_answers: Answers) -> None:
    hub_answers(**{f"/api/collections/{SLUG}": recorded("collection.json")}, **PAPERS)
    found = missing(SLUG, {"2501.08310": 4, "2501.08320": 3})
    assert [(item.id, item.order) for item in found] == [("2412.11965", 1), ("2405.00208", 2)]


def test_only_missing_papers_are_asked_for(hub_answers: Answers) -> None:
    asked = hub_answers(**{f"/api/collections/{SLUG}": recorded("collection.json")}, **PAPERS)
    missing(SLUG, HERE | {"2405.00208": 3})
    assert asked == [f"/api/collections/{SLUG}", "/api/papers/2412.11965"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, b'{"error": "Collection not found"}'), "private or does not exist"),
        ((401, b"{}"), "private or does not exist"),
        ((500, b"{}"), "HTTP 500; try again later"),
        ((200, b"{}"), "makes no sense"),
        ((200, b"[]"), "makes no sense"),
        ((200, b"<html>"), "makes no sense"),
    ],
)
def test_a_useless_answer_is_a_sentence(answer: tuple[int, bytes], why: str, hub_answers: Answers) -> None:
    hub_answers(**{f"/api/collections/{SLUG}": answer})
    with pytest.raises(UserError, match=why) as refusal:
        missing(SLUG, HERE)
    assert "\n" not in str(refusal.value)


def test_without_a_network_it_is_said() -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        missing(SLUG, HERE)


@pytest.mark.parametrize("text", [SLUG, f"https://huggingface.co/collections/{SLUG}", f" {SLUG}/ "])
def test_a_collection_is_named_by_slug_or_address(text: str) -> None:
    assert slug_of(text) == SLUG


@pytest.mark.parametrize("text", ["", "sample", "a/b/c", "../..", "a/..", "a b/c", "https://example.org/a/b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="OWNER/SLUG"):
        slug_of(text)
