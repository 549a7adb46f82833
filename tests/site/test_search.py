"""Finding things: forty-nine questions of readers to the real site, and answers of filter and search on a small one."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from picks.site.build import build
from tests.fixtures.mini_site import CODE
from tests.site.conftest import PATIENCE, PHONE, WIDE, QuietHandler, Site

pytestmark = pytest.mark.browser

QUERIES = yaml.safe_load((CODE / "tests" / "fixtures" / "queries.yml").read_text(encoding="utf8"))
HITS = ".md-search-result__item"
COINS = "“Heads”, co-occurrence and half-coins"


@pytest.fixture(scope="module")
def real() -> Iterator[Site]:
    """The real site, as the web has it."""
    folder = build(CODE).folder
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}/", offline=False)
        server.shutdown()


@pytest.fixture(scope="module")
def home(real: Site, browser: Browser) -> Iterator[Page]:
    """Its home page, with the list loaded and the search open."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(real.url(query="?kind=method"))
    expect(page.locator("#picks-count")).to_contain_text(" of ")
    page.get_by_role("button", name="Clear all filters").click()
    search(page, "attention")
    yield page
    context.close()


def search(page: Page, query: str) -> None:
    """Ask the search, and wait for an answer."""
    field = page.locator(".md-search__input")
    if not field.is_visible():
        page.locator("header [for=__search]").click()
    field.fill(query)
    expect(page.locator(f"{HITS}, .md-search-result__meta:text('No matching')").first).to_be_visible()


def filtered(page: Page, query: str) -> list[str]:
    """The ids of the first three picks that the filter leaves: an event of typing, and all that follows from it."""
    script = """(query) => {
      const input = document.querySelector("#picks-filter [name=words]");
      input.value = query;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }"""
    page.evaluate(script, query)
    return first(page, "#picks-list .pick-title a")


def searched(page: Page, query: str) -> list[str]:
    """The ids of the first three hits of the search; other pages count by their addresses."""
    page.evaluate("(query) => Search.open(query)", query)
    return first(page, f"{HITS} > a")


def first(page: Page, links: str) -> list[str]:
    """Where the first three of some links lead."""
    found = page.evaluate("(links) => [...document.querySelectorAll(links)].slice(0, 3).map(({ href }) => href)", links)
    return [re.sub(r"^.*?//[^/]*/(papers/)?|/?(\?.*)?$", "", link) for link in found]


def missed(ask: Callable[[str], list[str]]) -> list[str]:
    """The questions whose right answer is not among the first three."""
    return [query for query, pick in QUERIES if pick not in ask(query)]


def test_there_are_forty_nine_questions_about_picks() -> None:
    assert len(QUERIES) == len({query for query, _ in QUERIES}) == 49
    assert all((CODE / "papers" / f"{pick}.yml").is_file() for _, pick in QUERIES)


def test_the_filter_finds_what_readers_look_for(home: Page) -> None:
    assert missed(functools.partial(filtered, home)) == []


def test_the_search_finds_what_readers_look_for(home: Page) -> None:
    assert missed(functools.partial(searched, home)) == []


def test_filter_and_search_agree(home: Page) -> None:
    for query, _ in QUERIES:
        picks = [link for link in searched(home, query) if (CODE / "papers" / f"{link}.yml").is_file()]
        assert filtered(home, query)[: len(picks)] == picks, query


@pytest.mark.parametrize(
    "query", ["fairnes", "fairnesses of the coin", "On the fairness", "bela fairness", "coins farness"]
)
def test_words_are_understood(served, reader, query):
    page = reader(served).open(served.url())

    page.locator("#picks-filter [name=words]").fill(query)
    search(page, query)

    expect(page.locator("#picks-list .pick-title").first).to_have_text("On the fairness of coins")
    expect(page.locator(f"{HITS} h1").first).to_have_text("On the fairness of coins")


@pytest.mark.parametrize(
    ("typed", "written"),
    [("Sogaard", "Søgaard"), ("Madry", "Mądry"), ("Lodz", "Łódź"), ("Strasse", "Straße"), ("AEsop", "Æsop")],
)
def test_letters_are_folded(served, reader, typed, written):
    page = reader(served).open(served.url())

    assert page.evaluate("([typed, written]) => Page.fold(typed) === Page.fold(written)", [typed, written])


@pytest.mark.parametrize(
    ("one", "other", "most", "distance"),
    [
        ("induction", "inducton", 2, 1),
        ("induction", "inductoin", 2, 1),
        ("probing", "probing", 1, 0),
        ("patching", "matching", 1, 1),
        ("steering", "sparse", 2, 3),
        ("circuit", "circuitry", 1, 2),
    ],
)
def test_slips_are_counted(served, reader, one, other, most, distance):
    page = reader(served).open(served.url())

    assert page.evaluate("(given) => Ranking.distance(...given)", [one, other, most]) == distance


