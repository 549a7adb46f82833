"""Facts from a web page: what its head tells programs, and a TODO for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from picks.add import page
from picks.add.command import add
from picks.add.facts import Facts
from picks.site.metadata import citation_tags
from reproductions.common.errors import UserError
from tests.picks.add.conftest import NOWHERE
from tests.picks.add.server import Answer, serving
from tests.picks.exports.sample import real

POST = """<html><head><meta property="og:title" content="A Post &amp; More">
<meta name="author" content="Ann Alpha">
<meta property="article:published_time" content="2025-03-04T12:00:00Z"></head>"""
ADDRESS = "https://www.lesswrong.com/posts/abc/a-post"


def meta(**said: str) -> str:
    return "".join(f'<meta name="citation_{name}" content="{value}">' for name, value in said.items())


def test_a_post_tells_its_title_author_and_day() -> None:
    found = page.facts("lw-a-post", ADDRESS, POST)
    assert found == Facts("lw-a-post", "A Post & More", ("Ann Alpha",), "2025-03-04", address=ADDRESS)


def test_what_a_page_does_not_tell_is_a_todo() -> None:
    found = page.facts("lw-a-post", ADDRESS, "<html><title>Nice</title><meta name=x><meta content=y><p>")
    assert found.title.startswith("TODO – the title")
    assert found.authors[0].startswith("TODO – the authors")
    assert (found.published, found.venue, found.doi) == (None, None, None)


def test_a_journals_page_tells_where_in_it() -> None:
    html = meta(
        title="T", author="De Cabo, Nico", journal_title="Nature Machine Intelligence", publication_date="2025/02/07",
        volume="7", issue="2", firstpage="221", lastpage="231", doi="10.1038/s42256-024-00976-7",
    )  # fmt: skip
    found = page.facts("nature-com-articles-x", "https://www.nature.com/articles/x", html)
    assert found.authors == ("Nico {De Cabo}",)
    assert (found.venue, found.venue_kind) == ("Nature Machine Intelligence 2025", "journal")
    assert (found.volume, found.number, found.pages, found.doi) == ("7", "2", "221–231", "10.1038/s42256-024-00976-7")


@pytest.mark.parametrize(
    ("name", "said"),
    [("arXiv", None), ("Submitted to ICLR 2026", None), ("Conference on Coins", "Conference on Coins 2025")],
)
def test_a_preprint_server_is_no_venue(name: str, said: str | None) -> None:
    found = page.facts("x-y", "https://x.org/y", meta(title="T", conference_title=name, publication_date="2025"))
    assert found.venue == said


@pytest.mark.parametrize("name", ["2412.11965", "2401.13835", "2410.19750", "2408.01416", "2404.05971"])
def test_our_own_pages_tell_what_our_export_says(name: str) -> None:
    citation = real()[name]
    html = "".join(f'<meta name="{key}" content="{value}">' for key, value in citation_tags(citation))
    found, paper = page.facts("x-y", "https://x.org/y", html), citation.paper
    assert (found.title, found.authors, found.doi) == (paper.title, tuple(n.written for n in paper.names), citation.doi)
    assert paper.venue
    assert (found.venue, found.venue_kind, found.volume, found.number, found.pages) == (
        paper.venue.short, paper.venue.kind, paper.venue.volume, paper.venue.number, paper.venue.pages,
    )  # fmt: skip


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _served(stack: ExitStack, answer: Answer) -> str:
    address, _ = stack.enter_context(serving({"/a/page": [answer]}, "text/html"))
    return f"{address}/a/page"


def test_a_page_is_fetched_and_its_entry_started(answers: ExitStack, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    address = _served(answers, (200, POST.encode()))
    monkeypatch.setattr(page, "_html", lambda asked: page_html(address))
    monkeypatch.setattr("picks.add.arxiv.fetch", lambda names: [])
    assert add(tmp_path, [ADDRESS], None).ids == ("lw-a-post",)
    assert f"address: {ADDRESS}\n" in (tmp_path / "papers" / "lw-a-post.yml").read_text("utf8")


page_html = page._html


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_site_is_said_with_the_way_out(status: int, answers: ExitStack) -> None:
    with pytest.raises(UserError, match=rf"HTTP {status}; save its BibTeX"):
        page_html(_served(answers, (status, b"")))


def test_a_site_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(UserError, match="cannot be reached; save its BibTeX"):
        page_html(NOWHERE + "/a")
