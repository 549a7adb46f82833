"""The figures of the feature flow reproduction. Each function draws one and returns it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from reproductions.common.metrics import Metric
from reproductions.common.plots import CATEGORICAL
from reproductions.feature_flow.campaigns import SEED, WAYS, WRITTEN, Way
from reproductions.feature_flow.deactivation import CHANGE, DEACTIVATED
from reproductions.feature_flow.effects import AMPLIFIED, BEHAVIOUR, COHERENCE
from reproductions.feature_flow.experiments import BEST, METHODS, RANDOM, Matched, Trial
from reproductions.feature_flow.graphs import FlowGraph, Node
from reproductions.feature_flow.groups import GROUPS, Cases
from reproductions.feature_flow.groups import shares as group_shares
from reproductions.feature_flow.method import MODULES, Place
from reproductions.feature_flow.taxonomy import STATES
from reproductions.feature_flow.transitions import PREDICTORS
from reproductions.feature_flow.windows import window_sites

BINS = [number / 50 for number in range(51)]
COLOURS = {RANDOM: CATEGORICAL[1], BEST: CATEGORICAL[2]}  # of methods that are no rivals
MARKERS = ("o", "s", "^", "v", "D")
SHAPES = {BEHAVIOUR: ("o", -0.2), COHERENCE: ("s", 0.0), AMPLIFIED: ("D", 0.2)}  # and how far below the middle
Metrics = Mapping[str, Metric]


def scores(matched: Sequence[Matched]) -> Figure:
    """The best cosines of all latents, a row a window and a column a place; outlined, by chance; dashed, thresholds."""
    size = (3.6 * len(MODULES), 2.2 * len(matched))
    figure, panels = plt.subplots(len(matched), len(MODULES), figsize=size, sharex=True, squeeze=False)
    for row, each in zip(panels, matched, strict=True):
        for axes, module in zip(row, MODULES, strict=True):
            _scores(axes, each, module)
        row[0].set_ylabel(f"latents, layer {each.window.layer}")
    for axes, module in zip(panels[0], MODULES, strict=True):
        axes.set_title(module.label)
    for axes in panels[-1]:
        axes.set_xlabel("best cosine")
    panels[0][-1].legend(fontsize="small")
    figure.tight_layout()
    return figure


def _scores(axes: Axes, matched: Matched, module: Place) -> None:
    null = matched.null.scores(module).cpu().numpy()
    weights = np.full(len(null), 1 / len(matched.null.drawn))
    axes.hist(matched.cosine[module].best.cpu().numpy(), BINS, color=CATEGORICAL[0], label="latents")
    axes.hist(null, BINS, weights=weights, histtype="step", color=CATEGORICAL[1], label="by chance")
    axes.axvline(matched.thresholds[module], linestyle="--", color=plt.rcParams["text.color"], linewidth=1)
    axes.set_yticks([])


def states(matched: Sequence[Matched]) -> Figure:
    """The shares of translated, processed, newborn and unexplained latents, a bar a window."""
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.45 * len(matched)))
    left = np.zeros(len(matched))
    for number, (word, colour) in enumerate(zip(STATES, CATEGORICAL, strict=False)):
        share = np.array([(each.states == number).double().mean().item() for each in matched])
        bars = axes.barh([f"layer {each.window.layer}" for each in matched], share, left=left, color=colour, label=word)
        axes.bar_label(bars, [f"{value:.0%}" if value > 0.04 else "" for value in share], label_type="center")
        left += share
    axes.set(xlim=(0, 1), xlabel="share of latents")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def groups(trials: Sequence[Trial]) -> Figure:
    """The share of active latents in each of the eight groups, a panel a window; open bars: random matches."""
    windows = list(dict.fromkeys(trial.matched for trial in trials))
    figure, panels = plt.subplots(1, len(windows), figsize=(1.5 + 3.8 * len(windows), 3.6), sharey=True, squeeze=False)
    place = np.arange(len(GROUPS))
    for axes, matched in zip(panels[0], windows, strict=True):
        own = [trial for trial in trials if trial.matched is matched]
        axes.barh(place - 0.2, _mean_shares([trial.cases for trial in own]), 0.4, label="nearest directions")
        random = _mean_shares([trial.at_random for trial in own])
        axes.barh(place + 0.2, random, 0.4, color="none", edgecolor=CATEGORICAL[1], label="random matches")
        axes.set(title=f"layer {matched.window.layer}", xlabel="share of active latents")
    panels[0][0].set_yticks(place, GROUPS)
    panels[0][0].invert_yaxis()
    panels[0][-1].legend(fontsize="small")
    figure.tight_layout()
    return figure


def _mean_shares(cases: Sequence[Cases]) -> Tensor:
    return torch.stack([group_shares(each) for each in cases]).mean(0)


def deactivation(metrics: Metrics) -> Figure:
    """How often removing a latent's one predecessor puts it out, and how far it falls, by method; 95 % intervals."""
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
    for axes, measure in zip(panels, (DEACTIVATED, CHANGE), strict=True):
        for row, method in enumerate(METHODS):
            colour = COLOURS.get(method, CATEGORICAL[0])
            _point(axes, metrics[f"{measure.key}_{method.key}"], row, marker="o", color=colour)
        axes.grid(axis="x")
        axes.set(xlabel=f"{measure.label}, mean over texts", xlim=(min(0, axes.get_xlim()[0]), 1))
    panels[0].set_yticks(range(len(METHODS)), [method.label for method in METHODS])
    panels[0].invert_yaxis()
    figure.tight_layout()
    return figure


