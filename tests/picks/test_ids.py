"""How a paper is named."""

from __future__ import annotations

import pytest

from picks import ids


@pytest.mark.parametrize(
    ("name", "arxiv", "slug"),
    [
        ("2404.07129", True, False),
        ("0704.0001", True, False),
        ("cs-0101001", True, False),
        ("cmp-lg-9407001", True, False),
        ("lw-some-slug", False, True),
        ("distill-2020-circuits-zoom-in", False, True),
        ("x-" + "a" * 98, False, True),
        ("x-" + "a" * 99, False, False),
        ("distill", False, False),
        ("Lw-some", False, False),
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
def test_a_name_is_an_arxiv_id_or_a_slug_or_nothing(name: str, arxiv: bool, slug: bool) -> None:
    assert (ids.is_arxiv(name), ids.is_slug(name), ids.is_paper_id(name)) == (arxiv, slug, arxiv or slug)


FORUM = "posts/rZPiuFxESMxCDHe4B/sae-reconstruction-errors-are-empirically-pathological"


@pytest.mark.parametrize(
    ("address", "slug"),
    [
        (f"https://www.lesswrong.com/{FORUM}", "lw-sae-reconstruction-errors-are-empirically-pathological"),
        (f"https://www.alignmentforum.org/{FORUM}", "lw-sae-reconstruction-errors-are-empirically-pathological"),
        ("https://forum.effectivealtruism.org/posts/abc/on-audits?commentId=1", "ea-on-audits"),
        ("https://www.lesswrong.com/posts/Zeg2Jztb", "lw-zeg2jztb"),
        ("https://transformer-circuits.pub/2025/linebreaks/index.html", "tc-2025-linebreaks"),
        ("https://distill.pub/2020/circuits/zoom-in/", "distill-2020-circuits-zoom-in"),
        ("https://openreview.net/forum?id=jp4dzBilqX", "openreview-jp4dzbilqx"),
        ("https://aclanthology.org/2025.acl-long.1/", "acl-2025-acl-long-1"),
        ("https://proceedings.mlr.press/v235/alpha24a.html", "pmlr-v235-alpha24a"),
        ("https://doi.org/10.1038/s42256-024-00976-7", "doi-10-1038-s42256-024-00976-7"),
        ("https://www.example.ac.uk/theses/2024/ann-alpha.pdf", "example-ac-uk-theses-2024-ann-alpha"),
        ("https://example.org/" + "long-word/" * 30, "example-org" + "-long-word" * 8 + "-long"),
        ("https://papers.ssrn.com/papers.cfm?utm_source=x&abstract_id=12", "papers-ssrn-com-papers-cfm-abstract-id-12"),
        ("https://example.org", None),
        ("https://[x", None),
        ("https://arxiv.org/abs/2412.11965", None),
        ("https://example.org/", None),
        ("https://www.lesswrong.com/tag/interpretability", None),
        ("https://192.168.0.1/a", None),
        ("nonsense", None),
    ],
)
def test_an_address_has_one_slug(address: str, slug: str | None) -> None:
    assert ids.slug_of(address) == slug


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (f"https://www.lesswrong.com/{FORUM}", "https://www.alignmentforum.org/posts/rZPiuFxESMxCDHe4B", True),
        ("https://distill.pub/2020/a/", "https://www.distill.pub/2020/a/index.html", True),
        ("https://openreview.net/forum?id=aB", "https://openreview.net/forum?id=aB&noteId=c", True),
        ("https://openreview.net/forum?id=aB", "https://openreview.net/forum?id=ab", False),
        ("https://distill.pub/2020/a/", "https://distill.pub/2020/b/", False),
        ("https://example.org/a?id=1&utm_source=x", "https://example.org/a?id=1", True),
        ("https://example.org/a?id=1", "https://example.org/a?id=2", False),
    ],
)
def test_two_spellings_of_an_address_are_one_place(one: str, other: str, same: bool) -> None:
    assert (ids.place_of(one) == ids.place_of(other)) == same


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