def test_a_hit_says_who_when_where_and_whether_it_can_be_run(site, reader):
    page = reader(site).open(site.url())
    search(page, "heads co-occurrence")

    hit = page.locator(HITS).first
    expect(hit.locator("h1")).to_have_text(COINS)
    expect(hit.locator(".hit")).to_have_text("Ada Example and Béla Example · 2025 · can be run")
    search(page, "fairness of coins")
    expect(hit.locator(".hit")).to_have_text("Ada Example and Béla Example · 2025 · ACL 2025")


@pytest.mark.parametrize(("size", "most"), [(WIDE, 1), (PHONE, 2)], ids=["desk", "phone"])
def test_a_hit_takes_a_line_for_its_title_and_one_for_the_rest(served, reader, size, most):
    page = reader(served, size).open(served.url())
    search(page, "window hacked")

    heights = page.locator(f"{HITS} :is(h1, .hit)").evaluate_all(
        "(parts) => parts.map((part) => part.clientHeight / parseFloat(getComputedStyle(part).lineHeight))"
    )
    assert max(round(height) for height in heights) == most


def test_what_is_pasted_with_the_mouse_is_looked_for(site, reader):
    page = reader(site).open(site.url())
    search(page, "glossary")

    page.locator(".md-search__input").fill("")
    page.keyboard.insert_text("fairness")

    expect(page.locator(f"{HITS} h1").first).to_have_text("On the fairness of coins")


def test_the_page_that_a_hit_opens_has_marks(site, reader):
    page = reader(site).open(site.url())
    search(page, "fairnes")

    page.locator(f"{HITS} a").first.click()

    expect(page.locator("h1 mark")).to_have_text("fairness")


def test_a_hostile_pick_stays_text_in_the_search(served, reader):
    page = reader(served).open(served.url())
    search(page, "window hacked")

    expect(page.locator(f"{HITS} h1").first).to_contain_text("<script>")
    assert not page.locator(f"{HITS} :is(script, img)").count()


def test_what_the_filter_does_not_find_can_be_searched_for(site, reader):
    page = reader(site).open(site.url())
    page.locator("#picks-filter [name=words]").fill("newborn latents")

    page.get_by_role("button", name="Search all pages for “newborn latents”").click()

    expect(page.locator(f"{HITS} h1").first).to_have_text("Glossary")
    page.locator(f"{HITS} a", has_text="newborn").first.click()
    expect(page.locator("#newborn")).to_be_in_viewport()


def test_a_search_that_finds_nothing_says_so(served, reader):
    page = reader(served).open(served.url())

    search(page, "qqqqqqqq")

    expect(page.locator(".md-search-result__meta")).to_have_text("No matching documents")


@pytest.mark.parametrize("size", [(1280, 800), PHONE], ids=["desk", "phone"])
def test_the_first_screen_says_what_this_is_and_lets_one_filter(real, reader, size):
    page = reader(real, size).open(real.url())

    for part in (".home-lede", "#picks-filter [name=words]", "#picks-filter [name=notebook]", "#picks-count"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)


def test_the_bars_have_a_legend(site, reader):
    page = reader(site).open(site.url())

    given = set(page.locator("#picks-list .bar rect").evaluate_all("(all) => all.map((one) => one.className.baseVal)"))
    told = set(page.locator(".legend rect").evaluate_all("(all) => all.map((one) => one.className.baseVal)"))

    assert given
    assert given <= told


def test_the_browser_finds_every_title_on_the_home_page_without_scripts(real, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(real.url())
    folds = page.locator(".months details")
    for fold in folds.all():
        fold.locator("summary").click()

    links = page.locator("main a[href^='papers/']:visible").evaluate_all("(all) => all.map((link) => link.href)")

    assert {link.rstrip("/").rsplit("/", 1)[1] for link in links} >= {path.stem for path in _entries()}
    context.close()


def _entries() -> list[Path]:
    return list((CODE / "papers").glob("[!_]*.yml"))


def test_a_newcomer_asks_finds_and_learns_whether_it_can_be_run(real, browser):
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(real.url())
    search(page, "how do induction heads form?")
    hit = page.locator(HITS).first
    expect(hit).to_contain_text("induction head")
    hit.get_by_role("link").first.click()
    expect(page.locator("h1")).to_contain_text("induction head")
    expect(page.locator("main")).to_contain_text(re.compile("There is no notebook for this paper|What we found"))
    page.goto(real.url())
    page.get_by_label("can be run").check()
    expect(page.locator("#picks-list .pick-found").first).to_contain_text("fact")
    context.close()