def _point(axes: Axes, metric: Metric, row: float, **style: Any) -> None:
    """A value with its 95 % interval."""
    low, high = metric.interval or (math.nan, math.nan)
    axes.errorbar(metric.value, row, xerr=[[metric.value - low], [high - metric.value]], **style)


def sweep(found: Mapping[str, Mapping[float, Tensor]]) -> Figure:
    """The target's activation, relative to before, when its predecessors are multiplied by r; a line a window."""
    figure, axes = plt.subplots(figsize=(5.5, 3.4))
    for (label, by_factor), colour in zip(found.items(), CATEGORICAL, strict=False):
        factors = sorted(by_factor)
        values = [by_factor[factor][~by_factor[factor].isnan()] for factor in factors]
        quartiles = np.array([np.quantile(each.numpy(), [0.25, 0.5, 0.75]) for each in values])
        axes.plot(factors, quartiles[:, 1], marker="o", markersize=4, color=colour, label=f"{label}, median")
        axes.fill_between(factors, quartiles[:, 0], quartiles[:, 2], color=colour, alpha=0.2, label="middle half")
    axes.plot([min(factors), max(factors)], [1, 1], color=plt.rcParams["grid.color"], zorder=0)
    axes.set(xlabel="r: the predecessors' activation is multiplied by it", ylabel="target's activation, new / old")
    axes.legend(fontsize="small")
    return figure


def steering(gains: Mapping[Way, Mapping[float, float]], metrics: Metrics) -> Figure:
    """Left, how many times likelier a theme's words get at equal KL; right, if texts were written, their scores."""
    written = metrics[f"{AMPLIFIED.key}_{SEED.key}"].n > 0
    figure, axes = plt.subplots(1, 1 + written, figsize=(11 if written else 6.5, 3.8), squeeze=False)
    left = axes[0, 0]
    for way, found in gains.items():
        left.plot(list(found), list(found.values()), label=way.label, **_style(way))
    left.set(xlabel="KL of the next token, nats", ylabel="log2 of the theme's mass, steered / clean")
    left.legend(fontsize="small")
    if written:
        _texts(axes[0, 1], metrics)
    figure.tight_layout()
    return figure


