"""A reader walks through the site: on the web and from a disk, at a desk and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.site.conftest import FILLERS, PHONE, WIDE

pytestmark = pytest.mark.browser

SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
TITLES = "#picks-list .pick-title"
COINS = "“Heads”, co-occurrence and half-coins"
TAME = 6


def words(page: Page):
    return page.locator("#picks-filter [name=words]")


def chip(page: Page, tag: str):
    return page.locator("#picks-filter label.chip", has=page.locator(f'input[value="{tag}"]'))


def count(page: Page):
    return page.locator("#picks-count")


@SIZES
def test_from_the_list_to_a_figure(site, reader, size):
    page = reader(site, size).open(site.url())
    words(page).fill("toss")
    expect(count(page)).to_contain_text(re.compile(r"^\d+ of "))
    chip(page, "circuits").click()
    page.locator("[name=sort]").select_option("oldest")
    first = page.locator(TITLES).first
    expect(first).to_have_text("On the fairness of coins")
    page.wait_for_url("**words=toss**")
    before = page.url

    page.reload()

    assert page.url == before
    expect(words(page)).to_have_value("toss")
    expect(chip(page, "circuits").locator("input")).to_be_checked()
    expect(first).to_have_text("On the fairness of coins")
    page.get_by_role("link", name=COINS).click()
    expect(page.locator("h1")).to_contain_text(COINS)
    claim = page.locator("#claim-C1")
    claim.locator("summary").click()
    claim.locator("dd a[href^='#figure']").click()
    expect(page.locator("figure:target img:visible")).to_be_in_viewport()


def test_bibtex_is_copied(site, reader):
    allowed = {} if site.offline else {"permissions": ["clipboard-read", "clipboard-write"]}
    page = reader(site, **allowed).open(site.url("papers/2501.00002"))
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(getSelection()) })")
    button = page.locator(".copy-button[data-copy='#cite-bibtex']")

    button.click()

    expect(button).to_have_text("Copied")
    expect(page.locator("[role=status]").last).to_have_text("Copied")
    if not site.offline:
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#cite-bibtex").text_content()


def test_without_a_clipboard_the_text_is_copied_as_a_selection(served, reader):
    page = reader(served).open(served.url("papers/2501.00002"))
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(getSelection()) })")

    page.locator(".copy-button[data-copy='#cite-bibtex']").click()

    assert page.evaluate("window.copied").startswith("@")


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ('"heads" co‑occurrence', COINS),
        ("‘Heads’, co occurrence and half–coins", COINS),
        ("bela FAIRNESS", "On the fairness of coins"),
        ("https://arxiv.org/abs/2501.00001v3", "On the fairness of coins"),
        ("王小明", "An old coin"),
    ],
)
def test_words_are_found_however_they_are_typed(served, reader, query, title):
    page = reader(served).open(served.url())

    words(page).fill(query)

    expect(page.locator(TITLES)).to_have_text([title])


def test_tags_add_up_and_count_what_is_left(site, reader):
    page = reader(site).open(site.url())
    chip(page, "survey").click()
    expect(count(page)).to_have_text(f"{FILLERS + 1} of {FILLERS + TAME + 1} picks")
    expect(chip(page, "tools").locator(".chip-count")).to_have_text(str(FILLERS))
    expect(chip(page, "circuits").locator("input")).to_be_disabled()

    chip(page, "tools").click()

    expect(count(page)).to_have_text(f"{FILLERS} of {FILLERS + TAME + 1} picks")


def test_a_tag_in_the_list_narrows_the_list(served, reader):
    page = reader(served).open(served.url())

    page.locator(".pick a.chip", has_text="circuits").first.click()

    expect(chip(page, "circuits").locator("input")).to_be_checked()
    assert "tag=circuits" in page.url


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?kind=method", ["One coin, many times"]),
        ("?year=2001", ["An old coin"]),
        ("?venue=ACL+2025", ["On the fairness of coins"]),
        ("?thread=1", [COINS]),
        ("?notebook=1&tag=evaluation&words=half", [COINS]),
        ("?verdict=holds&words=half", [COINS]),
        ("?words=no+such+thing", []),
    ],
)
def test_a_filter_comes_with_the_address(site, reader, query, shown):
    page = reader(site).open(site.url(query=query))

    expect(page.locator(TITLES)).to_have_text(shown)
    expect(page.locator(".picks-nothing")).to_be_visible(visible=not shown)


def test_the_collection_has_an_order_of_its_own(served, reader):
    page = reader(served).open(served.url(query="?sort=collection"))

    expect(page.locator(TITLES).nth(2)).to_have_text("An old coin")
    page.locator("[name=sort]").select_option("upvotes")
    expect(page.locator(TITLES).first).to_have_text("On the fairness of coins")


def test_the_order_is_remembered_unless_the_address_asks_for_another(served, reader):
    someone = reader(served)
    page = someone.open(served.url())
    page.locator("[name=sort]").select_option("title")
    expect(page.locator(TITLES).nth(1)).to_have_text("An old coin")

    again = someone.open(served.url())
    shared = someone.open(served.url(query="?sort=oldest"))

    expect(again.locator(TITLES).nth(1)).to_have_text("An old coin")
    assert "sort=title" in again.url
    expect(shared.locator("[name=sort]")).to_have_value("oldest")


def test_back_and_forward_bring_back_the_list(site, reader):
    page = reader(site).open(site.url())
    chip(page, "survey").click()
    chip(page, "tools").click()
    expect(count(page)).to_contain_text(f"{FILLERS} of")

    page.go_back()
    expect(count(page)).to_contain_text(f"{FILLERS + 1} of")
    page.go_forward()
    expect(count(page)).to_contain_text(f"{FILLERS} of")


def test_more_of_the_list_comes_when_asked_for(site, reader):
    page = reader(site).open(site.url())
    expect(page.locator(TITLES)).to_have_count(30)

    page.get_by_role("button", name="Show more").click()

    expect(page.locator(TITLES)).to_have_count(FILLERS + TAME + 1)
    expect(page.locator(f"{TITLES} a").nth(30)).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_the_way_back_leads_to_where_one_was(served, reader):
    page = reader(served).open(served.url())
    follow_the_last(page)

    page.go_back()

    expect(page.locator(f"{TITLES} a").last).to_be_in_viewport()


def test_the_way_back_leads_there_even_if_fonts_come_late(served, reader):
    one = reader(served)
    page = one.open(served.url())
    follow_the_last(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    one.context.route("**/*.woff2", hold)

    page.go_back(wait_until="commit")
    expect(page.locator(TITLES)).to_have_count(FILLERS + TAME + 1)
    for route in held:
        route.continue_()

    assert held
    expect(page.locator(f"{TITLES} a").last).to_be_in_viewport()


def follow_the_last(page: Page) -> None:
    """Show the whole list, and follow its last link."""
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(TITLES)).to_have_count(FILLERS + TAME + 1)
    page.locator(f"{TITLES} a").last.click()
    page.wait_for_url("**/papers/**")


def test_the_script_draws_a_pick_as_the_page_does(site, reader):
    page = reader(site).open(site.url())
    plain = [shape(page, number) for number in range(30)]

    words(page).fill("e")
    expect(count(page)).to_contain_text(" of ")
    words(page).fill("")
    expect(count(page)).to_have_text(f"{FILLERS + TAME + 1} picks")

    assert [shape(page, number) for number in range(30)] == plain


def shape(page: Page, number: int) -> list[list[str]]:
    """The elements of an item with their classes and texts; links of tags differ, since here they narrow the list."""
    script = """(item) => [...item.querySelectorAll("*")].map((part) => [
        part.tagName, part.getAttribute("class"), part.textContent.replace(/\\s+/g, " ").trim(),
        part.classList.contains("chip") ? "" : part.getAttribute("href"), part.getAttribute("width"),
        part.getAttribute("aria-label"),
    ])"""
    return page.locator("#picks-list > li").nth(number).evaluate(script)


def test_all_of_it_works_from_the_keyboard(site, reader):
    page = reader(site).open(site.url())
    words(page).focus()
    page.keyboard.type("coin")
    expect(count(page)).to_contain_text(" of ")
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"{TITLES} a").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"{TITLES} a").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(words(page)).to_be_focused()

    page.locator("input[name=tag]:enabled").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")

    expect(page.locator("input[name=tag]:enabled").nth(1)).to_be_checked()


def test_the_slash_still_opens_the_search(served, reader):
    page = reader(served).open(served.url())

    page.keyboard.press("/")

    expect(page.locator(".md-search__input")).to_be_focused()


def test_a_random_pick_is_one_of_those_that_are_left(site, reader):
    page = reader(site).open(site.url(query="?venue=ACL+2025"))
    expect(page.locator(TITLES)).to_have_count(1)

    page.get_by_role("button", name="Random pick").click()

    expect(page.locator("h1")).to_contain_text("On the fairness of coins")


def test_without_scripts_the_list_is_plain(served, reader, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url())

    expect(page.locator(TITLES)).to_have_count(30)
    expect(page.locator("#picks-filter")).to_be_hidden()
    page.goto(served.url("papers/2501.00002"))
    expect(page.locator(".copy").first).to_be_hidden()
    context.close()


@SIZES
def test_results_are_narrowed_and_kept_in_the_address(site, reader, size):
    page = reader(site, size).open(site.url("results"))
    page.locator("#results-filter [name=verdict]").select_option("opposite")
    page.locator("#results-filter [name=words]").fill("coins heads")
    rows = page.locator("#results tr[data-verdicts]:visible")
    expect(rows).to_have_count(2)
    expect(page.locator("#results-count")).to_have_text(re.compile("^2 of "))

    page.reload()

    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator("#results-count")).to_have_text(re.compile(r"^\d+ claims"))
    assert "?" not in page.url


@SIZES
def test_results_of_one_model_stand_alone_and_of_two_where_they_differ(site, reader, size):
    page = reader(site, size).open(site.url("results", "?model=gemma3-270m&verdict=opposite"))
    expect(page.locator("#results-count")).to_have_text(re.compile("^0 of "))  # that is the other model's
    page.goto(site.url("results", "?differ=yes"))
    ids = page.locator("#results tr[data-paper='2501.00002']:visible .claim-id")
    expect(ids).to_have_text(["C1", "C6", "C4"])
    page.locator("[name=model]").select_option("gemma3-270m")
    expect(page.locator("#results td[data-model='smollm2-135m']:visible")).to_have_count(0)


def test_results_are_sorted_by_any_column_and_come_back(site, reader):
    page = reader(site).open(site.url("results"))
    ids = page.locator("#results tbody:has([href*='2501.00002']) >> nth=0 >> .claim-id")
    own = ids.all_text_contents()
    head = page.locator("th[data-sort='smollm2-135m']")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert ids.all_text_contents() == ["C1", "C6", "C4", "C2", "C5"]
    head.get_by_role("button").click()
    assert ids.all_text_contents() == ["C5", "C2", "C4", "C1", "C6"]
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "none")
    assert ids.all_text_contents() == own


@SIZES
def test_figures_follow_the_palette(site, reader, size):
    page = reader(site, size, color_scheme="light").open(site.url("papers/2501.00002"))
    figure = page.locator(".found ~ .figures .figure").first
    expect(figure.locator("img:visible")).to_have_attribute("src", re.compile(r"light\.png$"))

    page.locator("label[title$='Switch to light']").click()
    page.locator("label[title$='Switch to dark']").click()

    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
    expect(figure.locator("img:visible")).to_have_attribute("src", re.compile(r"dark\.png$"))
