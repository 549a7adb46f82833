"""A grid: what it shows of a cell that is pointed at, walked to, tapped or named in the address."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_site
from tests.fixtures.mini_explorers import ATTACK, HEADS, LAYERS
from tests.site.conftest import PHONE

pytestmark = pytest.mark.browser

GRID = f"explore/{mini_site.NAME}/head_map"


def cell(page: Page, layer: int, head: int):
    return page.locator(f'[data-cell="{layer}.{head}"]')


def title(page: Page):
    return page.locator(".panel-box h2")


def test_it_opens_on_the_strongest_head(site, reader):
    page = reader(site).open(site.url(GRID))

    expect(page.locator("[data-cell]")).to_have_count(LAYERS * HEADS)
    expect(title(page)).to_have_text("Layer 4, head 2")
    expect(page.locator(".grid-over")).to_have_count(2)
    expect(page.locator(".explorer-status")).to_contain_text(f"2 of {LAYERS * HEADS} heads reach 0.15")


def test_a_head_pointed_at_shows_its_relations(site, reader):
    page = reader(site).open(site.url(GRID))

    cell(page, 20, 7).hover()

    expect(title(page)).to_have_text("Layer 20, head 7")
    rows = page.locator(".grid-scores tbody tr")
    expect(rows.first).to_contain_text("noun → plural")
    expect(rows.first).to_contain_text("coin → coins")
    expect(rows.first).to_contain_text("0.90")


def test_a_relation_can_be_chosen(site, reader):
    page = reader(site).open(site.url(GRID))

    page.locator("[name=item]").select_option("plural")

    expect(page.locator(".grid-over")).to_have_count(1)
    expect(cell(page, 20, 7)).to_have_text(".90")
    expect(cell(page, 20, 7)).to_have_attribute("aria-label", "Layer 20, head 7: noun → plural, 0.90")
    expect(page.locator(".explorer-status")).to_contain_text("coin → coins")
    assert "item=plural" in page.url


def test_arrows_walk_over_the_map(site, reader):
    page = reader(site).open(site.url(GRID))
    cell(page, 4, 2).focus()

    page.keyboard.press("ArrowRight")
    expect(title(page)).to_have_text("Layer 5, head 2")
    page.keyboard.press("ArrowDown")
    expect(title(page)).to_have_text("Layer 5, head 3")
    page.keyboard.press("End")
    expect(title(page)).to_have_text(f"Layer {LAYERS - 1}, head 3")
    page.keyboard.press("ArrowRight")
    expect(cell(page, LAYERS - 1, 3)).to_be_focused()
    expect(page.locator('[data-cell][tabindex="0"]')).to_have_count(1)


def test_a_head_that_is_held_stays_and_stands_in_the_address(site, reader):
    page = reader(site).open(site.url(GRID))
    cell(page, 20, 7).click()
    cell(page, 3, 3).hover()
    expect(title(page)).to_have_text("Layer 20, head 7held")

    page.reload()

    expect(title(page)).to_have_text("Layer 20, head 7held")
    cell(page, 20, 7).click()
    cell(page, 3, 3).hover()
    expect(title(page)).to_have_text("Layer 3, head 3")


def test_on_a_phone_layers_run_down_and_a_tap_tells(site, reader):
    page = reader(site, PHONE, has_touch=True).open(site.url(GRID))
    expect(page.locator(".grid-table tbody tr")).to_have_count(LAYERS)

    cell(page, 20, 7).tap()

    expect(title(page)).to_contain_text("Layer 20, head 7")
    expect(title(page)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_the_same_can_be_read_as_a_table(site, reader):
    page = reader(site).open(site.url(GRID))

    page.get_by_text("As a table").click()

    rows = page.locator(".explorer-table table tbody tr")
    expect(rows).to_have_text(["42country → capital0.90", "207noun → plural0.90"])


def test_a_relation_stays_when_another_run_is_chosen_that_has_it(site, reader):
    page = reader(site).open(site.url(GRID, "?item=plural"))
    runs = page.locator("[name=run]")
    expect(runs.locator("option")).to_have_count(3)

    runs.select_option(index=2)

    expect(page.locator("[name=item]")).to_have_value("plural")
    expect(page.locator(".grid-over")).to_have_count(1)
    page.wait_for_url("**run=gemma3-270m.quick**")


def test_a_value_leads_to_its_relation(site, reader):
    page = reader(site).open(site.url(GRID))

    page.get_by_role("button", name="noun → plural").click()

    expect(page.locator("[name=item]")).to_have_value("plural")
    expect(page.locator("[name=item]")).to_be_focused()
    page.go_back()
    expect(page.locator("[name=item]")).to_have_value("")


def test_hostile_examples_stay_text(site, reader):
    page = reader(site).open(site.url(GRID, "?item=plural"))

    expect(page.locator(".explorer-status")).to_contain_text(ATTACK)
    assert not page.locator(".explorer img").count()
