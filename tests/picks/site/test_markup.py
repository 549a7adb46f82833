"""Texts of others stay texts, in HTML and in Markdown."""

from __future__ import annotations

import html
import json

import markdown
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import html as lxml_html
from markupsafe import Markup

from picks.site.markup import front_matter, https, inert, notebook_markdown, plain, verbatim
from tests.fixtures.built_site import dangers
from tests.fixtures.mini_site import ATTACK, MULTILINE

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("<>&'\"`*_{}[]()#!|~-+.:\\\n=$ 1")))


@given(TEXTS)
@example(ATTACK)
@example("1. one")
@example("- - -")
@example("=== ")
@example("    code")
@example("[x]: https://example.org")
def test_markdown_and_browsers_show_an_inert_text_as_it_was(text: str) -> None:
    shown = markdown.markdown(str(inert(text)), extensions=["attr_list", "tables", "toc"])
    parsed = lxml_html.fromstring(f"<div>{shown}</div>")
    assert {element.tag for element in parsed.iter()} <= {"div", "p"}
    assert parsed.text_content().strip() == plain(text)


@given(TEXTS)
@example(ATTACK)
def test_an_inert_text_keeps_inside_an_attribute(text: str) -> None:
    parsed = lxml_html.fromstring(f'<img alt="{inert(text)}">')
    assert dict(parsed.attrib) == {"alt": plain(text)}


def test_markup_of_our_own_is_left_alone() -> None:
    assert inert(Markup("<b>ours</b>")) == "<b>ours</b>"


def test_verbatim_keeps_lines_and_indentation() -> None:
    text = "@misc{a,\n  title = {<b>},\n\n}"
    assert html.unescape(str(verbatim(text))) == text


@pytest.mark.parametrize("url", ["https://example.org/a_(b)?c=d#e", "https://aclanthology.org/2025.acl-long.1"])
def test_https_addresses_are_kept(url: str) -> None:
    assert https(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        " data:text/html,x",
        "//example.org",
        "https:example.org",
        "https://user@example.org",
        'https://example.org/"onmouseover=x',
        "https://exa mple.org",
        "https://[",
        "",
    ],
)
def test_other_addresses_are_not(url: str) -> None:
    assert https(url) is None


def test_notebooks_bring_formatting_but_nothing_that_runs() -> None:
    source = f"- **bold** `code` [a](https://example.org) $x_1$\n\n{ATTACK}\n\n{MULTILINE}\n\n[b](javascript:x) [c](http://d.e)"
    shown = notebook_markdown(source)
    parsed = lxml_html.fromstring(f"<div>{shown}</div>")
    assert [link.get("href") for link in parsed.iter("a")] == ["https://example.org"]
    assert parsed.xpath("//strong/text()")[0] == "bold"
    assert "x_1" in parsed.xpath("//code/text()")
    assert {element.tag for element in parsed.iter()} <= {
        "div",
        "p",
        "ul",
        "li",
        "strong",
        "em",
        "code",
        "pre",
        "a",
        "h1",
    }


def test_front_matter_is_yaml_with_an_escaped_title() -> None:
    text = front_matter(title=ATTACK, description=ATTACK, citation=[("citation_title", ATTACK)])
    fields = yaml.safe_load(text.strip("-\n"))
    assert fields["title"] == html.escape(plain(ATTACK))
    assert fields["citation"] == [["citation_title", plain(ATTACK)]]
    assert json.loads(text.strip("-\n")) == fields


def test_the_eye_of_these_tests_sees_what_runs(tmp_path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<body><script>x</script><a href='java&#x9;script:x'>a</a><p onclick=x></p><iframe></iframe></body>"
    )
    assert len(dangers(page)) == 4
