"""How a paper is named."""

from __future__ import annotations

import pytest

from picks import ids


@pytest.mark.parametrize(
    ("name", "arxiv", "post"),
    [
        ("2404.07129", True, False),
        ("0704.0001", True, False),
        ("cs-0101001", True, False),
        ("cmp-lg-9407001", True, False),
        ("lw-some-slug", False, True),
        ("2413.07129", False, False),
        ("2404.071", False, False),
        ("2404.07129v2", False, False),
        ("cs-0113001", False, False),
        ("CS-0101001", False, False),
        ("lw-", False, False),
        ("lw--a", False, False),
        ("", False, False),
        ("2404.07129\n", False, False),
    ],
)
def test_a_name_is_an_arxiv_id_or_a_post_or_nothing(name: str, arxiv: bool, post: bool) -> None:
    assert (ids.is_arxiv(name), ids.is_post(name), ids.is_paper_id(name)) == (arxiv, post, arxiv or post)


@pytest.mark.parametrize(
    ("name", "month"),
    [("2404.07129", (2024, 4)), ("0704.0001", (2007, 4)), ("cs-0101001", (2001, 1)), ("cmp-lg-9407001", (1994, 7)),
     ("lw-some-slug", None)],
)  # fmt: skip
def test_an_arxiv_id_says_its_month(name: str, month: tuple[int, int] | None) -> None:
    assert ids.month(name) == month


def test_old_ids_have_a_slash_on_arxiv() -> None:
    assert ids.arxiv_name("cmp-lg-9407001") == "cmp-lg/9407001"
    assert ids.arxiv_name("2404.07129") == "2404.07129"
