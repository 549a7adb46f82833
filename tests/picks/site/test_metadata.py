"""What a page's head tells programs is what BibTeX says, for every entry; and nothing of ours poses as an abstract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from picks.bibliography.latex import decode
from picks.bibliography.venues import Venue
from picks.exports import Citation, bibtex
from picks.site.metadata import citation_tags
from tests.fixtures import built_site
from tests.picks.exports.sample import REAL, paper, real
from tests.picks.exports.test_export_bibtex import parsed

SAME = {  # BibTeX's field -> the tag that says the same
    "journal": "journal_title",
    "booktitle": "conference_title",
    "volume": "volume",
    "number": "issue",
    "doi": "doi",
    "url": "public_url",
    "eprint": "arxiv_id",
}


def _bibtex(citation: Citation) -> dict[str, str]:
    (entry,) = parsed(bibtex.entry(citation))
    return {name: value if name in ("doi", "url") else decode(value) for name, value in entry.items()}


def _tags(citation: Citation) -> Mapping[str, list[str]]:
    """The contents of the tags by their names without `citation_`."""
    found = defaultdict(list)
    for name, content in citation_tags(citation):
        found[name.removeprefix("citation_")].append(content)
    return found


@pytest.mark.parametrize("name", REAL)
def test_tags_and_bibtex_agree(name: str) -> None:
    fields, tags = _bibtex(real()[name]), _tags(real()[name])

    assert tags["title"] == [fields["title"]]
    assert " and ".join(tags["author"]) == fields["author"].replace("{", "").replace("}", "")
    assert [date[:4] for date in tags["publication_date"]] == [fields["year"]]
    assert ["-".join(tags["firstpage"] + tags["lastpage"])] == [fields.get("pages", "").replace("–", "-")]
    for field, tag in SAME.items():
        assert tags[tag] == ([fields[field]] if field in fields else []), field


@pytest.mark.parametrize("name", REAL)
def test_a_paper_is_in_a_journal_or_in_proceedings_or_has_a_publisher(name: str) -> None:
    tags = _tags(real()[name])
    assert [len(tags[kind]) for kind in ("journal_title", "conference_title", "publisher")].count(1) == 1
    assert bool(tags["pdf_url"]) == real()[name].paper.is_arxiv


def test_an_article_has_its_first_and_last_page() -> None:
    tags = _tags(Citation(paper(venue=Venue("Entropy 2025", "journal", "27", "4", "344–351")), "key"))
    told = {name: tags[name] for name in ("journal_title", "volume", "issue", "firstpage", "lastpage")}
    assert [*told.values()] == [["Entropy"], ["27"], ["4"], ["344"], ["351"]]


def test_the_pdf_is_that_of_the_version_that_is_cited() -> None:
    anthology = "https://aclanthology.org/2025.acl-long.1"
    published = Citation(paper(venue="ACL 2025", links={"anthology": anthology}), "key")
    assert _tags(published)["pdf_url"] == [f"{anthology}.pdf"]
    assert _tags(Citation(paper(), "key"))["pdf_url"] == ["https://arxiv.org/pdf/2412.00001"]


def test_no_page_gives_out_our_words_as_an_abstract(html: Path) -> None:
    for path in (html / "papers").rglob("*.html"):
        page = built_site.page(path)
        assert not page.xpath("//meta[contains(@name, 'abstract') or starts-with(@name, 'DC.')]")
        for told in page.xpath("//meta[@name='description' or @property='og:description']/@content"):
            assert told.startswith("Why it was picked: ")
