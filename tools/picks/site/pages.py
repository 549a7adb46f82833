"""Every page that is made from the knowledge base, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from picks.check.pages import rule_pages
from picks.exports import FORMATS
from picks.site import cards, notebooks
from picks.site.addresses import paper_page, slug
from picks.site.collection import Group, Pick
from picks.site.explorers import STYLES, explorers_of
from picks.site.markup import front_matter
from picks.site.matrix import sheets
from picks.site.metadata import citation_tags, structured_data
from picks.site.own_code import own_code
from picks.site.panel import executed_page, panel
from picks.site.studio import Studio
from reproductions.common.verdicts import VERDICTS

WIDE = ["navigation", "toc"]  # pages without sidebars
UNSEARCHED = {"exclude": True}
BEHIND = {"boost": 0.3}  # pages whose headings repeat what papers are about
CLAIM_SCRIPTS = ["assets/js/claims.js"]
RESULTS_SCRIPTS = ["assets/js/results.js"]

File = tuple[str, bytes]


def home(studio: Studio) -> Iterator[File]:
    """The filter, the newest pick large, the stream, and every title by month."""
    picks, newest = studio.library.picks, studio.library.newest
    today = [newest, *(picks[paper.id] for paper in newest.together)]
    shown = list(islice(picks.values(), studio.settings.shown))
    meta = {"hide": WIDE, "search": UNSEARCHED, "description": studio.settings.description}
    months = studio.library.by_month()
    values = {"today": today, "shown": shown, "months": months, "listed": _listed(months, studio.settings.listed)}
    yield studio.page("index.md", "index.md.j2", meta=meta, choices=_choices(studio), **values)


def _listed(months: Sequence[Group], most: int) -> Sequence[Group]:
    """The newest months, with so many picks at most."""
    counts = accumulate(len(month.picks) for month in months)
    return [month for month, count in zip(months, counts, strict=True) if count <= most]


def _choices(studio: Studio) -> Mapping[str, Sequence[str] | Sequence[Group]]:
    """What the filter of the list offers; tags with the commonest first."""
    library = studio.library
    verdicts = {verdict for pick in library.picks.values() for verdict in pick.verdicts}
    return {
        "kinds": [group.name for group in library.by_kind()],
        "years": sorted({f"{pick.paper.published:%Y}" for pick in library.picks.values()}, reverse=True),
        "venues": [group.name for group in library.by_venue()],
        "verdicts": [verdict for verdict in VERDICTS if verdict in verdicts],
        "tags": sorted(library.by_tag(), key=lambda group: -len(group.picks)),
    }


def papers(studio: Studio) -> Iterator[File]:
    """A page for each paper."""
    picks = list(studio.library.picks.values())
    prolific = {group.slug for group in studio.library.by_author() if len(group.picks) > 1}

    def author_page(name: str) -> str:
        page = slug(studio.library.person(name))
        return f"authors/{page}.md" if page in prolific else f"authors/index.md#{page}"

    for newer, pick, older in zip([None, *picks], picks, [*picks[1:], None], strict=False):
        path = paper_page(pick.paper.id)
        meta = {
            "title": pick.paper.title,
            "description": f"Why it was picked: {pick.paper.why}",
            "card": _card(pick, studio),
            "embed": pick.paper.title if pick.reproduced else None,
            "citation": citation_tags(pick.citation),
            "jsonld": structured_data(pick, studio.addresses),
            "hide": WIDE if pick.reproduced else ["navigation"],
            "scripts": CLAIM_SCRIPTS if pick.reproduced else [],
            "search": UNSEARCHED,  # the search has it from the list of picks
            "next": studio.addresses.link(paper_page(newer.paper.id), path) if newer else None,
            "prev": studio.addresses.link(paper_page(older.paper.id), path) if older else None,
        }
        values: dict[str, Any] = {"newer": newer, "older": older, "citations": _citations(pick)}
        values |= {"pick": pick, "author_page": author_page}
        yield studio.page(path, "paper.md.j2", meta=meta, **values, **panel(pick, studio.settings))


def _card(pick: Pick, studio: Studio) -> dict[str, str]:
    """The picture that stands for a page about a paper."""
    return {"image": cards.picture_path(pick), "alt": cards.card_of(pick, studio.settings).alt}


def _citations(pick: Pick) -> dict[str, str]:
    """The paper's citation in the formats that readers copy."""
    shown = {"BibTeX": "bibtex", "RIS": "ris", "CSL JSON": "csl", "Markdown": "markdown"}
    return {name: FORMATS[format_]([pick.citation]).removeprefix("- ") for name, format_ in shown.items()}


def written(studio: Studio) -> Iterator[File]:
    """The pages that people wrote, with the picks that they ask for."""
    for source in sorted((studio.root / "site" / "pages").glob("*.md")):
        meta = {"hide": ["navigation"], **({"search": BEHIND} if source.stem == "methods" else {})}
        yield studio.page(source.name, source.name, meta=meta, own_code=own_code)


