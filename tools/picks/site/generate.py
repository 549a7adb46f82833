"""Everything that MkDocs is given: pages, feeds, data, figures, and the site's own style and scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path

from picks.exports import FORMATS
from picks.exports.dump import SCHEMA as PAPERS_SCHEMA
from picks.files import load_yaml
from picks.site import cards, data, feeds, notebooks, pages
from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Pick, load_library
from picks.site.explorers import explorers_of
from picks.site.glossary import load_glossary
from picks.site.markup import inert
from picks.site.pages import File
from picks.site.results import Run
from picks.site.settings import load_settings
from picks.site.studio import Studio, picture_path, units_path
from reproductions.common.explorers import KINDS, SCHEMAS

ROBOTS = "User-agent: *\nAllow: /\nSitemap: {site}sitemap.xml\n"
MOVED = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Moved</title>
<link rel="canonical" href="{public}">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="0; url={link}">
<p>This page has moved: <a href="{link}">{link}</a>.</p>
</html>
"""


def generate(root: Path, *, offline: bool = False) -> dict[str, bytes]:
    """Every source of the site by its path.

    Raises:
        UserError: an entry, a record or a setting is not as it must be.
    """
    settings = load_settings(root)
    addresses = Addresses(settings.url, offline)
    studio = Studio(root, load_library(root), settings, addresses, load_glossary(root))
    of_picks = (pages.home, pages.papers, pages.results, pages.executed, pages.explorers, pages.groups)
    parts = (*of_picks, pages.written, pages.rules, _feeds, _exports, _cards, _recorded, _moved, _assets)
    return {path: content for part in parts for path, content in part(studio)}


def _feeds(studio: Studio) -> Iterator[File]:
    settings, picks = studio.settings, list(studio.library.picks.values())
    yield "feed.xml", feeds.atom(picks, settings.name, "feed.xml", "index.md", settings)
    yield feeds.RESULTS, feeds.results(studio.library, settings)
    yield "feed.json", data.dumped(feeds.json_feed(picks, settings))
    for tag in studio.library.by_tag():
        path, title = f"tags/{tag.slug}.xml", f"{settings.name}: {tag.name}"
        yield path, feeds.atom(tag.picks, title, path, f"tags/{tag.slug}.md", settings)


def _exports(studio: Studio) -> Iterator[File]:
    library = studio.library
    yield "papers.bib", _export("bibtex", library.picks.values())
    yield "papers.json", _export("json", library.picks.values())
    yield "papers.schema.json", PAPERS_SCHEMA.read_bytes()
    yield "results.json", data.results_json(library, studio.addresses)
    yield "results.csv", data.results_csv(library, studio.addresses)
    yield "results.schema.json", data.RESULTS_SCHEMA_FILE.read_bytes()
    yield from ((f"schemas/{kind}.json", (SCHEMAS / f"{kind}.json").read_bytes()) for kind in KINDS)
    yield "assets/data/picks.js", data.picks_script(library, studio.addresses, _aliases(studio.root))
    yield "robots.txt", ROBOTS.format(site=studio.settings.url).encode()
    for tag in library.by_tag():
        yield f"tags/{tag.slug}.bib", _export("bibtex", tag.picks)


def _export(format_: str, picks: Iterable[Pick]) -> bytes:
    return FORMATS[format_]([pick.citation for pick in picks]).encode()


def _cards(studio: Studio) -> Iterator[File]:
    """Pictures for links to pages; nobody posts a link to a page on a disk."""
    if studio.addresses.offline:
        return
    yield cards.SITE, cards.png(cards.site_card(studio.settings), studio.root)
    for pick in studio.library.picks.values():
        yield cards.picture_path(pick), cards.png(cards.card_of(pick, studio.settings), studio.root)


def _recorded(studio: Studio) -> Iterator[File]:
    """Notebooks, records, figures, and what explorers draw."""
    for _, reproduced in studio.library.reproduced:
        yield f"notebooks/{reproduced.name}.ipynb", notebooks.stripped(reproduced.notebook)
        for run in reproduced.runs:
            yield from _of_run(studio, run)
        for explorer in explorers_of(reproduced):
            for run in explorer.runs:
                yield explorer.script(run), data.explorer_script(run.data[explorer.name])


def _of_run(studio: Studio, run: Run) -> Iterator[File]:
    """A run's record, its figures in both colours, its data, and the units of its claims."""
    folder = f"results/{run.reproduction}"
    yield f"{folder}/{run.file.name}", _json(run.file)
    for figure in run.figures:
        for theme in figure.files:
            yield picture_path(run, figure, theme), studio.drawing(figure, theme)
    for source in run.data.values():
        yield f"{folder}/{source.name}", _json(source)
    for finding in filter(attrgetter("has_units"), run.findings):
        yield units_path(run, finding), data.units_csv(finding)


def _aliases(root: Path) -> list[list[str]]:
    """Groups of names that mean the same, from `site/aliases.yml`."""
    return [[name, *others] for name, others in load_yaml(root / "site" / "aliases.yml").items()]


def _json(path: Path) -> bytes:
    """A JSON file as we would write it, and nothing that only looks like one."""
    return data.dumped(json.loads(path.read_text(encoding="utf8")))


def _moved(studio: Studio) -> Iterator[File]:
    """A page that sends its reader on, for every address that was given up."""
    file = studio.root / "site" / "moved.yml"
    moved = load_yaml(file) if file.exists() else {}
    for pick in studio.library.picks.values():
        moved |= {f"papers/{former}": paper_page(pick.paper.id) for former in pick.paper.former_ids}
    for old, new in moved.items():
        start = f"{old}/index.md"
        link, public = studio.addresses.link(new, start), studio.addresses.public(new)
        yield f"{old}/index.html", MOVED.format(public=inert(public), link=inert(link)).encode()


def _assets(studio: Studio) -> Iterator[File]:
    folder = studio.root / "site" / "assets"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"assets/{path.relative_to(folder).as_posix()}", path.read_bytes()
