"""One look for all figures, legible on light and on dark pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from reproductions.common.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CATEGORICAL = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
)  # Tol's bright: safe for colour-blind eyes
LIGHT, DARK = "light", "dark"
SERIES = {  # the same as they are shown, each at least 3:1 from the page
    LIGHT: ("#2f6ba6", "#c23a50", "#2b8040", "#8a7400", "#15809c", "#9c4080"),
    DARK: ("#7fb2e5", "#f08795", "#6fc47e", "#d8c75a", "#7fd3ef", "#df93c2"),
}
MOST_POINTS = 2000  # of a figure that are drawn one by one
FEW_POINTS = 50  # of a series that are so whatever else there is
THEMES = {
    "light": {"background": "#ffffff", "ink": "#24292f", "faint": "#c8ccd1"},
    "dark": {"background": "#1e2129", "ink": "#d9dee5", "faint": "#4a505a"},
}


@contextmanager
def themed(theme: str) -> Iterator[None]:
    """Matplotlib's settings for figures drawn inside: "light" or "dark"."""
    import matplotlib as mpl
    from cycler import cycler

    colour = THEMES[theme]
    settings: dict[Any, Any] = {
        "figure.facecolor": colour["background"],
        "axes.facecolor": colour["background"],
        "savefig.facecolor": colour["background"],
        "savefig.bbox": "tight",
        "savefig.dpi": 130,  # of the parts that are pictures
        "svg.fonttype": "path",
        "svg.hashsalt": "daily-picks",
        "text.color": colour["ink"],
        "axes.labelcolor": colour["ink"],
        "axes.edgecolor": colour["faint"],
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": colour["ink"],
        "ytick.color": colour["ink"],
        "grid.color": colour["faint"],
        "legend.frameon": False,
        "axes.prop_cycle": cycler(color=CATEGORICAL),
        "font.size": 10,
    }
    with mpl.rc_context(settings):
        yield


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure as SVG, in the colours of light pages; `recoloured` makes those for light and dark pages from it.

    Letters are outlines, so that it looks the same everywhere; of more than a few thousand points a picture is made.
    """
    from matplotlib import pyplot as plt

    with themed(LIGHT):
        figure = draw()
        _rasterise_clouds(figure)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        plt.close(figure)
    write_text(path, _plain(path.read_text(encoding="utf8")))


def recoloured(svg: str, theme: str) -> str:
    """A figure as it was drawn, in the colours of a theme."""
    roles = [(colour, THEMES[theme][role]) for role, colour in THEMES[LIGHT].items()]
    for drawn, shown in [*roles, *zip(CATEGORICAL, SERIES[theme], strict=True)]:
        svg = svg.replace(drawn, shown)
    return svg


def _rasterise_clouds(figure: Figure) -> None:
    """Make pictures of clouds and of dotted lines where a figure has too many points to draw them one by one."""
    import numpy as np

    clouds = [(cloud, cloud.get_offsets()) for axes in figure.axes for cloud in axes.collections]
    lines = [(line, line.get_xydata()) for axes in figure.axes for line in axes.lines]
    points = [(artist, len(np.asarray(places))) for artist, places in [*clouds, *lines]]
    many = sum(n for _, n in points) > MOST_POINTS
    for artist, n in points:
        artist.set_rasterized(many and n > FEW_POINTS)


def _plain(svg: str) -> str:
    """Without what only other programs read, the document's type and its metadata, and in as few letters as show it."""
    bare = re.sub(r"<!DOCTYPE.*?>|<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    short = re.sub(r"-?\d+\.\d{3,}", _rounded, bare)
    return re.sub(r">\s+<", ">\n<", re.sub(r"[ \n]+", " ", short)).strip() + "\n"


def _rounded(number: re.Match[str]) -> str:
    """A hundredth of a point is finer than any screen; factors below one keep two digits more."""
    value = float(number[0])
    return f"{value:.{2 if abs(value) >= 1 else 4}f}".rstrip("0").rstrip(".")


def cost_and_agreement(ways: Mapping[str, tuple[Sequence[float], Sequence[float]]], agreement: str) -> Figure:
    """Ways to find something: processor-seconds, and agreement with the dearest; small dots, and large for the mean."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.6, 3.4), layout="constrained")
    for place, (label, (seconds, agrees)) in enumerate(ways.items()):
        axes.scatter(seconds, agrees, s=8, color=f"C{place}", alpha=0.4)
        axes.scatter(fmean(seconds), fmean(agrees), s=48, color=f"C{place}", label=label)
    axes.set(xscale="log", xlabel="processor-seconds a prompt", ylabel=agreement)
    figure.legend(loc="outside right center", fontsize=8)
    return figure
