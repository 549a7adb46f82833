"""BibTeX: what is written is what a parser of somebody else reads."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import bibtexparser
import pytest
from bibtexparser.middlewares import MonthLongStringMiddleware, NormalizeFieldKeys
from hypothesis import given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text

from picks.add.bibtex import read
from picks.add.diff import changes
from picks.add.entry_file import EntryFile
from picks.add.people import people
from picks.bibliography.latex import decode
from picks.bibliography.names import from_parts, read_name
from picks.bibliography.venues import JOURNAL, Venue
from picks.exports import Citation, bibtex, cite
from picks.ids import arxiv_name
from tests.picks.exports.sample import REAL, ROOT, paper, real

TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" -'`{}\\$&%#_~^\"@,="), max_size=40)

WORD = st.text(st.characters(categories=("Lu", "Lt")), min_size=1, max_size=5)
NAME = st.lists(WORD, min_size=1, max_size=4).map(" ".join) | WORD.map("{{{0} & {0}, {0}}}".format)


def parsed(text: str) -> list[dict[str, str]]:
    library = bibtexparser.parse_string(text, append_middleware=[NormalizeFieldKeys(), MonthLongStringMiddleware()])
    assert library.failed_blocks == []
    return [dict(entry.items()) for entry in library.entries]


def only(**different: Any) -> tuple[Citation, dict[str, str]]:
    citation = cite([paper(**different)])["2412.00001"]
    (fields,) = parsed(bibtex.entry(citation))
    return citation, fields


def test_the_whole_collection_is_read_back_entry_by_entry() -> None:
    entries = parsed(bibtex.write(list(real().values())))
    assert [entry["ID"] for entry in entries] == [citation.key for citation in real().values()]


@pytest.mark.parametrize("name", REAL)
def test_a_real_entry_survives_a_parser_that_is_not_ours(name: str) -> None:
    citation = real()[name]
    (fields,) = parsed(bibtex.entry(citation))
    made = citation.paper
    assert said(fields["title"]) == unicodedata.normalize("NFC", made.title)
    authors = [from_parts(said(name).split(",")).spoken for name in fields["author"].split(" and ")]
    assert authors == [unicodedata.normalize("NFC", name.spoken) for name in made.names]
    assert int(fields["year"]) == citation.year
    assert fields.get("eprint") == (arxiv_name(made.id) if made.is_arxiv else None)
    assert fields.get("archiveprefix") == ("arXiv" if made.is_arxiv else None)


def test_what_was_exported_tells_the_entries_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "all.bib"
    path.write_text(bibtex.write(list(real().values())), "utf8")
    for facts, citation in zip(read(path).facts, real().values(), strict=True):
        assert facts.id == citation.paper.id or citation.site
        assert (facts.title, facts.authors) == (
            citation.paper.title,
            tuple(name.written for name in citation.paper.names),
        )
        assert list(changes(EntryFile.load(ROOT / "papers" / f"{citation.paper.id}.yml"), facts)) == []


def said(latex: str) -> str:
    return unicodedata.normalize("NFC", LatexNodes2Text().latex_to_text(latex))


@settings(deadline=None)
@given(TEXT.filter(str.strip))
def test_any_title_survives(title: str) -> None:
    _, fields = only(title=" ".join(title.split()))
    assert decode(fields["title"]) == unicodedata.normalize("NFC", " ".join(title.split()))


@settings(deadline=None)
@given(st.lists(NAME, min_size=1, max_size=4))
def test_any_names_survive(names: list[str]) -> None:
    _, fields = only(authors=tuple(names))
    assert people(fields["author"]) == [read_name(unicodedata.normalize("NFC", name)).written for name in names]


def test_a_published_paper_is_cited_as_published_with_its_number_on_arxiv() -> None:
    citation, fields = only(
        venue="ACL 2025",
        doi="10.18653/v1/2025.acl-long.1",
        links={"anthology": "https://aclanthology.org/2025.acl-long.1"},
    )
    assert fields == {
        "ENTRYTYPE": "inproceedings",
        "ID": citation.key,
        "title": "A Title of Our Own",
        "author": "Example, Ada",
        "booktitle": "Proceedings of the Annual Meeting of the Association for Computational Linguistics (ACL 2025)",
        "year": "2025",
        "doi": "10.18653/v1/2025.acl-long.1",
        "url": "https://aclanthology.org/2025.acl-long.1",
        "eprint": "2412.00001",
        "archiveprefix": "arXiv",
        "primaryclass": "cs.CL",
    }


def test_a_preprint_is_misc_with_its_month() -> None:
    _, fields = only()
    assert (fields["ENTRYTYPE"], fields["year"], fields["month"]) == ("misc", "2024", "December")
    assert fields["url"] == "https://arxiv.org/abs/2412.00001"


def test_a_date_known_to_the_year_has_no_month() -> None:
    _, fields = only(published_as="2024")
    assert "month" not in fields


def test_a_journal_has_volume_number_and_pages() -> None:
    _, fields = only(venue=Venue("Entropy 2025", JOURNAL, "27", "4", "344"))
    got = [fields[name] for name in ("ENTRYTYPE", "journal", "volume", "number", "pages", "year")]
    assert got == ["article", "Entropy", "27", "4", "344", "2025"]


def test_the_doi_of_arxiv_is_not_that_of_a_published_paper() -> None:
    assert "doi" not in only(venue="ACL 2025", doi="10.48550/arXiv.2412.00001")[1]
    assert only(doi="10.48550/arXiv.2412.00001")[1]["doi"] == "10.48550/arXiv.2412.00001"


def test_a_post_is_misc_with_its_address_and_no_number() -> None:
    post = paper(id="lw-a-post", category=None, address="https://www.lesswrong.com/posts/x/a-post")
    (fields,) = parsed(bibtex.entry(cite([post])["lw-a-post"]))
    assert (fields["ENTRYTYPE"], fields["howpublished"], fields["url"]) == ("misc", "LessWrong", post.address)
    assert "eprint" not in fields


def test_an_old_arxiv_number_is_written_with_its_slash() -> None:
    old = cite([paper(id="cs-0101001")])["cs-0101001"]
    assert "eprint = {cs/0101001}" in bibtex.entry(old)


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("LatentQA: Teaching LLMs to Decode", "{LatentQA}: Teaching {LLMs} to Decode"),
        ("Do I Know This Entity? Knowledge in Gemma", "Do {I} Know This Entity? {Knowledge} in {Gemma}"),
        ("What needs Fourier to learn? A study: The end", "What needs {Fourier} to learn? {A} study: The end"),
        ("A Human-AI Test of GPT2 & Co.", "A Human-{AI} Test of {GPT2} \\& Co."),
        ("Über naïve Modelle", '{\\"U}ber na{\\"{\\i}}ve Modelle'),
    ],
)
def test_capitals_that_mean_something_are_in_braces(title: str, written: str) -> None:
    assert bibtex.title(title) == written


def test_a_group_of_authors_stays_in_one_piece() -> None:
    _, fields = only(authors=("DeepMind", "{Smith and Sons Ltd}", "Oskar van der Wal", "Ann Blake Jr."))
    assert fields["author"] == "{DeepMind} and {Smith and Sons Ltd} and van der Wal, Oskar and Blake, Jr., Ann"


def test_the_parts_of_a_name() -> None:
    assert read_name("Stephanie C. Y. Chan").family_first == "Chan, Stephanie C. Y."
