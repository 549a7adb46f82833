"""Cards: found by words, filters and address, walked with the keys, shown with all that is known."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import mini_explorers, mini_site
from tests.site.conftest import PHONE

pytestmark = pytest.mark.browser

CARDS = f"explore/{mini_site.NAME}/features"
ALL = ["resid-5/3", "resid-15/1034", "mlp-15/7", "neuron-20/1", f"neuron-20/{mini_explorers.ATTACK}"]


def names(page: Page):
    return page.locator(".list-name")


def title(page: Page):
    return page.locator(".sheet h2")


def field(page: Page, name: str):
    return page.locator(f".explorer [name={name}]")


def section(page: Page, heading: str):
    return page.locator(".sheet section", has=page.get_by_role("heading", name=heading, exact=True))


def test_it_opens_on_the_first_feature_and_leaves_the_address_alone(site, reader):
    page = reader(site).open(site.url(CARDS))

    expect(names(page)).to_have_text(ALL)
    expect(title(page)).to_have_text("resid-5/3")
    expect(page.locator(".sheet-facts")).to_have_text("about verb · residual latent · active on 1.2% of tokens")
    assert "?" not in page.url


def test_words_are_found_in_every_part_of_a_feature(site, reader):
    page = reader(site).open(site.url(CARDS))
    for words, found in (
        ("1034", ["resid-15/1034"]),
        ("about PLURAL", ["mlp-15/7"]),
        ("lessverb", ["resid-5/3"]),
        ("upcapital", ["resid-15/1034"]),
        ("dead", ["neuron-20/1"]),
        ("capital verb", []),
    ):
        field(page, "words").fill(words)
        expect(names(page)).to_have_text(found)
        expect(page.locator(".explorer .filter-count")).to_have_text(f"{len(found)} of 5 features")
    expect(title(page)).to_have_text("resid-5/3")


def test_family_and_layer_narrow_the_list_and_stand_in_the_address(site, reader):
    page = reader(site).open(site.url(CARDS))

    field(page, "layer").select_option("15")
    expect(names(page)).to_have_text(["resid-15/1034", "mlp-15/7"])
    field(page, "family").select_option("MLP latent")
    expect(names(page)).to_have_text(["mlp-15/7"])
    page.reload()

    expect(names(page)).to_have_text(["mlp-15/7"])
    expect(field(page, "layer")).to_have_value("15")


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("output", [("resid-5/3", "0.90"), ("mlp-15/7", "0.50"), ("resid-15/1034", "0.40"), (ALL[4], "0.30")]),
        ("gap", [("resid-15/1034", "0.60"), ("resid-5/3", "0.30"), (ALL[4], "0.10"), ("mlp-15/7", "0.00")]),
    ],
)
def test_scores_sort_the_list_and_what_was_not_measured_comes_last(served, reader, sort, order):
    page = reader(served).open(served.url(CARDS))

    field(page, "sort").select_option(sort)

    expect(names(page)).to_have_text([*(name for name, _ in order), "neuron-20/1"])
    expect(page.locator(".list-note")).to_have_text([*(note for _, note in order), "–"])


def test_a_feature_that_is_chosen_stands_in_the_address_and_back_leads_back(site, reader):
    page = reader(site).open(site.url(CARDS))

    page.get_by_role("link", name="resid-15/1034").click()
    expect(title(page)).to_have_text("resid-15/1034")
    assert page.url.endswith("?at=resid-15%2F1034")
    page.reload()
    expect(title(page)).to_have_text("resid-15/1034")
    expect(page.locator("[aria-current=true]")).to_contain_text("resid-15/1034")

    page.go_back()
    expect(title(page)).to_have_text("resid-5/3")


def test_a_name_like_a_tag_can_be_linked_to(site, reader):
    page = reader(site).open(site.url(CARDS))
    names(page).last.click()
    expect(title(page)).to_have_text(ALL[4])

    page.reload()

    expect(title(page)).to_have_text(ALL[4])
    assert not page.locator(".explorer img").count()


def test_a_feature_that_the_run_does_not_have_is_said(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-9/9"))

    expect(page.locator(".explorer .filter-count")).to_have_text("5 features. This run has no feature “resid-9/9”.")
    expect(title(page)).to_have_text("resid-5/3")


def test_the_feature_stays_when_another_run_is_chosen_that_has_it(site, reader):
    page = reader(site).open(site.url(CARDS, "?words=coin&at=mlp-15/7"))
    field(page, "words").fill("")
    runs = page.locator("[name=run]")

    runs.select_option(index=2)

    expect(names(page)).to_have_text([name for name in ALL if name != "resid-15/1034"])
    expect(title(page)).to_have_text("mlp-15/7")
    page.reload()
    expect(names(page)).to_have_count(4)
    expect(runs).to_have_value(re.compile("gemma3-270m"))
    page.get_by_role("link", name="resid-5/3").click()
    expect(title(page)).to_have_text("resid-5/3")


def test_a_feature_that_only_one_run_has_is_found_again(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-15/1034"))
    runs = page.locator("[name=run]")

    runs.select_option(index=2)
    expect(page.locator(".explorer .filter-count")).to_contain_text("This run has no feature “resid-15/1034”.")
    runs.select_option(index=0)

    expect(title(page)).to_have_text("resid-15/1034")


def test_keys_walk_along_the_list(site, reader):
    page = reader(site).open(site.url(CARDS))
    field(page, "words").press("ArrowDown")

    page.keyboard.press("ArrowDown")
    expect(title(page)).to_have_text("resid-15/1034")
    expect(page.locator(".explorer-list a").nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(title(page)).to_have_text(ALL[4])
    page.keyboard.press("ArrowDown")
    expect(title(page)).to_have_text(ALL[4])
    page.keyboard.press("Home")
    expect(title(page)).to_have_text("resid-5/3")
    expect(page.locator('.explorer-list [tabindex="0"]')).to_have_count(1)


def test_previous_next_and_random_stay_within_what_fits(served, reader):
    page = reader(served).open(served.url(CARDS, "?layer=15"))
    back, on = page.get_by_role("button", name="Previous"), page.get_by_role("button", name="Next")
    expect(back).to_be_disabled()

    on.click()
    expect(title(page)).to_have_text("mlp-15/7")
    expect(on).to_be_disabled()
    page.get_by_role("button", name="Random feature").click()
    expect(title(page)).to_have_text("resid-15/1034")


def test_contexts_say_how_active_a_token_is(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-15/1034"))

    first = section(page, "What makes it active").locator("li").first
    expect(first.locator(".text")).to_have_text(f"The capital↵{mini_explorers.ATTACK} end")
    expect(first.locator(".text-peak")).to_have_text("12.3 at “capital”")
    marks = first.locator("mark")
    expect(marks).to_have_text(["capital", "↵", mini_explorers.ATTACK])
    assert [mark.get_attribute("title") for mark in marks.all()] == [
        "weight 12.30",
        "weight 0.50",
        "weight 6.00",
    ]
    tints = marks.evaluate_all("all => all.map((mark) => mark.style.getPropertyValue('--strength'))")
    assert tints == ["100%", "4%", "49%"]
    second = page.locator(".texts li").nth(1)
    expect(second.locator(".text-peak")).to_have_text("−3.0 at “capital”")
    expect(second.locator("mark").last).to_have_text("‹202e›")


def test_tokens_show_what_cannot_be_seen(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-15/1034"))

    promoted = page.get_by_role("list", name="promoted").locator("li")
    expect(promoted).to_have_text([" capital", " capitals", "↵", "␣␣", mini_explorers.ATTACK])
    assert promoted.nth(2).get_attribute("title") == '"\\n"'
    down = page.get_by_role("list", name="suppressed").locator("li")
    expect(down.nth(1)).to_have_text("‹202e›")


def test_lists_stand_in_rows_of_what_belongs_together(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=mlp-15/7"))

    part = section(page, "What it does to the output")
    expect(part.locator("h4")).to_have_text(["read", "run"])
    expect(page.get_by_role("list", name="more likely").locator("li")).to_have_text([" upplural"])
    expect(page.get_by_role("list", name="less likely").locator("li").first).to_have_text(" lessplural")


def test_steering_stands_beside_the_text_without_it(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-15/1034"))
    pairs = page.locator(".written")
    expect(page.locator(".settings label")).to_have_text(["−0.5", "+0.25", "+0.5"])
    expect(pairs).to_have_count(2)
    expect(pairs.first).to_contain_text(f"I think capital by 0{mini_explorers.ATTACK}")
    expect(pairs.first).to_contain_text("I think capital by 0.5")

    page.locator(".settings label").first.click()

    expect(pairs.first).to_contain_text("I think capital by -0.5")
    expect(pairs.last).to_contain_text("this setting could not be reached")
    page.get_by_role("button", name="Next").click()
    expect(pairs.first).to_contain_text("I think plural by -0.5")


def test_scores_stand_against_chance(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=resid-15/1034"))

    table = page.locator(".numbers")
    expect(table.locator("thead")).to_contain_text("chance 0.33")
    rows = table.locator("tbody tr")
    expect(rows.locator("th")).to_have_text(mini_explorers.METHODS)
    expect(rows.first.locator("td")).to_have_text(["1.00", "0.40", f"capital · {mini_explorers.ATTACK}"])
    expect(rows.nth(1).locator("td")).to_have_text(["–", "–", re.compile("capital")])
    assert table.locator(".over").count() == 8


def test_a_feature_of_which_nothing_is_known_is_shown_all_the_same(site, reader):
    page = reader(site).open(site.url(CARDS, "?at=neuron-20/1"))

    expect(page.locator(".sheet-facts")).to_have_text("a dead neuron · neuron")
    expect(section(page, "What makes it active")).to_contain_text("no text that makes it active")
    expect(section(page, "What steering with it writes")).to_contain_text("nothing was written")
    expect(page.locator(".numbers tbody td").first).to_have_text("–")
    assert "undefined" not in page.locator(".sheet").inner_text()


def test_on_a_phone_the_list_stands_above_and_a_tap_brings_the_feature(site, reader):
    page = reader(site, PHONE, has_touch=True).open(site.url(CARDS))
    boxes = [page.locator(part).bounding_box() for part in (".explorer-list", ".explorer-main")]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]

    page.get_by_role("link", name="mlp-15/7").tap()

    expect(title(page)).to_have_text("mlp-15/7")
    expect(title(page)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
