"""Renders templates: every value they print is made inert, every link is relative to the page it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from picks.site import markup
from picks.site.addresses import Addresses, paper_page, slug
from picks.site.claims import why
from picks.site.collection import Library
from picks.site.drawings import clean_svg, svg_size
from picks.site.formats import FILTERS
from picks.site.glossary import Glossary
from picks.site.images import clean_png, size
from picks.site.matrix import rank
from picks.site.results import Figure, Finding, Run
from picks.site.settings import Settings


@dataclass(frozen=True)
class Picture:
    """A figure's file on the site."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Studio:
    """What every page is made with."""

    root: Path
    library: Library
    settings: Settings
    addresses: Addresses
    glossary: Glossary

    def page(self, path: str, template: str, *, meta: dict[str, Any] | None = None, **values: Any) -> tuple[str, bytes]:
        """A page's path, and the page as Markdown with front matter, from a template."""
        link = partial(self.addresses.link, start=path)
        shared = {
            "library": self.library,
            "settings": self.settings,
            "link": link,
            "glossary": self.glossary,
            "term": partial(self.glossary.term, link=link),
            "picture_of": self.picture,
            "figure_anchor": figure_anchor,
            "units_path": units_path,
            "tagged": self.library.tagged,
        }
        body = self._environment.get_template(template).render(shared | values)
        return path, (markup.front_matter(**(meta or {})) + body.strip() + "\n").encode()

    def picture(self, run: Run, figure: Figure, theme: str) -> Picture:
        """Where a figure's drawing lies, and how large it is."""
        drawing = self.drawing(figure, theme)
        width, height = svg_size(drawing) if _is_svg(figure, theme) else size(drawing)
        return Picture(picture_path(run, figure, theme), width, height)

    def drawing(self, figure: Figure, theme: str) -> bytes:
        """A figure for light or dark pages, written by us."""
        path = figure.files[theme]
        if _is_svg(figure, theme):
            return clean_svg(path.name, path.read_bytes(), theme)
        return clean_png(path, self.root / "build" / "cache" / "figures")

    @property
    def _environment(self) -> Environment:
        return _environment(self.root)


def picture_path(run: Run, figure: Figure, theme: str) -> str:
    """Where a figure's drawing lies on the site."""
    return f"figures/{run.reproduction}/{run.key}.{figure.name}.{theme}{figure.files[theme].suffix}"


def _is_svg(figure: Figure, theme: str) -> bool:
    return figure.files[theme].suffix == ".svg"


def units_path(run: Run, finding: Finding) -> str:
    """Where the values of a claim's units lie on the site."""
    return f"results/{run.reproduction}/{run.key}/{finding.anchor}.csv"


def figure_anchor(run: Run, figure: Figure) -> str:
    """Where a figure stands on its paper's page."""
    return f"figure-{slug(run.key)}-{slug(figure.name)}"


_environments: dict[Path, Environment] = {}


def _environment(root: Path) -> Environment:
    """Templates compile once for each root."""
    if root not in _environments:
        environment = Environment(
            loader=FileSystemLoader([root / "site" / "templates", root / "site" / "pages"]),
            autoescape=True,
            finalize=markup.inert,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= FILTERS | {
            "slug": slug,
            "why": why,
            "rank": rank,
            "page": paper_page,
            "https": markup.https,
            "verbatim": markup.verbatim,
        }
        _environments[root] = environment
    return _environments[root]
