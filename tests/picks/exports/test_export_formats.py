"""RIS, CSL-JSON, Markdown and papers.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from picks.bibliography.venues import Venue
from picks.exports import FORMATS, Citation, cite, csl, dump, markdown, ris
from picks.papers import Thread
from tests.picks.exports.sample import paper, real

SCHEMA: dict[str, Any] = json.loads(dump.SCHEMA.read_text("utf8"))


def cited(**different: Any) -> Citation:
    (citation,) = cite([paper(**different)]).values()
    return citation


PUBLISHED = cited(
    title="On [Brackets] & *Stars*?",
    authors=("Mor Geva", "Oskar van der Wal", "DeepMind"),
    venue=Venue("Entropy 2025", "journal", "27", "4", "344"),
    doi="10.3390/e27040344",
    links={"proceedings": "https://example.org/a(b)"},
)
POST = cited(id="lw-a-post", category=None, kind="discussion", address="https://www.lesswrong.com/posts/x/a-post")
PAGE = cited(id="distill-2020-a", category=None, address="https://distill.pub/2020/a/")


def test_ris_has_a_field_a_line() -> None:
    assert ris.entry(PUBLISHED).splitlines() == [
        "TY  - JOUR",
        "ID  - geva2024brackets",
        "TI  - On [Brackets] & *Stars*?",
        "AU  - Geva, Mor",
        "AU  - van der Wal, Oskar",
        "AU  - DeepMind",
        "PY  - 2025",
        "DA  - 2025",
        "JO  - Entropy",
        "VL  - 27",
        "IS  - 4",
        "SP  - 344",
        "DO  - 10.3390/e27040344",
        "UR  - https://example.org/a(b)",
        "AN  - arXiv:2412.00001",
        "KW  - circuits",
        "ER  - ",
    ]


def test_ris_knows_preprints_conferences_and_posts() -> None:
    kinds = [ris.entry(citation).splitlines()[0] for citation in (cited(), cited(venue="ACL 2025"), POST, PAGE)]
    assert kinds == ["TY  - UNPB", "TY  - CPAPER", "TY  - BLOG", "TY  - ELEC"]
    assert "T2  - Distill" in ris.entry(PAGE)
    assert "DA  - 2024/12/01" in ris.entry(cited())


def test_ris_has_the_first_and_the_last_page_apart() -> None:
    lines = ris.entry(cited(venue=Venue("PNAS 2024", "journal", "121", "2", "221–231"))).splitlines()
    assert [line for line in lines if line[:2] in ("SP", "EP", "VL")] == ["VL  - 121", "SP  - 221", "EP  - 231"]


def test_every_real_record_of_ris_ends_and_loses_no_author() -> None:
    records = ris.write(list(real().values())).split("ER  - \n")[:-1]
    assert len(records) == len(real())
    for record, citation in zip(records, real().values(), strict=True):
        assert record.count("AU  - ") == len(citation.paper.authors)
        assert f"TI  - {citation.paper.title}\n" in record


def test_csl_says_nothing_it_does_not_know() -> None:
    assert csl.item(PUBLISHED) == {
        "id": "geva2024brackets",
        "type": "article-journal",
        "title": "On [Brackets] & *Stars*?",
        "author": [
            {"family": "Geva", "given": "Mor"},
            {"family": "van der Wal", "given": "Oskar"},
            {"literal": "DeepMind"},
        ],
        "issued": {"date-parts": [[2025]]},
        "container-title": "Entropy",
        "volume": "27",
        "issue": "4",
        "page": "344",
        "archive": "arXiv",
        "archive_location": "2412.00001",
        "DOI": "10.3390/e27040344",
        "URL": "https://example.org/a(b)",
        "keyword": "circuits",
    }


def test_csl_dates_a_preprint_as_far_as_it_is_known() -> None:
    assert csl.item(cited(published_as="2024-12"))["issued"] == {"date-parts": [[2024, 12]]}
    assert csl.item(cited())["issued"] == {"date-parts": [[2024, 12, 1]]}
    assert [csl.item(citation)["type"] for citation in (cited(), POST, PAGE)] == ["article", "post-weblog", "webpage"]


def test_csl_of_the_collection_is_json_with_every_title() -> None:
    items = json.loads(csl.write(list(real().values())))
    assert [item["title"] for item in items] == [citation.paper.title for citation in real().values()]


def test_markdown_is_one_line_with_a_link_that_holds() -> None:
    assert markdown.entry(PUBLISHED) == (
        r"Mor Geva, Oskar van der Wal, and DeepMind. 2025. "
        r"[On \[Brackets\] & \*Stars\*?](https://example.org/a%28b%29) "
        r"*Entropy 2025*. [arXiv:2412.00001](https://arxiv.org/abs/2412.00001)."
    )
    assert markdown.entry(POST) == (
        "Ada Example. 2024. [A Title of Our Own](https://www.lesswrong.com/posts/x/a-post). *LessWrong*."
    )


def test_the_whole_collection_fits_its_published_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    document = json.loads(FORMATS["json"](list(real().values())))
    assert list(Draft7Validator(SCHEMA).iter_errors(document)) == []
    assert document["count"] == len(document["papers"]) == len(real())


def test_papers_json_loses_nothing() -> None:
    full = cited(threads=(Thread("x", "https://x.com/a"),), picked_with=("2404.00001",), links=PUBLISHED.paper.links)
    (written,) = dump.document([full])["papers"]
    for key in ("id", "title", "summary", "why", "finding", "kind", "doi", "category", "url", "arxiv_url"):
        assert written[key] == getattr(full.paper, key)
    assert written["threads"] == [{"platform": "x", "url": "https://x.com/a"}]
    assert (written["picked_with"], written["links"]) == (["2404.00001"], {"proceedings": "https://example.org/a(b)"})
    assert (
        set(written)
        == set(SCHEMA["definitions"]["paper"]["required"])
        == set(SCHEMA["definitions"]["paper"]["properties"])
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "javascript:alert(1)"),
        ("published", "December"),
        ("kind", "TODO"),
        ("authors", []),
        ("id", "../x"),
        ("reproduction", ""),
        ("more", 1),
    ],
)
def test_the_schema_refuses_what_is_wrong(key: str, value: Any) -> None:
    document = dump.document([cited()])
    document["papers"][0][key] = value
    assert len(list(Draft7Validator(SCHEMA).iter_errors(document))) == 1
