"""What every explorer does: its choices stand in the address, it says what is amiss, and needs no words of ours."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_explorers, mini_site
from tests.site.conftest import PHONE

pytestmark = pytest.mark.browser

PAGES = {"grid": "head_map", "cards": "features", "graph": "flow_graph", "curves": "layers"}
EVERY = pytest.mark.parametrize("kind", PAGES)
CHOICES = {
    "grid": "?run=smollm2-135m.quick&item=plural&measure=runs&at=3.3&table=1",
    "cards": "?run=smollm2-135m.quick&words=capital&layer=15&sort=gap&at=resid-5%2F3&setting=-0.5&table=1",
    "graph": "?run=smollm2-135m.quick&kind=unexplained&least=0.1&weak=1&at=R14%2F60&look=R15%2F103&all=1&table=1",
    "curves": "?run=smollm2-135m.quick&group=heads&at=4&table=1",
}


def address(kind: str) -> str:
    return f"explore/{mini_site.NAME}/{PAGES[kind]}"


def opened(page: Page) -> Page:
    """The page, when it is drawn."""
    page.locator(".explorer-view > :not(noscript)").first.wait_for()
    return page


def view(page: Page) -> str:
    """All that is shown, and all that is chosen."""
    return page.evaluate("""() => {
        const fields = [...document.querySelectorAll(".explorer :is(input, select)")];
        const chosen = fields.map(({ name, value, checked }) => `${name} ${value} ${checked}`);
        return [document.querySelector(".explorer-view").innerHTML, ...chosen].join("\\n");
    }""")


@EVERY
def test_a_reload_gives_the_same_view(site, reader, kind):
    page = opened(reader(site).open(site.url(address(kind), CHOICES[kind])))
    expect(page.locator(".explorer-table table")).to_be_visible()
    before, url = view(page), page.url
    for choice in CHOICES[kind].removeprefix("?").split("&"):
        assert choice in url

    opened(page.reload() and page)

    expect(page.locator(".explorer-table table")).to_be_visible()
    assert view(page) == before
    assert page.url == url


@EVERY
def test_the_address_is_bare_at_first_and_the_page_loads_its_own_scripts_alone(served, reader, kind):
    one = reader(served)
    asked: list[str] = []
    one.context.on("request", lambda request: asked.append(request.url))

    page = opened(one.open(served.url(address(kind))))

    own = [url.rpartition("/")[2] for url in asked if "/js/explorers/" in url]
    assert own == ["explorer.js", "sheet.js", "list.js", f"{kind}.js"]
    assert "?" not in page.url


def test_other_pages_load_nothing_of_explorers(served, reader):
    one = reader(served)
    asked: list[str] = []
    one.context.on("request", lambda request: asked.append(request.url))

    one.open(served.url(f"papers/{mini_site.HOSTILE}"))

    assert asked
    assert not [url for url in asked if "explorers" in url]


@EVERY
def test_another_run_comes_with_its_file_and_goes_with_back(site, reader, kind):
    page = opened(reader(site).open(site.url(address(kind))))

    page.locator("[name=run]").select_option(index=1)

    page.wait_for_url("**run=smollm2-135m.quick*")
    file = f"results/{mini_site.NAME}/smollm2-135m.quick.{PAGES[kind]}.json"
    expect(page.locator("#explorer-data")).to_have_attribute("href", re.compile(re.escape(file)))
    page.go_back()
    expect(page.locator("[name=run]")).to_have_value("smollm2-135m.full")


@EVERY
@pytest.mark.parametrize(
    ("script", "told"),
    [
        (None, "The data of this run did not load."),
        ("window.EXPLORER = {", "The data of this run are not what this page draws"),
        ("window.EXPLORER = {kind: 'other'};", "The data of this run are not what this page draws"),
        ("window.EXPLORER = {kind: 'KIND', title: 1};", "The data of this run are not what this page draws"),
    ],
    ids=["missing", "cut off", "another kind", "empty"],
)
def test_data_that_are_missing_or_broken_are_said(served, browser, kind, script, told):
    context = browser.new_context()
    page = context.new_page()
    body = (script or "").replace("KIND", kind)
    answer = (lambda route: route.abort()) if script is None else (lambda route: route.fulfill(body=body))
    page.route("**/smollm2-135m.full.*.js", answer)
    page.goto(served.url(address(kind)))

    expect(page.get_by_role("alert")).to_contain_text(told)
    expect(page.locator("#explorer-data")).to_be_visible()
    page.locator("[name=run]").select_option(index=1)

    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".explorer-table")).to_be_visible()
    context.close()


@EVERY
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_is_wider_than_a_phone_whatever_is_unfolded(served, reader, kind, colours):
    page = opened(reader(served, PHONE, color_scheme=colours).open(served.url(address(kind), CHOICES[kind])))
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.locator(".explorer-table table").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@EVERY
def test_a_paper_gets_its_page_from_its_data_alone(served, project, reader, kind):
    """The small project's paper is a later one to the site: nothing in its sources names it, or its data."""
    sources = [path for path in (project / "site").rglob("*") if path.suffix in {".js", ".css", ".j2", ".html"}]
    assert not [path for path in sources if mini_site.NAME in path.read_text(encoding="utf8")]
    made = getattr(mini_explorers, kind)()
    page = reader(served).open(served.url("papers/2501.00002"))

    page.get_by_role("link", name=f"{made['title']}: explore").click()

    expect(page.locator("h1")).to_contain_text(made["title"])
    expect(page.locator(".lede")).to_contain_text(made["about"])
    expect(page.locator(".explorer-table")).to_be_visible()


def test_without_scripts_the_data_are_there(served, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url(address("curves")))

    expect(page.locator("#explorer-data")).to_be_visible()
    context.close()
