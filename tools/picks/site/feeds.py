"""Feeds for readers' programs: Atom, whole and for each tag, and JSON. Dates come from the entries, at noon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from markupsafe import escape

from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Pick
from picks.site.formats import found, link_label
from picks.site.markup import https, plain
from picks.site.settings import Settings

MOST = 60
NOON = time(12, tzinfo=UTC)


def atom(picks: Sequence[Pick], title: str, path: str, page: str, settings: Settings) -> bytes:
    """An Atom feed of the newest of these picks.

    Args:
        path: of the feed itself.
        page: the source of the page it belongs to.
    """
    addresses = Addresses(settings.url)
    feed = Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _add(feed, "id", addresses.public(path))
    _add(feed, "title", title)
    _add(feed, "updated", max(_noon(pick) for pick in picks))
    _add(feed, "link", rel="alternate", type="text/html", href=addresses.public(page))
    _add(feed, "link", rel="self", type="application/atom+xml", href=addresses.public(path))
    _add(feed, "generator", settings.name)
    for pick in picks[:MOST]:
        _add_entry(feed, pick, addresses)
    indent(feed)
    return tostring(feed, encoding="utf8", xml_declaration=True)


def json_feed(picks: Sequence[Pick], settings: Settings) -> dict[str, Any]:
    """The same as a JSON Feed, version 1.1."""
    addresses = Addresses(settings.url)
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": settings.name,
        "description": settings.description,
        "home_page_url": settings.url,
        "feed_url": addresses.public("feed.json"),
        "language": "en",
        "items": [_item(pick, addresses) for pick in picks[:MOST]],
    }


def _add_entry(feed: Element, pick: Pick, addresses: Addresses) -> None:
    paper, url = pick.paper, addresses.public(paper_page(pick.paper.id))
    entry = SubElement(feed, "entry")
    _add(entry, "id", url)
    _add(entry, "title", paper.title)
    for author in paper.authors:
        _add(SubElement(entry, "author"), "name", author)
    _add(entry, "published", _noon(pick))
    _add(entry, "updated", _noon(pick))
    _add(entry, "link", rel="alternate", type="text/html", href=url)
    for name, address in _links(pick, addresses).items():
        _add(entry, "link", rel="related", title=name, href=address)
    for tag in paper.tags:
        _add(entry, "category", term=tag)
    _add(entry, "summary", paper.why)
    _add(entry, "content", _content(pick), type="html")


def _add(parent: Element, name: str, text: str | None = None, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text if text is None else plain(text)


def _item(pick: Pick, addresses: Addresses) -> dict[str, Any]:
    paper, url = pick.paper, addresses.public(paper_page(pick.paper.id))
    return {
        "id": url,
        "url": url,
        "external_url": paper.url,
        "title": plain(paper.title),
        "summary": plain(paper.why),
        "content_html": _content(pick),
        "date_published": _noon(pick),
        "authors": [{"name": plain(author)} for author in paper.authors],
        "tags": list(paper.tags),
        "_picks": {"id": paper.id, "links": _links(pick, addresses), "verdicts": pick.verdicts},
    }


def _content(pick: Pick) -> str:
    """Why it was picked, what it says, and what its reproduction found, as HTML."""
    parts = [pick.paper.why, pick.paper.summary]
    if pick.reproduced and pick.reproduced.headline:
        parts.append(found(pick.reproduced.headline))
    return "".join(f"<p>{escape(plain(part))}</p>" for part in parts)


def _links(pick: Pick, addresses: Addresses) -> dict[str, str]:
    """Where to read it, its code and the like, and its notebook."""
    links = {"arXiv" if pick.paper.is_arxiv else "Post": pick.paper.url}
    links |= {link_label(key): url for key, url in pick.paper.links.items() if https(url) and url != pick.paper.url}
    if pick.reproduced:
        links["Notebook"] = addresses.public(f"notebooks/{pick.reproduced.name}.ipynb")
    return links


def _noon(pick: Pick) -> str:
    return datetime.combine(pick.date, NOON).isoformat()
