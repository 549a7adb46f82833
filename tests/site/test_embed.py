"""In a frame: an explorer or one claim by itself, a line that leads to the whole page, and links that lead out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.fixtures import built_site, mini_site

pytestmark = pytest.mark.browser

PAPER = "papers/2501.00002"
CURVES = f"explore/{mini_site.NAME}/layers"
KINDS = {
    "head_map": ".grid-table",
    "features": ".explorer-list",
    "flow_graph": ".graph-drawn",
    "layers": ".curves-drawn",
}
AROUND = ".md-header, .md-tabs, .md-sidebar, .md-footer"
EMBED = re.compile(r"[?&]embed=1")


def framed(page, url):
    """The page in a frame of this one."""
    page.evaluate(
        """url => {
        const frame = document.createElement("iframe");
        Object.assign(frame, { id: "framed", src: url, width: 800, height: 600 });
        document.body.prepend(frame);
    }""",
        url,
    )
    return page.frame_locator("#framed")


@pytest.mark.parametrize("name", KINDS)
def test_an_explorer_stands_by_itself(site, reader, name):
    page = reader(site).open(site.url(f"explore/{mini_site.NAME}/{name}", "?embed=1"))

    page.locator(KINDS[name]).wait_for()
    expect(page.locator("h1")).to_be_visible()
    for part in page.locator(f"{AROUND}, #picture, .panel-links, .lede .eyebrow").all():
        expect(part).to_be_hidden()
    expect(page.locator(".embed-line a")).to_be_visible()
    expect(page.locator(".embed-line")).to_have_text("“Heads”, co-occurrence and half-coins in Daily Picks")


def test_what_is_chosen_in_a_frame_stays_in_a_frame(site, reader):
    page = reader(site).open(site.url(CURVES, "?embed=1"))
    page.locator(".curves-drawn").wait_for()

    page.locator("[name=group]").select_option(index=1)

    expect(page).to_have_url(re.compile(r"\?group=.*&embed=1$"))
    page.reload()
    expect(page.locator("[name=group]")).not_to_have_value("")
    expect(page.locator(".md-header")).to_be_hidden()


def test_the_line_leads_to_the_whole_page_as_it_is_shown(site, reader):
    page = reader(site).open(site.url("about"))
    frame = framed(page, site.url(CURVES, "?embed=1&at=4"))
    expect(frame.locator(".curves-legend legend")).to_have_text("layer 4")

    frame.locator(".embed-line a").click()

    expect(page).to_have_url(site.url(CURVES, "?at=4"))
    expect(page.locator(".md-header")).to_be_visible()
    expect(page.locator(".embed-line")).to_be_hidden()


def test_one_claim_stands_by_itself(site, reader):
    page = reader(site).open(site.url(PAPER, "?embed=1#claim-C1"))

    expect(page.locator("#claim-C1")).to_be_visible()
    expect(page.locator("#claim-C1 .verdict").first).to_be_visible()
    for part in page.locator(f"{AROUND}, h1, h2, h3, .paper-head, .panel, .claim:not(#claim-C1), .cite").all():
        expect(part).to_be_hidden()
    expect(page.locator(".embed-line a")).to_be_visible()


def test_a_claims_line_leads_to_the_claim(site, reader):
    page = reader(site).open(site.url("about"))
    frame = framed(page, site.url(PAPER, "?embed=1#claim-C1"))

    frame.locator(".embed-line a").click()

    expect(page).to_have_url(site.url(PAPER, "#claim-C1"))
    expect(page.locator("h1")).to_be_visible()


def test_a_page_of_its_own_is_whole(site, reader):
    page = reader(site).open(site.url(PAPER, "#claim-C1"))
    for part in (".md-header", "h1", "#claim-C1", "#claim-C2"):
        expect(page.locator(part).first).to_be_visible()
    expect(page.locator(".embed-line")).to_be_hidden()


def test_a_frame_is_known_before_anything_is_drawn(served):
    for address in (PAPER, CURVES):
        page = built_site.page(served.folder / address / "index.html")
        [script] = page.xpath("//head/script[contains(@src, 'embed.js')]")
        assert script.get("defer") is None and script.get("async") is None
    assert not built_site.page(served.folder / "index.html").xpath("//script[contains(@src, 'embed.js')]")
