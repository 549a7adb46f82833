"""The real site: builds without a warning, every link holds, a first visit is light, and numbers are people's."""

from __future__ import annotations

import gzip
import re
from functools import cache
from pathlib import Path

import matplotlib as mpl
import pytest
from lxml import etree
from matplotlib.ft2font import FT2Font

from picks.papers import load_papers, paper_ids
from picks.site.build import build
from tests.fixtures import built_site
from tests.fixtures.mini_site import CODE

FIRST_VISIT = 170_000  # bytes, compressed
PICTURE = 40_000
AS_RECORDED = "circular_features"  # its figures write a p as 5e-05, until they are drawn by a run that does not
EXPONENT = re.compile(r"\d(\.\d+)?e[-+−]\d+", re.IGNORECASE)  # 1.7e+03
GLYPH = re.compile(r"#DejaVuSans-([0-9a-f]+)")
LINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def site() -> Path:
    """The site as `tools/site build` makes it."""
    return build(CODE).folder


def test_every_paper_has_a_page_and_every_link_holds(site: Path) -> None:
    former = {old for paper in load_papers(CODE).values() for old in paper.former_ids}
    assert {path.parent.name for path in (site / "papers").glob("*/index.html")} == {*paper_ids(CODE), *former}
    assert built_site.broken_links(site) == []


def test_nothing_could_run_but_our_own_scripts(site: Path) -> None:
    assert [path for path in built_site.pages(site) if built_site.dangers(path)] == []


def test_a_first_visit_is_light_and_stays_on_the_site(site: Path) -> None:
    home = site / "index.html"
    links = built_site.page(home).xpath("//script/@src | //link[@rel='stylesheet' or @rel='icon']/@href | //img/@src")
    fonts = list((site / "assets" / "fonts").glob("*.woff2"))
    files = [home, *fonts, *((home.parent / link).resolve() for link in links)]
    assert all(file.is_file() for file in files)
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < FIRST_VISIT


def test_pictures_for_links_are_light(site: Path) -> None:
    pictures = list((site / "cards").glob("*.png"))
    assert len(pictures) == len(paper_ids(CODE)) + 1
    assert max(picture.stat().st_size for picture in pictures) < PICTURE


def test_no_page_writes_numbers_as_programs_do(site: Path) -> None:
    pages = built_site.pages(site)
    ours = [path for path in pages if not path.is_relative_to(site / "notebooks")]  # which show what ran
    texts = {path: built_site.page(path).text_content() for path in ours}
    assert {path: found[0] for path, text in texts.items() if (found := EXPONENT.search(text))} == {}


def test_no_figure_writes_numbers_as_programs_do(site: Path) -> None:
    figures = {path: _words(path) for path in (site / "figures").rglob("*.svg") if path.parent.name != AS_RECORDED}
    assert any("block" in words for words in figures.values())
    assert {path: words for path, words in figures.items() if EXPONENT.search(" ".join(words))} == {}


def _words(figure: Path) -> list[str]:
    """What is written in a figure, whose letters are outlines."""
    groups = etree.parse(figure).getroot().iter("{http://www.w3.org/2000/svg}g")
    return ["".join(_letter(use.get(LINK, "")) for use in group.findall("{*}use")) for group in groups]


def _letter(link: str) -> str:
    glyph = GLYPH.fullmatch(link)
    return _letters().get(int(glyph[1], 16), "") if glyph else ""


@cache
def _letters() -> dict[int, str]:
    """The letters of Matplotlib's font by the numbers of their glyphs."""
    font = FT2Font(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    return {glyph: chr(code) for code, glyph in font.get_charmap().items()}
