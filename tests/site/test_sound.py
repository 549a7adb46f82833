"""What holds on every page: nothing of others runs, links hold, nothing overflows, and everyone can read it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.fixtures import built_site, mini_site
from tests.site.conftest import PHONE, WIDE

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "results",
    "papers/2501.00002",
    f"papers/{mini_site.HOSTILE}",
    f"notebooks/{mini_site.HOSTILE_NAME}/smollm2-135m.full",
    f"explore/{mini_site.NAME}/head_map",
    f"explore/{mini_site.HOSTILE_NAME}/head_map",
    f"explore/{mini_site.NAME}/features",
    f"explore/{mini_site.NAME}/flow_graph",
    f"explore/{mini_site.NAME}/layers",
    "reading-path",
    "tags/",
    "tags/circuits",
    "about",
    "verdicts",
    "glossary",
)

# Text that does not stand out enough from what lies behind it (WCAG AA): 4.5 to 1, or 3 to 1 where it is large.
FAINT = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const over = (colour, [r, g, b]) => {
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const behind = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(getComputedStyle(at).backgroundColor);
    return chain.reduce((colour, next) => over(next, colour), [255, 255, 255]);
  };
  const light = (colour) => colour
    .map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = new Set();
  const walker = document.createTreeWalker(document.querySelector(".md-container"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !seen(element)) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const [a, b] = [light(over(style.color, back)), light(back)].sort();
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5) - 0.01) faint.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...faint];
}"""

# The letters of whichever font is there, set as far apart as a font a sixth wider would have them.
WIDE_FONT = "* { letter-spacing: 0.09em !important }"

# Things to use that say nothing of themselves, pictures without words, ids that are there twice.
NAMELESS = """() => {
  const named = (element) =>
    element.getAttribute("aria-label") || element.textContent.trim() || element.title || element.labels?.length ||
    document.getElementById(element.getAttribute("aria-labelledby"));
  const seen = (element) => element.checkVisibility();
  const used = "main :is(a[href], button, input, select, summary, [role=grid], [tabindex='0'])";
  const all = [...document.querySelectorAll(used)];
  const pictures = [...document.querySelectorAll("main img:not([alt]), main svg[role=img]:not([aria-label])")];
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return [
    ...all.filter((element) => seen(element) && !named(element)).map(({ outerHTML }) => outerHTML.slice(0, 120)),
    ...pictures.map(({ outerHTML }) => outerHTML.slice(0, 120)),
    ...ids.filter((id, place) => ids.indexOf(id) !== place),
  ];
}"""


def opened(reader, site, size=WIDE, **options) -> list[Page]:
    """All kinds of pages, with everything unfolded that can be."""
    one = reader(site, size, **options)
    pages = [one.open(site.url(page)) for page in PAGES]
    for page in pages:
        if page.locator("#explorer").count():
            page.locator(".explorer-table").wait_for()
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    return pages


def test_nothing_of_others_runs(site, reader):
    for page in opened(reader, site):
        page.mouse.move(300, 300)
        for link in page.locator("main a:not([href])").all():
            link.hover()
        assert page.evaluate("window.hacked") is None


def test_a_hostile_pick_stays_text_in_the_list(site, reader):
    page = reader(site).open(site.url(query="?words=window+hacked"))
    page.wait_for_function("document.querySelector('#picks-count').textContent.includes(' of ')")

    assert page.locator("#picks-list > li").count() == 1
    assert not page.locator("#picks-list :is(script, img)").count()
    assert "<script>" in page.locator("#picks-list .pick-title").inner_text()


def test_links_hold(site):
    assert not built_site.broken_links(site.folder)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_stands_out(served, reader, colours):
    for page in opened(reader, served, color_scheme=colours):
        assert not page.evaluate(FAINT), page.url


def test_everything_has_a_name_and_an_id_of_its_own(served, reader):
    for page in opened(reader, served):
        assert not page.evaluate(NAMELESS), page.url


def test_nothing_is_wider_than_a_phone_whatever_the_font(served, reader):
    for page in opened(reader, served, PHONE, bypass_csp=True):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], page.url
        page.add_style_tag(content=WIDE_FONT)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], f"{page.url} in a wide font"


def test_what_has_the_focus_shows_it(served, reader):
    page = reader(served).open(served.url())
    for _ in range(25):
        page.keyboard.press("Tab")
        shown = page.evaluate("""() => {
          const at = document.activeElement;
          const shows = at.matches(".md-option") ? at.nextElementSibling : at.closest(".chip") ?? at;
          return getComputedStyle(shows).outlineStyle !== "none" || at.matches(".md-search__input");
        }""")
        assert shown, page.evaluate("document.activeElement.outerHTML")


def test_the_home_page_is_small_at_first(served, reader):
    one = reader(served)
    asked: list[str] = []
    one.context.on("request", lambda request: asked.append(request.url))

    page = one.open(served.url())
    page.wait_for_timeout(500)

    assert not [url for url in asked if "assets/data" in url or "search_index" in url]
