"""Feeds for readers' programs: Atom, for everything, for each tag and for results, and JSON.

An entry is of the day on which a paper was picked or, if that is later, on which a run of it was recorded or checked
again, at noon. The founding collection is of the day on which it came here, and has no day of publication. Ids are tag
URIs (RFC 4151), which stay what they are wherever the site moves: `tag:daily-picks,2026:` and then

- `2412.11965` for a pick,
- `results/head_mapping/smollm2-135m` for what was found in a reproduction on a model,
- `feed.xml`, `results.xml`, `tags/circuits.xml` for the feeds themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from markupsafe import escape

from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Library, Pick
from picks.site.formats import found, link_label, where
from picks.site.markup import https, plain
from picks.site.results import Run
from picks.site.settings import Settings

RESULTS = "results.xml"
MOST = 60
NOON = time(12, tzinfo=UTC)
BEGUN = date(2026, 1, 1)  # no feed is older
FOUNDED = date(2026, 11, 21)  # when the founding collection came here; the days of its picks are not known


def atom(picks: Iterable[Pick], title: str, path: str, page: str, settings: Settings) -> bytes:
    """An Atom feed of those of these picks that were added or tested last.

    Args:
        path: of the feed itself.
        page: the source of the page it belongs to.
    """
    addresses, newest = Addresses(settings.url), _newest(picks)
    feed = _feed(title, path, page, settings, [_changed(pick) for pick in newest])
    for pick in newest:
        _add_pick(feed, pick, addresses)
    return _written(feed)


def results(library: Library, settings: Settings) -> bytes:
    """An Atom feed with an entry for each reproduction and model: what its fullest run found."""
    runs = [(pick, run) for pick, reproduced in library.reproduced for run in reproduced.best_by_model]
    runs.sort(key=lambda one: _recorded(one[1]), reverse=True)
    feed = _feed(f"{settings.name}: results", RESULTS, "results.md", settings, [_recorded(run) for _, run in runs])
    _add(SubElement(feed, "author"), "name", settings.name)
    for pick, run in runs[:MOST]:
        _add_result(feed, pick, run, Addresses(settings.url))
    return _written(feed)


def json_feed(picks: Iterable[Pick], settings: Settings) -> dict[str, Any]:
    """The same as a JSON Feed, version 1.1."""
    addresses = Addresses(settings.url)
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": settings.name,
        "description": settings.description,
        "home_page_url": settings.url,
        "feed_url": addresses.public("feed.json"),
        "language": "en",
        "items": [_item(pick, addresses) for pick in _newest(picks)],
    }


def _feed(title: str, path: str, page: str, settings: Settings, changed: Sequence[date]) -> Element:
    """A feed without its entries."""
    addresses = Addresses(settings.url)
    feed = Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _add(feed, "id", _id(path))
    _add(feed, "title", title)
    _add(feed, "updated", _noon(max(changed, default=BEGUN)))
    _add(feed, "link", rel="alternate", type="text/html", href=addresses.public(page))
    _add(feed, "link", rel="self", type="application/atom+xml", href=addresses.public(path))
    _add(feed, "generator", settings.name)
    return feed


def _written(feed: Element) -> bytes:
    indent(feed)
    return tostring(feed, encoding="utf8", xml_declaration=True)


def _add_pick(feed: Element, pick: Pick, addresses: Addresses) -> None:
    paper, url = pick.paper, addresses.public(paper_page(pick.paper.id))
    entry = SubElement(feed, "entry")
    _add(entry, "id", _id(paper.id))
    _add(entry, "title", paper.title)
    for author in paper.authors:
        _add(SubElement(entry, "author"), "name", author)
    if paper.picked:
        _add(entry, "published", _noon(paper.picked))
    _add(entry, "updated", _noon(_changed(pick)))
    _add(entry, "link", rel="alternate", type="text/html", href=url)
    for name, address in _links(pick, addresses).items():
        _add(entry, "link", rel="related", title=name, href=address)
    for tag in paper.tags:
        _add(entry, "category", term=tag)
    _add(entry, "summary", paper.why)
    _add(entry, "content", _content(pick), type="html")


def _add_result(feed: Element, pick: Pick, run: Run, addresses: Addresses) -> None:
    entry = SubElement(feed, "entry")
    _add(entry, "id", _id(f"results/{run.reproduction}/{run.model}"))
    _add(entry, "title", f"{pick.paper.title}: {run.model_name}")
    _add(entry, "updated", _noon(_recorded(run)))
    page = addresses.public(f"{paper_page(pick.paper.id)}#reproduction")
    _add(entry, "link", rel="alternate", type="text/html", href=page)
    _add(entry, "summary", found(run))
    _add(entry, "content", _told(run), type="html")


def _add(parent: Element, name: str, text: str | None = None, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text if text is None else plain(text)


def _item(pick: Pick, addresses: Addresses) -> dict[str, Any]:
    paper, url = pick.paper, addresses.public(paper_page(pick.paper.id))
    return {
        "id": _id(paper.id),
        "url": url,
        "external_url": paper.url,
        "title": plain(paper.title),
        "summary": plain(paper.why),
        "content_html": _content(pick),
        **({"date_published": _noon(paper.picked)} if paper.picked else {}),
        "date_modified": _noon(_changed(pick)),
        "authors": [{"name": plain(author)} for author in paper.authors],
        "tags": list(paper.tags),
        "_picks": {"id": paper.id, "links": _links(pick, addresses), "verdicts": pick.verdicts},
    }


def _content(pick: Pick) -> str:
    """Why it was picked, what it says, and what its reproduction found, as HTML."""
    parts = [pick.paper.why, pick.paper.finding, pick.paper.summary]
    if pick.reproduced and pick.reproduced.headline:
        parts.append(found(pick.reproduced.headline))
    return "".join(f"<p>{escape(plain(part))}</p>" for part in parts)


def _links(pick: Pick, addresses: Addresses) -> dict[str, str]:
    """Where to read it, its code and the like, and its notebook."""
    links = {where(pick.paper): pick.paper.url}
    links |= {link_label(key): url for key, url in pick.paper.links.items() if https(url) and url != pick.paper.url}
    if pick.reproduced:
        links["Notebook"] = addresses.public(f"notebooks/{pick.reproduced.name}.ipynb")
    return links


def _told(run: Run) -> str:
    """What a run found, and for each claim of the paper the word, as HTML."""
    claims = [f"{finding.verdict}: {finding.claim.statement}" for finding in run.of_paper if finding.verdict]
    items = "".join(f"<li>{escape(plain(claim))}</li>" for claim in claims)
    return f"<p>{escape(plain(found(run)))}</p><ul>{items}</ul>"


def _id(path: str) -> str:
    return f"tag:daily-picks,2026:{path}"


def _newest(picks: Iterable[Pick]) -> list[Pick]:
    """Those that changed last; of one day, as they stand in the collection."""
    return sorted(picks, key=_changed, reverse=True)[:MOST]


def _changed(pick: Pick) -> date:
    """When it was picked, or a verdict on it was given or checked again."""
    runs = pick.reproduced.runs if pick.reproduced else ()
    return max([pick.paper.picked or FOUNDED, *map(_recorded, runs)])


def _recorded(run: Run) -> date:
    """When it was recorded, or a quick run vouched for it."""
    recorded = date.fromisoformat(str(run.provenance["started"])[:10])
    return max(recorded, date.fromisoformat(run.attested["date"])) if run.attested else recorded


def _noon(day: date) -> str:
    return datetime.combine(day, NOON).isoformat()
