"""Texts of others, made inert: entries, records and notebooks may hold anything, and none of it may become markup.

A template prints every value through `inert`, so it can be neither HTML nor Markdown wherever it lands. Markdown of
notebooks is rendered here with raw HTML off, and only https links survive.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_ACTIVE = re.compile(r"[<>&\"'`\\*_{}\[\]()#!|~^=$@%]|^[-+.:?\d]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]+")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSAFE = re.compile(r"[\s\\<>\"']")
_MATH = re.compile(r"\$\$?([^$\n]{1,200})\$\$?")


def plain(value: object) -> str:
    """Text on one line, without control characters and without marks that turn the direction of writing."""
    return " ".join(_DIRECTION.sub("", _CONTROL.sub(" ", str(value))).split())


def inert(value: object) -> Markup:
    """Text that stays text in HTML, in an attribute, and in Markdown."""
    return value if isinstance(value, Markup) else _escaped(plain(value))


def verbatim(text: str) -> Markup:
    """Text with its line breaks and indentation, for the inside of `<pre>`."""
    lines = text.expandtabs(4).splitlines()
    return Markup("\n").join(_escaped(_DIRECTION.sub("", _CONTROL.sub(" ", line))) for line in lines)


def _escaped(line: str) -> Markup:
    return Markup(_ACTIVE.sub(lambda active: "".join(f"&#{ord(letter)};" for letter in active[0]), line))


def https(url: object) -> str | None:
    """The address if it is an https address of some host, else None."""
    text = plain(url)
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    named = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
    return text if named and not _UNSAFE.search(text) else None


def front_matter(**fields: Any) -> str:
    """A page's front matter as JSON, which YAML reads; the theme prints title and description as HTML, so they are."""
    for key in ("title", "description"):
        if key in fields:
            fields[key] = html.escape(plain(fields[key]))
    return f"---\n{json.dumps(_lines(fields), ensure_ascii=False)}\n---\n"


def _lines(value: Any) -> Any:
    """The same with every text on one line, as YAML wants it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {key: _lines(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lines(item) for item in value]
    return value


def highlighted(code: str) -> Markup:
    """Python with its words marked, for the inside of `<pre>`."""
    text = _DIRECTION.sub("", code.expandtabs(4))
    clean = "\n".join(_CONTROL.sub(" ", line) for line in text.splitlines())
    return Markup(highlight(clean, PythonLexer(), HtmlFormatter(nowrap=True)).strip())


def notebook_markdown(source: str) -> Markup:
    """Markdown of a notebook as HTML: no raw HTML, no images, https links only, formulas as code."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.disable(["image", "html_block", "html_inline"])
    renderer.validateLink = lambda url: https(url) is not None  # type: ignore[method-assign]
    text = _MATH.sub(lambda found: f"`{found[1].strip().replace('`', '')}`", _DIRECTION.sub("", source))
    return Markup(renderer.render(text).strip())
