"""The head map: what it shows of a head that is pointed at, walked to, tapped or named in the address."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_site
from tests.site.conftest import HEADS, LAYERS, PHONE

pytestmark = pytest.mark.browser

MAP = f"explore/{mini_site.NAME}/head_map"


def cell(page: Page, layer: int, head: int):
    return page.locator(f'[data-place="{layer}.{head}"]')


def title(page: Page):
    return page.locator(".head-panel h2")


def test_it_opens_on_the_strongest_head(site, reader):
    page = reader(site).open(site.url(MAP))

    expect(page.locator("[data-place]")).to_have_count(LAYERS * HEADS)
    expect(title(page)).to_have_text("Layer 4, head 2")
    expect(page.locator(".head--over")).to_have_count(2)
    expect(page.locator(".head-about")).to_contain_text(f"2 of {LAYERS * HEADS} heads reach 0.15")


def test_a_head_pointed_at_shows_its_relations(site, reader):
    page = reader(site).open(site.url(MAP))

    cell(page, 20, 7).hover()

    expect(title(page)).to_have_text("Layer 20, head 7")
    rows = page.locator(".head-scores tbody tr")
    expect(rows.first).to_contain_text("noun → plural")
    expect(rows.first).to_contain_text("coin → coins")
    expect(rows.first).to_contain_text("0.90")


def test_a_relation_can_be_chosen(site, reader):
    page = reader(site).open(site.url(MAP))

    page.locator(".head-pickers [name=relation]").select_option("plural")

    expect(page.locator(".head--over")).to_have_count(1)
    expect(cell(page, 20, 7)).to_have_text(".90")
    expect(cell(page, 20, 7)).to_have_attribute("aria-label", "Layer 20, head 7: noun → plural, 0.90")
    expect(page.locator(".head-about")).to_contain_text("coin → coins")
    assert "relation=plural" in page.url


def test_arrows_walk_over_the_map(site, reader):
    page = reader(site).open(site.url(MAP))
    cell(page, 4, 2).focus()

    page.keyboard.press("ArrowRight")
    expect(title(page)).to_have_text("Layer 5, head 2")
    page.keyboard.press("ArrowDown")
    expect(title(page)).to_have_text("Layer 5, head 3")
    page.keyboard.press("End")
    expect(title(page)).to_have_text(f"Layer {LAYERS - 1}, head 3")
    page.keyboard.press("ArrowRight")
    expect(cell(page, LAYERS - 1, 3)).to_be_focused()
    expect(page.locator('[data-place][tabindex="0"]')).to_have_count(1)


def test_a_head_that_is_held_stays_and_stands_in_the_address(site, reader):
    page = reader(site).open(site.url(MAP))
    cell(page, 20, 7).click()
    cell(page, 3, 3).hover()
    expect(title(page)).to_have_text("Layer 20, head 7held")

    page.reload()

    expect(title(page)).to_have_text("Layer 20, head 7held")
    cell(page, 20, 7).click()
    cell(page, 3, 3).hover()
    expect(title(page)).to_have_text("Layer 3, head 3")


def test_on_a_phone_layers_run_down_and_a_tap_tells(site, reader):
    page = reader(site, PHONE, has_touch=True).open(site.url(MAP))
    expect(page.locator(".head-grid tbody tr")).to_have_count(LAYERS)

    cell(page, 20, 7).tap()

    expect(title(page)).to_contain_text("Layer 20, head 7")
    expect(title(page)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_the_same_can_be_read_as_a_table(site, reader):
    page = reader(site).open(site.url(MAP))

    page.get_by_text("As a table").click()

    rows = page.locator(".head-listed tbody tr")
    expect(rows).to_have_text(["42country → capital0.90", "207noun → plural0.90"])


def test_another_run_can_be_looked_at(site, reader):
    page = reader(site).open(site.url(MAP, "?relation=plural"))
    runs = page.locator(".explorer-run")
    expect(runs.locator("option")).to_have_count(3)

    runs.select_option(index=2)

    expect(page.locator(".head--over")).to_have_count(2)
