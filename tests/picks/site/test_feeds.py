"""Feeds hold what RFC 4287 and JSON Feed 1.1 ask for, and what readers subscribe for."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from lxml import html as lxml_html

from picks.site.collection import Library
from picks.site.feeds import atom, json_feed
from picks.site.settings import Settings
from tests.fixtures.mini_site import ATTACK, HOSTILE

SETTINGS = Settings("Daily Picks", "Papers.", "https://picks.example.org/", None, "newest", 30, 600)
NS = {"a": "http://www.w3.org/2005/Atom"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def feed(library: Library) -> etree._Element:
    return etree.fromstring(atom(list(library.picks.values()), "Daily Picks", "feed.xml", "index.md", SETTINGS))


def _entry(feed: etree._Element, paper_id: str) -> etree._Element:
    (entry,) = [e for e in feed.findall("a:entry", NS) if e.findtext("a:id", "", NS).endswith(f"/{paper_id}/")]
    return entry


def test_the_feed_has_the_structure_of_atom(feed: etree._Element, library: Library) -> None:
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    for element in (feed, *feed.findall("a:entry", NS)):
        assert [len(element.findall(f"a:{name}", NS)) for name in ("id", "title", "updated")] == [1, 1, 1]
        assert RFC3339.fullmatch(element.findtext("a:updated", "", NS))
        assert element.findtext("a:id", "", NS).startswith("https://picks.example.org/")
    assert {link.get("rel"): link.get("href") for link in feed.findall("a:link", NS)} == {
        "alternate": "https://picks.example.org/",
        "self": "https://picks.example.org/feed.xml",
    }
    ids = [entry.findtext("a:id", "", NS) for entry in feed.findall("a:entry", NS)]
    assert len(set(ids)) == len(ids) == len(library.picks)


def test_entries_name_authors_tags_code_and_notebook(feed: etree._Element) -> None:
    first = _entry(feed, "2501.00001")
    assert [name.text for name in first.findall("a:author/a:name", NS)] == ["Ada Example", "Béla Example"]
    assert [category.get("term") for category in first.findall("a:category", NS)] == ["evaluation", "circuits"]
    related = {link.get("title"): link.get("href") for link in first.findall("a:link[@rel='related']", NS)}
    assert related == {"arXiv": "https://arxiv.org/abs/2501.00001", "Code": "https://example.org/coins"}
    second = _entry(feed, "2501.00002")
    assert second.find("a:link[@title='Notebook']", NS).get("href").endswith("/notebooks/coin_flips.ipynb")
    assert "1 fact holds, 1 is the opposite, 1 is not tested; 1 still holds" in second.findtext("a:content", "", NS)


def test_dates_come_from_the_entries_at_noon(feed: etree._Element) -> None:
    assert _entry(feed, "2501.00003").findtext("a:updated", "", NS) == "2025-02-01T12:00:00+00:00"
    assert feed.findtext("a:updated", "", NS) == "2025-02-01T12:00:00+00:00"


def test_newest_first_and_the_same_every_time(feed: etree._Element, library: Library) -> None:
    ids = [entry.findtext("a:id", "", NS).split("/")[-2] for entry in feed.findall("a:entry", NS)]
    assert ids == list(library.picks)
    picks = list(library.picks.values())
    assert len({atom(picks, "x", "feed.xml", "index.md", SETTINGS) for _ in range(2)}) == 1


def test_a_hostile_entry_stays_text_in_both_feeds(feed: etree._Element, library: Library) -> None:
    entry = _entry(feed, HOSTILE)
    assert "<script>window.hacked=1</script>" in entry.findtext("a:title", "", NS)
    (item,) = [
        item
        for item in json_feed(list(library.picks.values()), SETTINGS)["items"]
        if item["id"].endswith(f"{HOSTILE}/")
    ]
    for content in (entry.findtext("a:content", "", NS), item["content_html"]):
        parsed = lxml_html.fromstring(f"<div>{content}</div>")
        assert {element.tag for element in parsed.iter()} == {"div", "p"}
        assert ATTACK[:40] in parsed.text_content()


def test_the_json_feed_has_what_version_1_1_asks_for(library: Library) -> None:
    content = json_feed(list(library.picks.values()), SETTINGS)
    assert content["version"] == "https://jsonfeed.org/version/1.1"
    assert content["feed_url"] == "https://picks.example.org/feed.json"
    for item in content["items"]:
        assert item["id"] == item["url"]
        assert item["content_html"].startswith("<p>")
        assert datetime.fromisoformat(item["date_published"]).hour == 12
        assert item["authors"] and all(author["name"] for author in item["authors"])


def test_feeds_of_the_built_site_are_whole(html: Path) -> None:
    for path in (html / "feed.xml", *(html / "tags").glob("*.xml")):
        assert etree.fromstring(path.read_bytes()).find("a:entry", NS) is not None
