"""Wherever a link to a page is posted, there is a picture with words that can be read, and the words beside it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from picks.site import cards
from picks.site.cards import HEIGHT, MARGIN, WIDTH, Card, card_of, png
from picks.site.collection import Library
from picks.site.generate import generate
from picks.site.settings import load_settings
from reproductions.common.verdicts import VERDICTS
from tests.fixtures import built_site
from tests.picks.site.conftest import SITE

HEAVY = 40_000  # bytes
LONG = Card(
    "Daily Picks",
    "W" * 90 + " and more words" * 20,
    "Wörter, λ → 王 " * 40,
    "A. N. Other and " * 9,
    dict.fromkeys(VERDICTS, 11),
)


def _pixels(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


def test_every_page_has_a_picture_with_its_size_and_its_words(html: Path) -> None:
    for path in built_site.pages(html):
        told = {meta.get("property"): meta.get("content") for meta in built_site.page(path).xpath("//meta[@property]")}
        assert told["og:image"].startswith(f"{SITE}cards/")
        picture = html / told["og:image"].removeprefix(SITE)
        assert picture.stat().st_size < HEAVY
        assert _pixels(picture.read_bytes()).size == (int(told["og:image:width"]), int(told["og:image:height"]))
        assert told["og:image:alt"] and told["og:title"] and told["og:description"]
        assert built_site.page(path).xpath("//meta[@name='twitter:card']/@content") == ["summary_large_image"]


def test_a_papers_picture_is_its_own_and_says_what_was_found(html: Path) -> None:
    page = built_site.page(html / "papers" / "2501.00002" / "index.html")
    assert page.xpath("//meta[@property='og:image']/@content") == [f"{SITE}cards/2501.00002.png"]
    [alt] = page.xpath("//meta[@property='og:image:alt']/@content")
    assert "half-coins. It is the smallest experiment there is. 1 fact holds, 1 is the opposite" in alt


def test_a_papers_page_does_not_pose_as_a_journal_or_a_website(html: Path) -> None:
    page = built_site.page(html / "papers" / "2501.00002" / "index.html")
    assert page.xpath("//meta[@property='og:type']/@content") == ["article"]
    assert not page.xpath("//meta[@property='og:site_name']")


def test_what_is_too_long_is_cut_and_nothing_sticks_out(root: Path) -> None:
    picture = _pixels(png(LONG, root))
    paper, strip = picture.getpixel((5, 300)), cards.STRIP
    for box in (
        (0, strip - 6, WIDTH, strip - 1),
        (0, 12, MARGIN - 2, HEIGHT),
        (WIDTH - MARGIN + 2, 12, WIDTH, HEIGHT),
        (0, HEIGHT - 20, WIDTH, HEIGHT),
    ):
        assert picture.crop(box).getcolors() == [((box[2] - box[0]) * (box[3] - box[1]), paper)]


def test_a_strip_has_a_stretch_for_each_verdict(root: Path) -> None:
    picture = _pixels(png(LONG, root))
    strip = picture.crop((MARGIN, cards.STRIP + 8, WIDTH - MARGIN - 4, cards.STRIP + 9))
    long = [colour for count, colour in strip.getcolors() if count > strip.width / (len(VERDICTS) + 1)]
    assert len(long) == len(VERDICTS)


def test_a_picture_is_drawn_once_for_what_it_says(
    root: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick, settings = library.picks["2501.00001"], load_settings(root)
    first = png(card_of(pick, settings), root)
    monkeypatch.setattr(cards, "_drawn", lambda card, root: b"anew")
    assert png(card_of(pick, settings), root) == first
    assert png(Card("Daily Picks", "Another title", "Another line"), root) == b"anew"


def test_a_site_on_a_disk_has_no_pictures(root: Path) -> None:
    assert not [path for path in generate(root, offline=True) if path.startswith("cards/")]
