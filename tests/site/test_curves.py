"""Curves: one group at a time, series switched off and on, intervals as bands, values read at a point."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_explorers, mini_site
from tests.site.conftest import PHONE

pytestmark = pytest.mark.browser

CURVES = f"explore/{mini_site.NAME}/layers"
INTERVAL = "0.9 0.8 to 1"


def opened(page: Page) -> Page:
    page.locator(".curves-drawn").wait_for()
    return page


def point(page: Page):
    return page.locator(".curves-legend legend")


def values(page: Page):
    return page.locator(".curves-value")


def frame(page: Page):
    return page.get_by_role("slider")


def spot(page: Page, along: float) -> dict[str, float]:
    """A place on the drawing, from 0 at its left to 1 at its right."""
    box = frame(page).bounding_box()
    return {"x": box["width"] * along, "y": box["height"] / 2}


def test_it_opens_on_the_first_group_at_the_last_point(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))

    expect(point(page)).to_have_text("layer 8")
    expect(values(page)).to_have_text([INTERVAL, "0.5"])
    expect(page.locator(".curves-legend label")).to_have_text([f"linear{INTERVAL}", f"{mini_explorers.ATTACK}0.5"])
    assert "?" not in page.url


def test_a_hole_parts_a_curve_and_its_band(served, reader):
    page = opened(reader(served).open(served.url(CURVES)))

    expect(page.locator(".curves-curve[data-hue='0']")).to_have_count(2)
    expect(page.locator(".curves-band")).to_have_count(2)
    expect(page.locator(".curves-curve[data-hue='1']")).to_have_count(1)
    expect(page.locator(".curves-zero")).to_have_count(1)


def test_another_group_is_chosen_and_keeps_colours(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))

    page.locator("[name=group]").select_option("heads")

    expect(values(page)).to_have_text(["0.3"])
    expect(page.locator(".curves-curve")).to_have_attribute("data-hue", "0")
    page.reload()
    expect(values(page)).to_have_text(["0.3"])
    page.go_back()
    expect(values(page)).to_have_count(2)


def test_a_series_is_switched_off_and_on(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))
    box = page.get_by_role("checkbox").first

    box.uncheck()

    expect(page.locator(".curves-curve[data-hue='0']")).to_have_count(0)
    assert "off=linear" in page.url
    page.reload()
    expect(box).not_to_be_checked()
    expect(page.locator(".curves-curve")).to_have_count(1)
    box.check()
    expect(page.locator(".curves-curve[data-hue='0']")).to_have_count(2)
    assert "off=" not in page.url


def test_values_are_read_where_the_mouse_is_and_kept_with_a_click(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))

    frame(page).hover(position=spot(page, 0.1))
    expect(point(page)).to_have_text("layer 0")
    expect(values(page)).to_have_text(["0.5 0.4 to 0.6", "−0.25"])
    point(page).hover()
    expect(point(page)).to_have_text("layer 8")
    assert "at=" not in page.url

    frame(page).click(position=spot(page, 0.5))
    point(page).hover()
    expect(point(page)).to_have_text("layer 4")
    expect(values(page)).to_have_text(["–", "0.123"])
    assert "at=4" in page.url


def test_values_are_read_with_the_keys(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))
    frame(page).focus()

    page.keyboard.press("ArrowLeft")
    expect(point(page)).to_have_text("layer 4")
    page.keyboard.press("Home")
    expect(point(page)).to_have_text("layer 0")
    expect(frame(page)).to_have_attribute(
        "aria-valuetext", f"layer 0: linear 0.5 0.4 to 0.6; {mini_explorers.ATTACK} −0.25"
    )
    page.keyboard.press("ArrowLeft")
    expect(point(page)).to_have_text("layer 0")
    page.keyboard.press("End")
    expect(point(page)).to_have_text("layer 8")


def test_a_finger_reads_on_a_phone(site, reader):
    page = opened(reader(site, PHONE, has_touch=True).open(site.url(CURVES)))

    frame(page).tap(position=spot(page, 0.15))

    expect(point(page)).to_have_text("layer 0")
    assert "at=0" in page.url


def test_the_same_is_told_in_a_table(site, reader):
    page = opened(reader(site).open(site.url(CURVES)))

    page.get_by_text("As a table").click()

    table = page.locator(".explorer-table table")
    expect(table.locator("th")).to_have_text(["layer", "linear", mini_explorers.ATTACK])
    expect(table.locator("tbody tr").nth(1).locator("td")).to_have_text(["4", "–", "0.123"])
    expect(table.locator("tbody tr").last.locator("td")).to_have_text(["8", INTERVAL, "0.5"])


def test_the_drawing_follows_the_window(served, reader):
    page = opened(reader(served).open(served.url(CURVES)))

    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})

    page.wait_for_function(
        "document.querySelector('.curves-drawn').clientWidth === document.querySelector('.curves-frame').clientWidth"
    )


def test_where_there_is_one_run_and_one_group_nothing_is_to_be_chosen(served, reader):
    page = opened(reader(served).open(served.url(f"explore/{mini_site.HOSTILE_NAME}/layers")))

    expect(page.locator(".explorer form")).to_be_hidden()
    expect(page.locator(".curves-curve")).to_have_count(1)


def test_no_two_curves_look_alike(served, reader):
    names = [f"series {number}" for number in range(20)]
    data = {
        "kind": "curves",
        "title": "t",
        "about": "a",
        "x": {"title": "layer", "values": [1, 2]},
        "y": {"title": "y"},
    }
    data["series"] = [{"name": name, "group": "all", "values": [n, n + 1]} for n, name in enumerate(names)]
    data["series"].append({"name": "alone", "group": "other", "values": [1, 2]})
    page = opened_with(reader(served), served, data)

    curves = page.locator("svg.curves-drawn .curves-curve")
    looks = curves.evaluate_all("all => all.map(({ dataset }) => `${dataset.hue} ${dataset.dash}`)")
    assert len(set(looks)) == len(names)
    assert len({look[0] for look in looks[:6]}) == 6
    drawn = curves.evaluate_all(
        "all => all.map((one) => [getComputedStyle(one).stroke, getComputedStyle(one).strokeDasharray].join())"
    )
    assert len(set(drawn)) == len(names)

    page.locator("[name=group]").select_option("other")
    expect(curves).to_have_attribute("data-hue", "0")  # nothing beside it


def test_numbers_are_not_written_as_programs_do(served, reader):
    data = {
        "kind": "curves",
        "title": "t",
        "about": "a",
        "x": {"title": "step", "values": [1, 12000]},
        "y": {"title": "y"},
    }
    data["series"] = [{"name": "small", "values": [0.5, -1.09e-7]}, {"name": "large", "values": [3, 1700]}]
    page = opened_with(reader(served), served, data)

    expect(point(page)).to_have_text("step 12,000")
    expect(values(page)).to_have_text(["−1.1×10⁻⁷", "1,700"])


def opened_with(one, site, data):
    """The page with other data than it was built with."""
    page = one.context.new_page()
    page.route("**/*.layers.js", lambda route: route.fulfill(body=f"window.EXPLORER = {json.dumps(data)};"))
    page.goto(site.url(CURVES))
    return opened(page)