def rules(studio: Studio) -> Iterator[File]:
    """A page for each rule of `tools/check`, and a list of them."""
    bodies = rule_pages()
    known = sorted(bodies)
    meta: dict[str, Any] = {"title": "Rules of tools/check", "hide": WIDE}
    yield studio.page("rules/index.md", "rules.md.j2", meta=meta, rules=known)
    for rule, body in bodies.items():
        front = front_matter(hide=WIDE, search=BEHIND)
        yield f"rules/{rule}.md", f"{front}{body}\n[All rules](index.md)\n".encode()


def results(studio: Studio) -> Iterator[File]:
    """Every claim of every reproduction, model beside model; and what was found in sentences."""
    reproductions = studio.library.reproduced
    runs = [run for _, reproduced in reproductions for run in reproduced.best_by_model]
    given = {finding.verdict for run in runs for finding in run.findings}
    meta = {"title": "Results", "hide": WIDE, "search": UNSEARCHED, "scripts": RESULTS_SCRIPTS}
    yield studio.page(
        "results.md",
        "results.md.j2",
        meta=meta,
        reproductions=reproductions,
        sheets=sheets(reproductions),
        models={run.model: run.model_name for run in runs},
        verdicts=[verdict for verdict in VERDICTS if verdict in given],
    )
    meta = {"title": "Findings", "hide": WIDE}
    yield studio.page("findings.md", "findings.md.j2", meta=meta, reproductions=reproductions)


def executed(studio: Studio) -> Iterator[File]:
    """The notebook as it ran, for each model's fullest run."""
    for pick, reproduced in studio.library.reproduced:
        for run in reproduced.best_by_model:
            if run.executed:
                meta = {"title": f"Notebook: {pick.paper.title}", "hide": WIDE, "search": UNSEARCHED}
                values = {"pick": pick, "run": run, "parts": notebooks.shown(run.executed)}
                yield studio.page(executed_page(run), "notebook.md.j2", meta=meta, **values)


def explorers(studio: Studio) -> Iterator[File]:
    """A page for each thing to explore in a reproduction, with the styles and scripts that these pages alone need."""
    for pick, reproduced in studio.library.reproduced:
        for explorer in explorers_of(reproduced):
            own = {"styles": STYLES, "scripts": explorer.scripts}
            told = {"title": explorer.title, "description": explorer.about, "card": _card(pick, studio)}
            meta = {**told, "embed": pick.paper.title, "hide": WIDE, **own}
            yield studio.page(explorer.page, "explorer.md.j2", meta=meta, pick=pick, explorer=explorer)


@dataclass(frozen=True)
class Shelf:
    """A way to divide the picks: its folder, the index page's title and lede, and what a page of it says above."""

    folder: str
    title: str
    lede: str
    eyebrow: str


SHELVES = {
    "tags": Shelf("tags", "Tags", "What the picks are about.", "Tag"),
    "kinds": Shelf("kinds", "Kinds of papers", "Methods, analyses, tools and the rest.", "Kind"),
    "authors": Shelf("authors", "Authors", "Everyone who wrote one of the picks.", "Author"),
    "venues": Shelf("venues", "Venues", "Where the picks were published, if anywhere beside arXiv.", "Venue"),
    "months": Shelf("months", "Months", "The picks by the month in which they were picked.", "Picked in"),
}


def groups(studio: Studio) -> Iterator[File]:
    """Pages of tags, kinds, authors, venues and months, and an index of each."""
    library = studio.library
    members = {
        "tags": library.by_tag(),
        "kinds": library.by_kind(),
        "authors": library.by_author(),
        "venues": library.by_venue(),
        "months": library.by_month(),
    }
    for folder, found in members.items():
        yield from _shelf(studio, SHELVES[folder], found)


def _shelf(studio: Studio, shelf: Shelf, found: Sequence[Group]) -> Iterator[File]:
    index = f"{shelf.folder}/index.md"
    more = {other.title: f"{other.folder}/index.md" for other in SHELVES.values() if other is not shelf}
    meta = {"hide": WIDE, "search": UNSEARCHED, "title": shelf.title}
    listed = {"title": shelf.title, "lede": shelf.lede, "folder": shelf.folder, "groups": found, "more": more}
    yield studio.page(index, "groups.md.j2", meta=meta, **listed)
    for group in found:
        if shelf.folder == "authors" and len(group.picks) == 1:
            continue
        path = f"{shelf.folder}/{group.slug}.md"
        meta = {"title": group.name, "hide": WIDE, "search": UNSEARCHED, "description": group.description or group.name}
        downloads = _downloads(shelf, group)
        values: dict[str, Any] = {"group": group, "index": index, "eyebrow": shelf.eyebrow, "downloads": downloads}
        yield studio.page(path, "group.md.j2", meta=meta | {"feed": downloads.get("Atom feed")}, **values)


def _downloads(shelf: Shelf, group: Group) -> dict[str, str]:
    """What can be followed and taken away: tags have a feed and a bibliography."""
    if shelf.folder != "tags":
        return {}
    return {"Atom feed": f"tags/{group.slug}.xml", "BibTeX": f"tags/{group.slug}.bib"}
