"""A graph: a node is traced, walked over, looked at and made the centre, and so are its edges."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_explorers, mini_site
from tests.site.conftest import PHONE

pytestmark = pytest.mark.browser

GRAPH = f"explore/{mini_site.NAME}/flow_graph"


def node(page: Page, name: str):
    return page.locator(f'[data-node="{name}"]')


def nodes(page: Page) -> set[str]:
    return set(page.locator("[data-node]").evaluate_all("all => all.map((node) => node.dataset.node)"))


def panel(page: Page):
    return page.locator(".panel-box h2")


def about(page: Page):
    return page.locator(".explorer-status")


def field(page: Page, name: str):
    return page.locator(f".explorer [name={name}]")


def opened(page: Page) -> Page:
    page.locator(".graph-drawn").wait_for()
    return page


def test_it_opens_on_the_first_seed_without_edges_of_chance(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))

    assert nodes(page) == {"R14/22", "M15/7", "R15/1034"}
    expect(page.locator(".graph-weight")).to_have_text([".64", ".83", ".42"])
    expect(about(page)).to_have_text(
        "R15/1034: 2 features lead to it, no features follow from it directly. 1 weaker edge is hidden."
    )
    expect(panel(page)).to_have_text("R15/1034centre")
    expect(page.locator(".list-name")).to_have_text(["R15/1034", "R14/60", "R15/9"])


def test_columns_stand_in_the_order_of_the_sites(served, reader):
    page = opened(reader(served).open(served.url(GRAPH)))

    across = [node(page, name).bounding_box()["x"] for name in ("R14/22", "M15/7", "R15/1034")]
    assert across == sorted(across) and len(set(across)) == 3
    widths = page.locator(".graph-edge").evaluate_all(
        "all => Object.fromEntries(all.map((edge) => [edge.dataset.edge, Number(edge.getAttribute('stroke-width'))]))"
    )
    assert widths["R14/22 → R15/1034"] > widths["M15/7 → R15/1034"] > widths["R14/22 → M15/7"]


def test_weaker_edges_can_be_shown_and_are_dashed(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))
    expect(page.locator(".legend")).to_contain_text("no more than chance (below 0.31 from R14, 0.28 from A15 and M15)")

    field(page, "weak").check()

    expect(node(page, "A15/4")).to_be_visible()
    expect(page.locator(".graph-edge--weak")).to_have_attribute("data-edge", "A15/4 → R15/1034")
    assert "weak=1" in page.url


def test_the_slider_leaves_out_what_is_weaker(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))
    field(page, "least").focus()

    for _ in range(14):
        page.keyboard.press("ArrowRight")

    expect(page.locator("output")).to_have_text("0.70")
    expect(page.locator(".graph-weight")).to_have_text([".83"])
    assert "least=0.7" in page.url


def test_an_edge_is_looked_at(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))

    page.locator(".graph-weight", has_text=".64").click()

    expect(panel(page)).to_have_text("M15/7 → R15/1034")
    told = page.locator(".panel-box .sheet-facts")
    expect(told.first).to_have_text(f"cosine 0.64 · told {mini_explorers.ATTACK}")
    expect(told.last).to_contain_text("town · ↵")
    expect(page.locator(".graph-edge.graph-touched")).to_have_attribute("data-edge", "M15/7 → R15/1034")
    page.reload()
    expect(panel(page)).to_have_text("M15/7 → R15/1034")
    page.locator(".panel-box").get_by_role("button", name="M15/7").click()
    expect(panel(page)).to_have_text("M15/7")


def test_a_node_is_shown_and_then_made_the_centre(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))

    node(page, "M15/7").click()
    expect(panel(page)).to_have_text("M15/7")
    expect(page.locator(".panel-box")).to_contain_text("newborn: only of a module")
    assert "look=M15%2F7" in page.url and "at=" not in page.url
    page.get_by_role("button", name="Make it the centre").click()

    expect(panel(page)).to_have_text("M15/7centre")
    expect(about(page)).to_contain_text("M15/7: 1 feature leads to it, 1 feature follows from it directly.")
    expect(node(page, "M15/7")).to_be_focused()
    assert page.url.endswith("?at=M15%2F7")
    page.go_back()
    expect(panel(page)).to_have_text("M15/7")
    expect(about(page)).to_contain_text("R15/1034: 2 features lead to it")


def test_all_of_it_works_with_keys(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))
    expect(page.locator('[data-node][tabindex="0"]')).to_have_count(1)
    node(page, "R15/1034").focus()

    page.keyboard.press("ArrowLeft")
    expect(node(page, "R14/22")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(node(page, "R15/1034")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(node(page, "R15/1034")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(panel(page)).to_have_text("R14/22")
    page.keyboard.press("Enter")
    expect(panel(page)).to_have_text("R14/22centre")
    expect(node(page, "R14/22")).to_be_focused()


def test_an_address_leads_to_a_feature_and_its_window(site, reader):
    page = opened(reader(site).open(site.url(GRAPH, "?at=R21/5")))

    expect(panel(page)).to_have_text("R21/5centre")
    expect(field(page, "graph")).to_have_value("layers 20 and 21")
    expect(about(page)).to_contain_text("no features lead to it")

    field(page, "graph").select_option("layers 14 and 15")
    expect(panel(page)).to_have_text("R15/1034centre")
    page.go_back()
    expect(panel(page)).to_have_text("R21/5centre")


def test_a_feature_that_is_not_there_is_said(site, reader):
    page = opened(reader(site).open(site.url(GRAPH, "?at=R99/1")))

    expect(page.locator(".filter-count")).to_have_text("3 features to start from. This run has no feature “R99/1”.")
    expect(panel(page)).to_have_text("R15/1034centre")


def test_words_search_all_features_and_kind_narrows_the_seeds(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))
    listed = page.locator(".list-name")

    field(page, "kind").select_option("unexplained")
    expect(listed).to_have_text(["R15/9"])
    expect(page.locator(".filter-count")).to_have_text("1 of 3 features to start from")
    field(page, "kind").select_option("")
    field(page, "words").fill("lesstown")
    expect(listed).to_have_text(["M15/7"])
    expect(page.locator(".filter-count")).to_have_text("1 of 18 features")
    page.get_by_role("link", name="M15/7").click()
    expect(panel(page)).to_have_text("M15/7centre")
    field(page, "words").fill("no such thing")
    expect(listed).to_have_count(0)


def test_a_wide_fan_is_cut_until_all_is_asked_for(site, reader):
    page = opened(reader(site).open(site.url(GRAPH, "?at=R14/60")))
    expect(page.locator("[data-node]")).to_have_count(9)
    expect(about(page)).to_contain_text("4 more are left out.")

    page.get_by_role("button", name="Show all").click()

    expect(page.locator("[data-node]")).to_have_count(13)
    expect(about(page)).not_to_contain_text("left out")


def test_the_edges_can_be_read_as_a_list(site, reader):
    page = opened(reader(site).open(site.url(GRAPH, "?weak=1")))

    page.get_by_text("As a table").click()

    attack = mini_explorers.ATTACK
    rows = page.locator(".explorer-table table tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first.locator("td")).to_have_text(
        [f"R14/22 city · ↵ · {attack}", f"M15/7 town · ↵ · {attack}", "0.42", "yes"]
    )
    expect(rows.last.locator("td").nth(3)).to_have_text("no")
    rows.first.get_by_role("button", name="M15/7").click()
    expect(panel(page)).to_have_text("M15/7")
    rows.first.get_by_role("button", name="0.42").click()
    expect(panel(page)).to_have_text("R14/22 → M15/7")

    page.get_by_role("link", name="R15/9").click()
    expect(rows).to_have_count(0)


def test_a_node_says_all_that_is_drawn_of_it(site, reader):
    page = opened(reader(site).open(site.url(GRAPH)))

    label = node(page, "M15/7").get_attribute("aria-label")
    assert label.startswith("M15/7 newborn town · ↵")
    assert label.endswith(", MLP of layer 15")
    assert node(page, "R15/1034").get_attribute("aria-label").endswith(", the centre")
    expect(node(page, "M15/7")).to_have_attribute("aria-pressed", "false")
    expect(node(page, "R15/1034")).to_have_attribute("aria-pressed", "true")


def test_hostile_tokens_stay_text(site, reader):
    page = opened(reader(site).open(site.url(GRAPH, "?at=R15/9")))

    expect(page.locator(".panel-box")).to_contain_text(mini_explorers.ATTACK)
    assert not page.locator(".explorer img").count()


def test_on_a_phone_the_flow_runs_down(site, reader):
    page = opened(reader(site, PHONE, has_touch=True).open(site.url(GRAPH)))
    down = [node(page, name).bounding_box()["y"] for name in ("R14/22", "M15/7", "R15/1034")]
    assert down == sorted(down) and len(set(down)) == 3

    node(page, "M15/7").tap()

    expect(panel(page)).to_have_text("M15/7")
    expect(panel(page)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_a_window_that_changes_its_width_gets_another_drawing(served, reader):
    page = opened(reader(served).open(served.url(GRAPH)))
    node(page, "M15/7").click()

    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})

    page.wait_for_function(
        "document.querySelector('[data-node^=R14]').getBoundingClientRect().bottom <"
        " document.querySelector('[data-node^=M15]').getBoundingClientRect().top"
    )
    expect(panel(page)).to_have_text("M15/7")
