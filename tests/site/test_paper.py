"""What was found, and how one gets from a sentence to its evidence and back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.site.conftest import PHONE, WIDE

pytestmark = pytest.mark.browser

SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
PAPER = "papers/2501.00002"


@SIZES
def test_the_tally_narrows_the_claims_to_those_of_its_facts(site, reader, size):
    page = reader(site, size).open(site.url(PAPER))
    claims = page.locator(".claim:visible")
    everything = claims.count()
    button = page.get_by_role("button", name="1 is the opposite")

    button.click()

    expect(button).to_have_attribute("aria-pressed", "true")
    expect(claims).to_have_count(1)
    expect(claims).to_have_attribute("id", "claim-C4")
    expect(page.locator("#claims-count")).to_contain_text("1 of 6 claims")
    button.click()
    expect(claims).to_have_count(everything)
    expect(page.locator("#claims-count")).to_be_empty()


@SIZES
def test_a_link_to_a_claim_opens_it(site, reader, size):
    page = reader(site, size).open(site.url(PAPER) + "#claim-C4")
    claim = page.locator("#claim-C4")
    expect(claim.get_by_role("heading")).to_contain_text("More coins land on edge than on heads.")
    expect(claim.locator("details")).to_have_attribute("open", "")
    expect(claim).to_be_in_viewport()
    expect(page.locator("#claim-C1 details")).not_to_have_attribute("open", "")


@SIZES
def test_a_researcher_finds_finding_figure_citation_and_a_link_to_a_claim(site, reader, size):
    page = reader(site, size).open(site.url(PAPER))
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(getSelection()) })")
    sentence = page.locator(".found-sentence").first
    expect(sentence).to_contain_text("coins fall heads, 0.90 [0.85, 0.95] of the time")
    expect(page.locator(".found ~ .figures figcaption").first).to_contain_text("Claims C1")

    page.get_by_role("button", name="Copy BibTeX").first.click()
    page.wait_for_function("window.copied?.includes('@misc{')")

    sentence.get_by_role("link", name="C1").click()
    page.wait_for_url("**#claim-C1")
    page.get_by_role("button", name="Copy the link to C1").click()
    page.wait_for_function("window.copied?.trim().endsWith('#claim-C1')")


def test_a_sceptic_gets_from_a_verdict_to_its_figure_data_and_seeds_and_back(site, reader):
    page = reader(site).open(site.url("results"))
    page.locator("#results a[href*='2501.00002'][href*='claim-C1']").first.click()
    claim = page.locator("#claim-C1")
    expect(claim.locator("details")).to_have_attribute("open", "")
    expect(claim).to_contain_text("by seed 0.80, 0.90, 1.0")
    expect(claim.get_by_role("link", name="units (CSV)").first).to_have_attribute("href", re.compile(r"claim-C1\.csv$"))
    claim.locator("dd a[href^='#figure']").click()
    expect(page.locator("figure:target")).to_be_in_viewport()
    page.go_back()
    page.go_back()
    expect(page.locator("#results")).to_be_visible()


def test_without_scripts_every_claim_can_be_read_and_opened(served, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url(PAPER))
    expect(page.locator(".claim:visible")).to_have_count(6)
    page.locator("#claim-C4 summary").click()
    expect(page.locator("#claim-C4 dl")).to_be_visible()
    expect(page.locator(".copy").first).to_be_hidden()
    context.close()


def test_on_paper_a_claim_is_neither_cut_nor_squeezed(served, reader):
    page = reader(served, (560, 800)).open(served.url(PAPER))
    page.emulate_media(media="print")
    boxes = page.locator(".claim-plot svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert min(boxes) > 120
    assert page.evaluate("document.documentElement.scrollWidth") <= 560
    expect(page.locator(".copy:visible")).to_have_count(0)
