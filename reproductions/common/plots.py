"""One look for all figures, legible on light and on dark pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        "savefig.dpi": 130,
        "figure.dpi": 100,
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


def save(draw: Callable[[], Figure], theme: str, path: Path) -> None:
    """Draw a figure for "light" or "dark" pages into a file."""
    from matplotlib import pyplot as plt

    with themed(theme):
        figure = draw()
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)
