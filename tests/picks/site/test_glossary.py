"""The glossary: a line for each word, in order, and links that lead to words which are there."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest

from picks.site.addresses import slug
from picks.site.glossary import Glossary, load_glossary
from reproductions.common.errors import UserError
from reproductions.common.verdicts import VERDICTS
from tests.fixtures import built_site
from tests.fixtures.mini_site import CODE


@pytest.fixture(scope="module")
def glossary() -> Glossary:
    return load_glossary(CODE)


def test_every_term_has_one_line_and_an_anchor_of_its_own(glossary: Glossary) -> None:
    assert all(text.endswith(".") and "\n" not in text and len(text) < 160 for text in glossary.terms.values())
    assert len({slug(term) for term in glossary.terms}) == len(glossary.terms)


def test_it_is_in_the_order_of_the_alphabet_and_has_every_verdict(glossary: Glossary) -> None:
    assert list(glossary.terms) == sorted(glossary.terms, key=str.casefold)
    assert {*VERDICTS} <= {*glossary.terms}


def test_a_word_is_a_link_to_its_line(glossary: Glossary) -> None:
    link = glossary.term("latent", "<latents>", link=lambda source: f"../{source}")
    assert "<latents>" not in link
    assert unescape(link) == '<a class="term" href="../glossary.md#latent"><latents></a>'


def test_a_word_that_is_not_there_cannot_be_linked(glossary: Glossary) -> None:
    with pytest.raises(UserError, match="no term 'no such word'"):
        glossary.term("no such word", link=str)


def test_the_page_has_them_all_and_other_pages_lead_to_it(html: Path, glossary: Glossary) -> None:
    page = built_site.page(html / "glossary" / "index.html")
    assert page.xpath("//h2/@id") == [slug(term) for term in glossary.terms]
    verdicts = built_site.page(html / "verdicts" / "index.html")
    assert "../glossary/#positive-control" in verdicts.xpath("//a[@class='term']/@href")
    assert not built_site.broken_links(html)


@pytest.mark.parametrize("written", ["null: Nothing.\n", "latent: [a, b]\n"])
def test_a_term_without_a_line_is_refused(tmp_path: Path, written: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "glossary.yml").write_text(written, encoding="utf8")
    with pytest.raises(UserError, match="one line of text"):
        load_glossary(tmp_path)
