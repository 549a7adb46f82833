"""From steered models to the numbers that `claims.yml` declares: claims C8 and C9.

Intervals resample themes, and the texts of each where there are texts. Values by seed are of the continuations that
each seed draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.claims import Metric
from reproductions.common.stats import grouped_interval, grouped_means, nan_mean
from reproductions.feature_flow.campaigns import (
    CUMULATIVE,
    ONE_LAYER,
    OTHER_GRAPH,
    RANDOM_GRAPH,
    REPEATED,
    SEED,
    WAYS,
)
from reproductions.feature_flow.effects import Scores
from reproductions.feature_flow.findings import NOTHING, over

FIELDS = ("behaviour", "closeness", "coherence", "distinct", "amplified")  # of `Scores`
COMPARED = (CUMULATIVE, ONE_LAYER, RANDOM_GRAPH)  # by their texts
ByLayer = Mapping[int, Tensor]


def mass_metrics(gains: Mapping[str, Tensor], weakest: Mapping[str, Tensor]) -> list[Metric]:
    """Expected mass of themes: log2 of how many times it grows [themes], for each way to steer.

    gains: at the KL at which texts are written; weakest: at the smallest KL.
    """

    def gap(metric: str, of: Mapping[str, Tensor], one: str, other: str) -> Metric:
        return over(metric, [(of[one] - of[other]).tolist()])

    return [
        *(over(f"mass_{WAYS[way]}", [found.tolist()]) for way, found in gains.items()),
        gap("mass_graph_over_one_layer", weakest, CUMULATIVE, ONE_LAYER),
        gap("mass_random_graph_over_one_layer", weakest, RANDOM_GRAPH, ONE_LAYER),
        gap("mass_graph_over_seed", gains, CUMULATIVE, SEED),
        gap("mass_repeated_over_seed", gains, REPEATED, SEED),
    ]


def suppression_metrics(found: Mapping[str, Tensor]) -> list[Metric]:
    """Claim C8: how much smaller, as log2, a theme's mass gets when its graph is suppressed, or its seed alone."""
    return [
        over("suppressed_seed", [found[SEED].tolist()]),
        over("suppressed_graph", [found[CUMULATIVE].tolist()]),
        over("suppressed_graph_over_seed", [(found[CUMULATIVE] - found[SEED]).tolist()]),
        over("suppressed_other_over_seed", [(found[OTHER_GRAPH] - found[SEED]).tolist()]),
    ]


def best_layer_metrics(seeds: Sequence[int], own: Sequence[ByLayer], random: Sequence[ByLayer]) -> list[Metric]:
    """Claim C9: the layer that is best on some prompts against the seed's layer, on other prompts.

    seeds: the layer of each theme's seed; own, random: gains [themes] by layer, of the graph and of a random one, on
    the prompts where the layer is chosen and on those where it is tested.
    """
    at_seed = torch.stack([own[1][layer][theme] for theme, layer in enumerate(seeds)])
    return [
        over("best_layer_over_seed_layer", [(_tested(*own) - at_seed).tolist()]),
        over("best_random_layer_over_seed_layer", [(_tested(*random) - at_seed).tolist()]),
    ]


def _tested(chosen_on: ByLayer, tested_on: ByLayer) -> Tensor:
    """The tested gain of each theme's best layer; one at which nothing is steered is never the best."""
    chosen, tested = (torch.stack(list(gains.values()), dim=1) for gains in (chosen_on, tested_on))
    return tested.gather(1, chosen.nan_to_num(-torch.inf).argmax(1, keepdim=True))[:, 0]


def text_metrics(scores: Mapping[str, Sequence[Scores]]) -> list[Metric]:
    """What texts are like, for each way and theme; scores: [seeds, prompts, texts] each, {} if none were written."""
    graph, one_layer, random = ([each.amplified for each in scores.get(way, ())] for way in COMPARED)
    return [
        *(
            _of_themes(f"{field}_{WAYS[way]}", [getattr(each, field) for each in own])
            for way, own in scores.items()
            for field in FIELDS
        ),
        _theme_gap("text_graph_over_one_layer", graph, one_layer),
        _theme_gap("text_random_graph_over_one_layer", random, one_layer),
    ]


def text_table(metrics: Mapping[str, Metric]) -> list[tuple[str, ...]]:
    """A row a way to steer: what its texts are like."""
    return [
        (way, *(f"{metrics[f'{field}_{slug}'].value:.2f}" for field in FIELDS))
        for way, slug in WAYS.items()
        if f"{FIELDS[0]}_{slug}" in metrics
    ]


def _of_themes(metric: str, values: Sequence[Tensor]) -> Metric:
    by_theme = [each.flatten().tolist() for each in values if not each.isnan().any()]
    interval = grouped_interval(grouped_means(by_theme))
    return Metric(metric, _mean(values), sum(map(len, by_theme)), _each_seed(values), interval)


def _theme_gap(metric: str, one: Sequence[Tensor], other: Sequence[Tensor]) -> Metric:
    """The mean difference over themes; themes are resampled in pairs, texts of either side apart."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if not (a.isnan().any() or b.isnan().any())]
    if len(pairs) < 2:
        return Metric(metric, math.nan, 0, (), NOTHING)
    one, other = zip(*pairs, strict=True)
    per_seed = tuple(a - b for a, b in zip(_each_seed(one), _each_seed(other), strict=True))
    n = sum(each.numel() for each in (*one, *other))
    first, second = (
        grouped_means([each.flatten().tolist() for each in side], start)
        for side, start in ((one, 0), (other, len(one)))
    )
    return Metric(metric, _mean(one) - _mean(other), n, per_seed, grouped_interval(first - second))


def _each_seed(values: Sequence[Tensor]) -> tuple[float, ...]:
    """The mean over themes for each seed, where there are several."""
    n_seeds = len(values[0])
    return tuple(nan_mean([each[seed].mean().item() for each in values]) for seed in range(n_seeds) if n_seeds > 1)


def _mean(values: Sequence[Tensor]) -> float:
    return nan_mean([each.mean().item() for each in values])
