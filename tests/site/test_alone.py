"""An explorer as one file, and in it a lattice: a threshold, lines, dots, and a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from picks.site import alone
from reproductions.common import explorers
from tests.fixtures.mini_explorers import ATTACK
from tests.site.conftest import PHONE, WIDE

pytestmark = pytest.mark.browser
TOP = "2 end: after 0"


def lattice() -> dict[str, Any]:
    """Three tokens, one layer: the last token's state has what its MLP adds, and what a head brings from the first."""
    places = [("in", 0, "0"), ("between 0", 1, None), ("MLP 0", 2, None), ("after 0", 3, "1")]
    node = {"kind": "state", "parts": [{"title": "Lens", "lists": [{"lists": {"next": [" word", ATTACK]}}]}]}
    at = {"0 a: in": 0, "2 end: in": 2, "2 end: between 0": 2, "2 end: MLP 0": 2, TOP: 2}
    heads = [
        {"title": "Heads", "lists": [{"title": "head 0.3", "lists": {"promoted": [" up"], "suppressed": [" down"]}}]}
    ]
    edges = [
        {"from": "0 a: in", "to": "2 end: between 0", "weight": 0.06, "parts": heads},
        {"from": "2 end: in", "to": "2 end: between 0", "weight": 0.9},
        {"from": "2 end: between 0", "to": TOP, "weight": 0.7},
        {"from": "2 end: between 0", "to": "2 end: MLP 0", "weight": 0.3},
        {"from": "2 end: MLP 0", "to": TOP, "weight": 0.3},
    ]
    graph = {
        "name": "a b end",
        "across": ["a", f" {ATTACK}", " end"],
        "places": [
            {"name": name, "title": name, "column": column} | ({"label": label} if label else {})
            for name, column, label in places
        ],
        "nodes": [
            {"name": name, "place": name.partition(": ")[2], "across": token, **node} for name, token in at.items()
        ],
        "edges": edges,
        "starts": [TOP],
    }
    return {
        "title": "Flow",
        "about": f"What reaches it {ATTACK}",
        "node": {"one": "state", "many": "states"},
        "weight": "importance",
        "slider": {"least": 0.04, "step": 0.01},
        "kinds": [{"name": "state", "about": "a state"}],
        "graphs": [graph],
    }


@pytest.fixture
def opened(browser: Browser, tmp_path: Path):
    """Opens the page at a size; in the end nothing may have failed or run unbidden."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "flow.json").write_text(explorers.text("graph", lattice()), encoding="utf8")
    (tmp_path / "data" / "plain.json").write_text("[1]")
    (written,) = alone.write(tmp_path)
    faults: list[str] = []
    pages: list[Page] = []

    def make(size: tuple[int, int], query: str = "") -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{written.as_uri()}{query}")
        page.locator(".graph-lattice").wait_for()
        pages.append(page)
        return page

    yield make
    assert not faults
    assert not any(page.evaluate("window.hacked") for page in pages)


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_all_of_it_is_drawn_and_nothing_is_wider_than_the_page(opened, size):
    page = opened(size)

    expect(page.locator("[data-node]")).to_have_count(5)
    expect(page.locator(".graph-edge")).to_have_count(5)
    expect(page.locator(".graph-edge--across")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    ys = [page.locator(f'[data-node="{name}"]').bounding_box()["y"] for name in ("2 end: in", "2 end: between 0", TOP)]
    assert ys == sorted(ys, reverse=True)


def test_the_threshold_takes_edges_and_what_only_they_lead_to(opened):
    page = opened(WIDE)
    slider = page.locator("[name=least]")
    assert slider.get_attribute("min") == "0.04"

    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")

    expect(page.locator("output")).to_have_text("0.07")
    expect(page.locator("[data-node]")).to_have_count(4)
    expect(page.locator(".graph-edge--across")).to_have_count(0)


def test_a_line_shows_its_heads_and_a_dot_the_lens(opened):
    page = opened(WIDE)

    page.locator('.graph-reach[data-edge="0 a: in → 2 end: between 0"]').dispatch_event("click")
    expect(page.locator(".panel-box")).to_contain_text("head 0.3")
    expect(page.locator(".panel-box")).to_contain_text("down")
    page.locator('[data-node="2 end: MLP 0"]').click()
    expect(page.locator(".panel-box h2")).to_have_text("2 end: MLP 0")
    expect(page.locator(".panel-box")).to_contain_text("word")


def test_arrow_keys_go_down_the_strongest_edges(opened):
    page = opened(WIDE)
    page.locator(f'[data-node="{TOP}"]').focus()

    for _ in range(2):
        page.keyboard.press("ArrowDown")

    expect(page.locator('[data-node="2 end: in"]')).to_be_focused()


@pytest.mark.parametrize("across", [None, 3])
def test_a_node_that_stands_nowhere_is_refused(across):
    content = lattice()
    content["graphs"][0]["nodes"][1]["across"] = across
    if across is None:
        del content["graphs"][0]["nodes"][1]["across"]

    with pytest.raises(ValueError, match="in a lattice every node says which of the 3 it belongs to"):
        explorers.check("graph", content)


def test_a_page_holds_what_it_was_given():
    assert json.dumps(ATTACK) not in alone.page({"kind": "graph", **lattice()})
