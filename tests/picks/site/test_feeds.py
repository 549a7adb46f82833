"""Feeds hold what RFC 4287 and JSON Feed 1.1 ask for, and what readers subscribe for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from lxml import html as lxml_html

from picks.site.collection import Library
from picks.site.feeds import atom, json_feed, results
from picks.site.settings import Settings
from tests.fixtures.mini_site import ATTACK, HOSTILE, HOSTILE_NAME, NAME

SETTINGS = Settings("Daily Picks", "Papers.", "https://picks.example.org/", None, "newest", 30, 600)
NS = {"a": "http://www.w3.org/2005/Atom"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def feed(library: Library) -> etree._Element:
    return etree.fromstring(atom(list(library.picks.values()), "Daily Picks", "feed.xml", "index.md", SETTINGS))


@pytest.fixture
def found(library: Library) -> etree._Element:
    return etree.fromstring(results(library, SETTINGS))


def _ids(feed: etree._Element) -> list[str]:
    return [entry.findtext("a:id", "", NS) for entry in feed.findall("a:entry", NS)]


def _entry(feed: etree._Element, name: str) -> etree._Element:
    return feed.findall("a:entry", NS)[_ids(feed).index(f"tag:daily-picks,2026:{name}")]


def test_the_feed_has_the_structure_of_atom(feed: etree._Element, library: Library) -> None:
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    for element in (feed, *feed.findall("a:entry", NS)):
        assert [len(element.findall(f"a:{name}", NS)) for name in ("id", "title", "updated")] == [1, 1, 1]
        assert RFC3339.fullmatch(element.findtext("a:updated", "", NS))
        assert element.findtext("a:id", "", NS).startswith("tag:daily-picks,2026:")
    assert {link.get("rel"): link.get("href") for link in feed.findall("a:link", NS)} == {
        "alternate": "https://picks.example.org/",
        "self": "https://picks.example.org/feed.xml",
    }
    assert len(set(_ids(feed))) == len(_ids(feed)) == len(library.picks)


def test_entries_name_authors_tags_code_and_notebook(feed: etree._Element) -> None:
    first = _entry(feed, "2501.00001")
    assert [name.text for name in first.findall("a:author/a:name", NS)] == ["Ada Example", "Béla Example"]
    assert [category.get("term") for category in first.findall("a:category", NS)] == ["evaluation", "circuits"]
    related = {link.get("title"): link.get("href") for link in first.findall("a:link[@rel='related']", NS)}
    assert related == {"arXiv": "https://arxiv.org/abs/2501.00001", "Code": "https://example.org/coins"}
    second = _entry(feed, "2501.00002")
    assert second.find("a:link[@title='Notebook']", NS).get("href").endswith("/notebooks/coin_flips.ipynb")
    assert "1 fact holds, 1 is the opposite, 1 is not tested; 1 still holds" in second.findtext("a:content", "", NS)


def test_an_entry_is_of_the_day_it_was_picked_or_a_verdict_was_given(feed: etree._Element) -> None:
    picked, tested = _entry(feed, "2501.00003"), _entry(feed, "2501.00002")
    assert picked.findtext("a:updated", "", NS) == "2025-02-01T12:00:00+00:00"
    assert picked.findtext("a:published", "", NS) == "2025-02-01T12:00:00+00:00"
    assert tested.find("a:published", NS) is None  # of the founding collection, whose days are not known
    assert tested.findtext("a:updated", "", NS) == feed.findtext("a:updated", "", NS) == "2026-11-21T12:00:00+00:00"


def test_what_changed_last_comes_first(feed: etree._Element, library: Library) -> None:
    days = [entry.findtext("a:updated", "", NS) for entry in feed.findall("a:entry", NS)]
    assert days == sorted(days, reverse=True)
    together = [name.rpartition(":")[2] for name in _ids(feed) if name.endswith(("00003", "00004"))]
    assert together == [paper for paper in library.picks if paper in together]


def test_a_run_that_was_checked_again_brings_its_paper_up(library: Library) -> None:
    pick = library.picks["2501.00002"]
    assert pick.reproduced
    first, *others = pick.reproduced.runs
    again = replace(first, attested={"commit": "c0ffee", "date": "2026-12-05"})
    checked = replace(pick, reproduced=replace(pick.reproduced, runs=(again, *others)))

    feed = etree.fromstring(atom([checked], "x", "feed.xml", "index.md", SETTINGS))

    assert feed.findtext("a:entry/a:updated", "", NS) == "2026-12-05T12:00:00+00:00"


def test_results_have_an_entry_for_each_reproduction_and_model(found: etree._Element) -> None:
    names = {f"results/{name}/{model}" for name in (NAME, HOSTILE_NAME) for model in ("smollm2-135m", "gemma3-270m")}
    assert {name.removeprefix("tag:daily-picks,2026:") for name in _ids(found)} == names
    entry = _entry(found, f"results/{NAME}/smollm2-135m")
    assert entry.findtext("a:updated", "", NS) == "2026-11-21T12:00:00+00:00"
    assert entry.findtext("a:summary", "", NS).startswith("On smollm2-135m")
    assert "<li>opposite: More coins land on edge than on heads.</li>" in entry.findtext("a:content", "", NS)
    assert entry.find("a:link", NS).get("href") == "https://picks.example.org/papers/2501.00002/#reproduction"
    assert found.findtext("a:author/a:name", "", NS) == "Daily Picks"


def test_results_are_a_feed_before_anything_is_recorded(library: Library) -> None:
    nothing = etree.fromstring(results(Library({}, library.tags, {}), SETTINGS))
    assert nothing.findtext("a:updated", "", NS) == "2026-01-01T12:00:00+00:00"


def test_no_id_depends_on_where_the_site_is(library: Library) -> None:
    elsewhere = replace(SETTINGS, url="https://elsewhere.example.com/picks/")
    for make in (
        lambda settings: atom(library.picks.values(), "x", "feed.xml", "index.md", settings),
        lambda settings: atom(library.picks.values(), "x", "tags/survey.xml", "tags/survey.md", settings),
        lambda settings: results(library, settings),
    ):
        here, there = (etree.fromstring(make(settings)) for settings in (SETTINGS, elsewhere))
        assert here.findtext("a:id", "", NS) == there.findtext("a:id", "", NS)
        assert _ids(here) == _ids(there)
        assert b"elsewhere" in etree.tostring(there)
    items = [json_feed(library.picks.values(), settings)["items"] for settings in (SETTINGS, elsewhere)]
    assert [item["id"] for item in items[0]] == [item["id"] for item in items[1]]


def test_feeds_are_the_same_every_time(library: Library) -> None:
    picks = list(library.picks.values())
    assert len({atom(picks, "x", "feed.xml", "index.md", SETTINGS) for _ in range(2)}) == 1


def test_a_hostile_entry_stays_text_in_both_feeds(feed: etree._Element, library: Library) -> None:
    entry = _entry(feed, HOSTILE)
    assert "<script>window.hacked=1</script>" in entry.findtext("a:title", "", NS)
    (item,) = [
        item for item in json_feed(list(library.picks.values()), SETTINGS)["items"] if item["id"].endswith(HOSTILE)
    ]
    for content in (entry.findtext("a:content", "", NS), item["content_html"]):
        parsed = lxml_html.fromstring(f"<div>{content}</div>")
        assert {element.tag for element in parsed.iter()} == {"div", "p"}
        assert ATTACK[:40] in parsed.text_content()


def test_a_hostile_record_stays_text_in_the_results(found: etree._Element) -> None:
    entry = _entry(found, f"results/{HOSTILE_NAME}/smollm2-135m")
    parsed = lxml_html.fromstring(f"<div>{entry.findtext('a:content', '', NS)}</div>")
    assert {element.tag for element in parsed.iter()} == {"div", "p", "ul", "li"}
    assert ATTACK[:40] in parsed.text_content()


def test_the_json_feed_has_what_version_1_1_asks_for(library: Library) -> None:
    content = json_feed(list(library.picks.values()), SETTINGS)
    assert content["version"] == "https://jsonfeed.org/version/1.1"
    assert content["feed_url"] == "https://picks.example.org/feed.json"
    for item in content["items"]:
        assert item["url"].endswith(item["id"].rpartition(":")[2] + "/")
        assert item["date_modified"] >= item.get("date_published", "2026-11-21")
        assert item["content_html"].startswith("<p>")
        assert datetime.fromisoformat(item["date_modified"]).hour == 12
        assert item["authors"] and all(author["name"] for author in item["authors"])


def test_feeds_of_the_built_site_are_whole(html: Path) -> None:
    for path in (html / "feed.xml", html / "results.xml", *(html / "tags").glob("*.xml")):
        assert etree.fromstring(path.read_bytes()).find("a:entry", NS) is not None
