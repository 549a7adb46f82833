"""Nothing that is read moves while a page is put together: layout shift stays below what is called good."""

from __future__ import annotations

import pytest

from tests.fixtures import mini_site
from tests.site.conftest import PHONE, WIDE

pytestmark = pytest.mark.browser

GOOD = 0.1
EXPLORER = f"explore/{mini_site.NAME}"
PAGES = {  # and what is there once a page is whole
    "": "#picks-list[data-drawn], #picks-list > li",
    "papers/2501.00002": "#claim-C1",
    "results": "#results-filter:not([hidden])",
    f"{EXPLORER}/head_map": ".grid-table",
    f"{EXPLORER}/features": ".explorer-list a",
    f"{EXPLORER}/flow_graph": ".graph-drawn",
    f"{EXPLORER}/layers": ".curves-drawn",
}
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.shifts.push(value);
}).observe({ type: "layout-shift", buffered: true });
"""
SETTLED = """async () => {
  await document.fonts.ready;
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  return window.shifts.reduce((sum, value) => sum + value, 0);
}"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("address", PAGES)
def test_a_page_stays_where_it_is(served, reader, address, size):
    one = reader(served, size)
    one.context.add_init_script(WATCH)
    page = one.open(served.url(address))
    page.locator(PAGES[address]).first.wait_for()

    assert page.evaluate(SETTLED) < GOOD


def test_a_shift_is_seen(served, reader):
    one = reader(served)
    one.context.add_init_script(WATCH)
    page = one.open(served.url("about"))
    page.evaluate("document.body.style.paddingTop = '400px'")

    assert page.evaluate(SETTLED) > GOOD
