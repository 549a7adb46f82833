"""The figures of the head-mapping reproduction. Each function draws one and returns it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from reproductions.common.plots import CATEGORICAL
from reproductions.head_mapping.ablation import Ablation
from reproductions.head_mapping.method import IMPLEMENTS


def colours(categories: Sequence[str]) -> dict[str, str]:
    """A colour for each category, in the order in which they first appear."""
    return dict(zip(dict.fromkeys(categories), CATEGORICAL, strict=False))


def head_map(phi: Tensor, categories: Sequence[str]) -> Figure:
    """Layer x head: the category of the relation a head implements best; the stronger the colour, the higher phi.

    phi: [R, L, H]; categories: [R]. Heads below the threshold of 0.15 stay pale; a ring marks those above.
    """
    best, which = (part.T.cpu().numpy() for part in phi.max(0))  # [H, L]
    palette = colours(categories)
    image = np.zeros((*best.shape, 4))
    for head, layer in np.ndindex(best.shape):
        image[head, layer] = to_rgba(
            palette[categories[int(which[head, layer])]], alpha=float(best[head, layer]) ** 0.7
        )
    figure, axes = plt.subplots(figsize=(9, 1.1 + 0.28 * best.shape[0]))
    axes.imshow(image, aspect="auto")
    heads, layers = np.nonzero(best >= IMPLEMENTS)
    axes.scatter(layers, heads, s=14, facecolors="none", edgecolors=plt.rcParams["text.color"], linewidths=0.8)
    axes.set(xlabel="layer", ylabel="head", title="Best relation of each head, from its parameters alone")
    axes.set_yticks(range(best.shape[0]))
    patches = [Patch(color=colour, label=category) for category, colour in palette.items()]
    axes.legend(handles=patches, ncols=len(patches), loc="upper left", bbox_to_anchor=(0, -0.22))
    return figure


def static_against_dynamic(phi: Tensor, dynamic: Mapping[str, Tensor], categories: Sequence[str]) -> Figure:
    """Each dot is one head and one relation: its static score against its dynamic one, averaged over templates.

    phi: [R, L, H]; dynamic: title of a panel -> [T, R, L, H].
    """
    figure, panels = plt.subplots(1, len(dynamic), figsize=(4.4 * len(dynamic), 4), sharey=True, squeeze=False)
    palette = colours(categories)
    x = phi.flatten(1).cpu().numpy()
    for axes, (title, scores) in zip(panels[0], dynamic.items(), strict=True):
        y = scores.mean(0).flatten(1).cpu().numpy()
        for category, colour in palette.items():
            rows = [r for r, own in enumerate(categories) if own == category]
            axes.scatter(x[rows], y[rows], s=10, alpha=0.8, color=colour, label=category, linewidths=0)
        axes.plot([0, 1], [0, 1], color=plt.rcParams["grid.color"], linewidth=1, zorder=0)
        both_zero = float(((x == 0) & (y == 0)).mean())
        axes.set(xlabel="static score, from parameters", title=f"{title} ({both_zero:.0%} of dots lie at 0, 0)")
    panels[0][0].set_ylabel("dynamic score, from running the model")
    panels[0][0].legend(loc="upper left", fontsize="small")
    figure.tight_layout()
    return figure


def agreement_by_relation(names: Sequence[str], series: Mapping[str, Sequence[float]]) -> Figure:
    """One row a relation: the correlation of static and dynamic head maps in several conditions."""
    order = np.argsort([-math.inf if math.isnan(value) else value for value in next(iter(series.values()))])
    figure, axes = plt.subplots(figsize=(7.5, 1 + 0.24 * len(names)))
    for (label, values), marker in zip(series.items(), "osx^v", strict=False):
        axes.plot([values[i] for i in order], range(len(names)), marker, label=label, markersize=5)
    axes.set_yticks(range(len(names)), [names[i] for i in order])
    axes.set(xlabel="Pearson's r over heads and templates", xlim=(-0.15, 1.02))
    axes.grid(axis="y", linewidth=0.5)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), fontsize="small")
    return figure


def ablation_curves(ablations: Sequence[Ablation], columns: int = 5) -> Figure:
    """One panel a relation: accuracy as its heads are removed, and as random heads of the same layers are."""
    rows = max(1, math.ceil(len(ablations) / columns))
    figure, panels = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 1.75 * rows), sharex=True, sharey=True, squeeze=False
    )
    for axes, ablation in zip(panels.flat, ablations, strict=False):
        _ablation_panel(axes, ablation)
    for axes in panels.flat[len(ablations) :]:
        axes.set_axis_off()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.supxlabel("heads removed at the last position", fontsize=10)
    figure.supylabel("accuracy on held-out pairs", fontsize=10)
    figure.tight_layout()
    figure.legend(handles, labels, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _ablation_panel(axes: Axes, ablation: Ablation) -> None:
    counts = [0, *ablation.counts]
    random = np.array([[ablation.base, *draw] for draw in ablation.random])
    axes.fill_between(counts, random.min(0), random.max(0), color=CATEGORICAL[0], alpha=0.25, linewidth=0)
    axes.plot(counts, random.mean(0), color=CATEGORICAL[0], label="random heads (mean and range)")
    axes.plot(counts, [ablation.base, *ablation.curve], color=CATEGORICAL[1], marker=".", label="relation heads")
    axes.set_title(ablation.relation.replace("_", " "), fontsize=8)
    axes.set_ylim(-0.03, 1.03)