def _style(way: Way) -> dict[str, Any]:
    number = WAYS.index(way)
    return {"color": CATEGORICAL[number % len(CATEGORICAL)], "marker": MARKERS[number]}


def _texts(axes: Axes, metrics: Metrics) -> None:
    """The scores of texts, with 95 % intervals."""
    for number, way in enumerate(WRITTEN):
        for measure, (shape, shift) in SHAPES.items():
            style = _style(way) | {"marker": shape, "linewidth": 0.8}
            _point(axes, metrics[f"{measure.key}_{way.key}"], number + shift, **style)
    axes.set_yticks(range(len(WRITTEN)), [way.label for way in WRITTEN])
    axes.invert_yaxis()
    axes.set(xlabel="behaviour (circle), coherence (square), their product (diamond)", xlim=(0, 1.05))


def transitions(metrics: Metrics) -> Figure:
    """The variance that each map explains, for each training of the target's autoencoder."""
    figure, axes = plt.subplots(figsize=(6.5, 2.8))
    for row, each in enumerate(PREDICTORS):
        values = metrics[f"explained_{each.key}"].per_seed
        axes.scatter(values, [row] * len(values), marker="|", s=160, color=CATEGORICAL[0])
    axes.set_yticks(range(len(PREDICTORS)), [each.label for each in PREDICTORS])
    axes.invert_yaxis()
    axes.set(xlabel="variance explained")
    axes.grid(axis="x")
    return figure


def flow(graph: FlowGraph, layer: int, words: Mapping[Node, str]) -> Figure:
    """A seed, its predecessors and what comes of it around a layer, from left to right; cosines on the edges."""
    places = _places(graph, layer)
    rows = [y for _, y in places.values()]
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.6 * (max(rows) - min(rows))))
    for edge in graph.edges:
        (x0, y0), (x1, y1) = places[edge.source], places[edge.target]
        axes.plot([x0, x1], [y0, y1], color=CATEGORICAL[0], linewidth=4 * edge.score, zorder=0)
        at = (x0 + (x1 - x0) * (0.5 if x1 - x0 < 2 else 0.35), y0 + (y1 - y0) * (0.5 if x1 - x0 < 2 else 0.35))
        axes.text(*at, f"{edge.score:.2f}", ha="center", va="center", fontsize=8, **_boxed(None))
    for node, (x, y) in places.items():
        colour = CATEGORICAL[1] if node == graph.seed else CATEGORICAL[0]
        axes.text(x, y, f"{node.latent}\n{words[node]}", ha="center", va="center", fontsize=8, **_boxed(colour))
    names = (
        f"residual stream after {layer - 1}",
        f"attention above, MLP below, {layer}",
        f"residual stream after {layer}",
    )
    axes.set_xticks(range(3), names)
    axes.set(yticks=[], xlim=(-0.5, 2.5))
    axes.margins(y=0.4)
    axes.spines["left"].set_visible(False)
    return figure


def _places(graph: FlowGraph, layer: int) -> dict[Node, tuple[float, float]]:
    """Column and height of each node: residual latents around the middle, attention's above, the MLP's below."""
    found: dict[Node, tuple[float, float]] = {}
    before, attention, mlp, after = ([node for node in graph.nodes if node.site == site] for site in _sites(layer))
    for column, nodes in ((0, before), (2, after)):
        found |= {node: (column, (len(nodes) - 1) / 2 - row) for row, node in enumerate(nodes)}
    found |= {node: (1, 1.0 + row) for row, node in enumerate(attention)}
    return found | {node: (1, -1.0 - row) for row, node in enumerate(mlp)}


def _sites(layer: int) -> tuple[str, str, str, str]:
    """In the order in which a token passes them."""
    residual, mlp, attention, after = window_sites(layer)
    return residual, attention, mlp, after


def _boxed(colour: str | None) -> dict[str, Any]:
    background = plt.rcParams["axes.facecolor"]
    return {"bbox": {"facecolor": background, "edgecolor": colour or background, "boxstyle": "round"}}
