"""The many names of one paper."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_paper_id


@pytest.mark.parametrize(
    "text",
    [
        "2412.11965",
        " 2412.11965v2 ",
        "arXiv:2412.11965",
        "arxiv: 2412.11965v1",
        "https://arxiv.org/abs/2412.11965",
        "http://www.arxiv.org/abs/2412.11965v2?context=cs#top",
        "arxiv.org/pdf/2412.11965v2.pdf",
        "https://export.arxiv.org/html/2412.11965v1/",
        "https://huggingface.co/papers/2412.11965",
        "https://www.alphaxiv.org/abs/2412.11965",
        "10.48550/arXiv.2412.11965",
        "https://doi.org/10.48550/ARXIV.2412.11965",
        "arXiv:2412.11965v2 [cs.CL]",
        "arXiv:2412.11965 [q-bio.NC]",
        "https://ar5iv.org/abs/2412.11965",
        "https://ar5iv.labs.arxiv.org/html/2412.11965",
        "https://www.alphaxiv.org/overview/2412.11965v2",
        "hf.co/papers/2412.11965",
        "papers/2412.11965.yml",
        "/home/ada/daily-picks/papers/2412.11965.yml",
    ],
)
def test_all_of_these_are_one_paper(text: str) -> None:
    assert paper_id(text) == "2412.11965"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cs/0101001", "cs-0101001"),
        ("cs-0101001", "cs-0101001"),
        ("https://arxiv.org/abs/math.GT/0309136v1", "math-0309136"),
        ("arXiv:cond-mat/9609089", "cond-mat-9609089"),
        ("lw-some-post", "lw-some-post"),
    ],
)
def test_old_numbers_and_posts_have_the_names_of_their_files(text: str, name: str) -> None:
    assert paper_id(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2412",
        "2412.119655",
        "2413.00001",
        "https://example.org/abs/2412.11965",
        "2412.11965/../x",
        "../2412.11965",
        "papers/../2412.11965",
        "2412.11965 [x y]",
    ],
)
def test_nothing_else_is_a_paper(text: str) -> None:
    assert paper_id(text) is None


@settings(deadline=None)
@given(st.text())
def test_whatever_is_found_can_name_a_file(text: str) -> None:
    found = paper_id(text)
    assert found is None or (is_paper_id(found) and "/" not in found)


def test_dois_and_anthology_ids() -> None:
    assert doi("https://doi.org/10.18653/v1/2025.acl-long.866") == "10.18653/v1/2025.acl-long.866"
    assert doi("doi:10.1162/coli.a.572") == "10.1162/coli.a.572"
    assert doi("2412.11965") is None
    for text in ("https://aclanthology.org/2025.acl-long.866/", "10.18653/v1/2025.acl-long.866", "2025.acl-long.866"):
        assert anthology_id(text) == "2025.acl-long.866"
    assert anthology_id("https://aclanthology.org/P19-1001.pdf") == "P19-1001"
    assert anthology_id("10.1162/coli.a.572") is None
