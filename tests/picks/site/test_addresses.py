"""Addresses on the web and on a disk."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picks.site.addresses import Addresses, slug

WEB, DISK = Addresses("https://picks.example.org/"), Addresses("https://picks.example.org/", offline=True)


@pytest.mark.parametrize(
    ("target", "start", "web", "disk"),
    [
        ("papers/1.md", "index.md", "papers/1/", "papers/1.html"),
        ("index.md", "papers/1.md", "../../", "../index.html"),
        ("papers/2.md#cite", "papers/1.md", "../../papers/2/#cite", "../papers/2.html#cite"),
        ("tags/index.md", "papers/1.md", "../../tags/", "../tags/index.html"),
        ("feed.xml", "explore/a/b.md", "../../../feed.xml", "../../feed.xml"),
        ("index.md", "index.md", "./", "index.html"),
        ("about.md", "verdicts.md", "../about/", "about.html"),
    ],
)
def test_links_are_relative_to_their_page(target: str, start: str, web: str, disk: str) -> None:
    assert (WEB.link(target, start), DISK.link(target, start)) == (web, disk)


NAMES = st.lists(st.sampled_from(["a", "b", "index", "2412.11965"]), min_size=1, max_size=4).map("/".join)


@given(NAMES, NAMES)
def test_a_link_followed_from_its_page_leads_to_the_address(target: str, start: str) -> None:
    for addresses in (WEB, DISK):
        here = "/" + addresses.of(f"{start}.md")
        there = posixpath.normpath(
            posixpath.join(posixpath.dirname(here), addresses.link(f"{target}.md", f"{start}.md"))
        )
        assert there == posixpath.normpath("/" + addresses.of(f"{target}.md"))


def test_what_others_use_is_always_the_address_on_the_web() -> None:
    assert DISK.public("papers/1.md") == "https://picks.example.org/papers/1/"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Béla Bartók", "bela-bartok"),
        ("Bela Bartok", "bela-bartok"),
        ("  AI for science ", "ai-for-science"),
        ("x" * 99, "x" * 80),
    ],
)
def test_slugs_are_small_ascii(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_names_without_latin_letters_have_slugs_of_their_own() -> None:
    assert slug("王小明") != slug("李雷")
    assert slug("王小明").isalnum()
