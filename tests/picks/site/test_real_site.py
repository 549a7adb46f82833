"""The real site: builds without a warning, every link holds, and a first visit is light."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from picks.papers import paper_ids
from picks.site.build import build
from tests.fixtures import built_site
from tests.fixtures.mini_site import CODE

FIRST_VISIT = 170_000  # bytes, compressed


@pytest.fixture(scope="module")
def site() -> Path:
    """The site as `tools/site build` makes it."""
    return build(CODE).folder


def test_every_paper_has_a_page_and_every_link_holds(site: Path) -> None:
    assert {path.parent.name for path in (site / "papers").glob("*/index.html")} == set(paper_ids(CODE))
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
