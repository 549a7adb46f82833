"""The figures of the output-centric reproduction. Each function draws one and returns it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reproductions.common.plots import CATEGORICAL
from reproductions.common.stats import mean_interval
from reproductions.output_centric.descriptions import METHODS, SINGLE
from reproductions.output_centric.features import FAMILIES
from reproductions.output_centric.findings import Scores
from reproductions.output_centric.judges import CHANCE

MARKERS = ("o", "s", "^", "v", "<", ">", "D", "P")
Sides = tuple[Tensor, Tensor]  # input and output scores of the same features


def input_against_output(scores: Scores, shuffled: Scores) -> Figure:
    """Each method's mean scores on both sides with 95 % intervals, a panel a kind of feature; a cross is the null."""
    families = [family for family in FAMILIES.values() if scores.of_family(family).any()]
    figure, panels = plt.subplots(1, len(families), figsize=(4.2 * len(families), 4.4), sharex=True, sharey=True)
    for axes, family in zip(panels if len(families) > 1 else [panels], families, strict=True):
        rows = scores.of_family(family)
        for number, method in enumerate(METHODS):
            sides = scores.tied[method][rows], scores.output_mean(method)[rows]
            _point(axes, sides, CATEGORICAL[number % len(CATEGORICAL)], MARKERS[number], method)
        tied = torch.stack([shuffled.tied[method][rows] for method in SINGLE]).mean(0)
        output = torch.stack([shuffled.output_mean(method)[rows] for method in SINGLE]).mean(0)
        _point(axes, (tied, output), plt.rcParams["text.color"], "x", "shuffled")
        axes.axvline(CHANCE["input"], color=plt.rcParams["grid.color"], zorder=0)
        axes.axhline(CHANCE["output"], color=plt.rcParams["grid.color"], zorder=0)
        axes.set(xlabel="input score (chance 1/2)", title=f"{family}s (n = {int(rows.sum())})")
    first = figure.axes[0]
    first.set_ylabel("output score (chance 1/3)")
    figure.legend(*first.get_legend_handles_labels(), loc="lower center", ncols=5, bbox_to_anchor=(0.5, -0.16))
    return figure


def _point(axes: plt.Axes, sides: Sides, colour: str, marker: str, label: str) -> None:
    x, y = (side.mean().item() for side in sides)
    (left, right), (below, above) = (mean_interval(side.tolist()) for side in sides)
    axes.errorbar(
        x,
        y,
        xerr=[[x - left], [right - x]],
        yerr=[[y - below], [above - y]],
        color=colour,
        marker=marker,
        markersize=6,
        elinewidth=0.8,
        linestyle="",
        label=label,
    )


def by_layer(scores: Scores) -> Figure:
    """The mean output and input scores of the three single methods at each layer, a row for each kind of feature."""
    layers = torch.tensor([feature.source.layer for feature in scores.features])
    families = [family for family in FAMILIES.values() if scores.of_family(family).any()]
    figure, panels = plt.subplots(len(families), 2, figsize=(9, 2.6 * len(families)), sharex=True, squeeze=False)
    for row, family in zip(panels, families, strict=True):
        of = scores.of_family(family)
        present = layers[of].unique().tolist()
        for axes, side in zip(row, ("input", "output"), strict=True):
            for colour, marker, method in zip(CATEGORICAL, MARKERS, SINGLE, strict=False):
                values = scores.tied[method] if side == "input" else scores.output_mean(method)
                groups = [values[of & (layers == layer)] for layer in present]
                _line(axes, present, groups, colour, marker, method)
            axes.axhline(CHANCE[side], color=plt.rcParams["grid.color"], zorder=0)
            axes.set(title=f"{family}s, {side} score", ylim=(0, 1))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    panels[0][0].legend(ncols=3, fontsize="small")
    figure.tight_layout()
    return figure


def _line(axes: plt.Axes, at: Sequence[int], groups: Sequence[Tensor], colour: str, marker: str, label: str) -> None:
    """Means with intervals at each place."""
    means = [group.mean().item() for group in groups]
    ends = [mean_interval(group.tolist()) for group in groups]
    below = [mean - low for mean, (low, _) in zip(means, ends, strict=True)]
    above = [high - mean for mean, (_, high) in zip(means, ends, strict=True)]
    axes.errorbar(
        at, means, yerr=[below, above], color=colour, marker=marker, elinewidth=0.8, linewidth=1.2, label=label
    )
