"""The figures of the output-centric reproduction. Each function draws one and returns it."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reproductions.common.plots import CATEGORICAL
from reproductions.common.stats import mean_interval, nan_mean
from reproductions.output_centric.features import FAMILIES
from reproductions.output_centric.findings import INPUT, OUTPUT, Scores
from reproductions.output_centric.judges import CHANCE
from reproductions.output_centric.method import METHODS, SINGLE

MARKERS = ("o", "s", "^", "v", "<", ">", "D", "P")


def input_against_output(scores: Scores, shuffled: Scores) -> Figure:
    """Each method's mean scores on both sides with 95 % intervals, a panel a kind of feature; a cross is the null.

    Where nothing was steered, methods stand one above the other instead.
    """
    families = [family for family in FAMILIES.values() if scores.of_family(family).any()]
    figure, panels = plt.subplots(
        1, len(families), figsize=(4.2 * len(families), 4.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, family in zip(panels[0], families, strict=True):
        rows = scores.of_family(family)
        for number, method in enumerate(METHODS):
            style = {"color": CATEGORICAL[number % len(CATEGORICAL)], "marker": MARKERS[number], "label": method}
            _point(axes, scores.of(INPUT, method)[rows], _upwards(scores, rows, method, number), style)
        style = {"color": plt.rcParams["text.color"], "marker": "x", "label": "shuffled"}
        null = shuffled.mean_of_single(OUTPUT)[rows] if scores.has_output else len(METHODS)
        _point(axes, shuffled.mean_of_single(INPUT)[rows], null, style)
        axes.axvline(CHANCE["input"], color=plt.rcParams["grid.color"], zorder=0)
        if scores.has_output:
            axes.axhline(CHANCE["output"], color=plt.rcParams["grid.color"], zorder=0)
        axes.set(xlabel="input score (chance: 1/2 at most)", title=f"{family}s (n = {int(rows.sum())})")
    _legend(figure, "output score (chance 1/3)" if scores.has_output else "methods")
    return figure


def _legend(figure: Figure, upwards: str) -> None:
    first = figure.axes[0]
    first.set_ylabel(upwards)
    if upwards == "methods":
        first.set_yticks([])
    figure.legend(*first.get_legend_handles_labels(), loc="lower center", ncols=5, bbox_to_anchor=(0.5, -0.16))


def _upwards(scores: Scores, rows: Tensor, method: str, number: int) -> Tensor | int:
    return scores.of(OUTPUT, method)[rows] if scores.has_output else number


def _point(axes: plt.Axes, across: Tensor, upwards: Tensor | int, style: dict[str, Any]) -> None:
    """A mean with its interval across, and another upwards, or at a place."""
    (x, *xerr), (y, *yerr) = _mean(across), _mean(upwards) if isinstance(upwards, Tensor) else (upwards, 0, 0)
    wide, high = ([[below], [above]] for below, above in (xerr, yerr))
    axes.errorbar(x, y, xerr=wide, yerr=high, **style, markersize=6, elinewidth=0.8, linestyle="")


def _mean(values: Tensor) -> tuple[float, float, float]:
    """The mean, and how far its interval reaches below and above it; a bar of no length where there is none."""
    kept = values.tolist()
    mean, (low, high) = nan_mean(kept), mean_interval(kept)
    return mean, max(0.0, mean - low), max(0.0, high - mean)


def by_layer(scores: Scores) -> Figure:
    """The mean input and output scores of the three single methods at each layer, a row for each kind of feature."""
    layers = torch.tensor([feature.source.layer for feature in scores.features])
    families = [family for family in FAMILIES.values() if scores.of_family(family).any()]
    sides = (INPUT, OUTPUT) if scores.has_output else (INPUT,)
    size = (4.5 * len(sides), 2.6 * len(families))
    figure, panels = plt.subplots(len(families), len(sides), figsize=size, sharex=True, squeeze=False)
    for row, family in zip(panels, families, strict=True):
        of = scores.of_family(family)
        for axes, side in zip(row, sides, strict=True):
            for colour, marker, method in zip(CATEGORICAL, MARKERS, SINGLE, strict=False):
                _line(axes, scores.of(side, method)[of], layers[of], colour, marker, method)
            axes.axhline(CHANCE[side], color=plt.rcParams["grid.color"], zorder=0)
            axes.set(title=f"{family}s, {side} score", ylim=(0, 1))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    panels[0][0].legend(ncols=3, fontsize="small")
    figure.tight_layout()
    return figure


def _line(axes: plt.Axes, values: Tensor, layers: Tensor, colour: str, marker: str, label: str) -> None:
    """The mean with its interval at each layer."""
    present = layers.unique()
    means, below, above = zip(*(_mean(values[layers == layer]) for layer in present), strict=True)
    axes.errorbar(
        present,
        means,
        yerr=[below, above],
        color=colour,
        marker=marker,
        elinewidth=0.8,
        linewidth=1.2,
        label=label,
    )
