"""From steered models to the numbers that `reproduction.yml` declares: claims C8 and C9. The unit is the theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, mean_of, missing
from reproductions.feature_flow.campaigns import (
    CUMULATIVE,
    ONE_LAYER,
    OTHER_GRAPH,
    RANDOM_GRAPH,
    REPEATED,
    SEED,
    SMALL,
    STRONG,
    WAYS,
    WRITTEN,
)
from reproductions.feature_flow.effects import Left, Scores

FIELDS = ("behaviour", "coherence", "amplified")  # of `Scores`
CHOSEN_ON, TESTED_ON = "chosen", "tested"  # prompts
ByLayer = Mapping[int, Tensor]
Gains = Mapping[str, Tensor]  # log2 of how many times a theme's expected mass grows [themes], for each way to steer


def mass_metrics(gains: Gains, as_strong: Gains) -> list[Metric]:
    """Claim C8: what amplification does to the expected mass.

    gains: of all ways at equal KL; as_strong: of some with the strength that steering at one layer has there.
    """
    return [
        _mean("mass_seed", gains[SEED]),
        _mean("mass_graph_over_seed", gains[CUMULATIVE] - gains[SEED]),
        _mean("mass_repeated_over_seed", gains[REPEATED] - gains[SEED]),
        _mean("mass_graph_over_one_layer", gains[CUMULATIVE] - gains[ONE_LAYER]),
        _mean("mass_random_over_one_layer", gains[RANDOM_GRAPH] - gains[ONE_LAYER]),
        _mean("as_strong_graph_over_one_layer", as_strong[CUMULATIVE] - as_strong[ONE_LAYER]),
        _mean("as_strong_random_over_one_layer", as_strong[RANDOM_GRAPH] - as_strong[ONE_LAYER]),
        _mean("as_strong_graph_over_seed", as_strong[CUMULATIVE] - as_strong[SEED]),
        _mean("as_strong_random_over_seed", as_strong[RANDOM_GRAPH] - as_strong[SEED]),
    ]


def suppression_metrics(found: Mapping[int, Mapping[str, Left]]) -> list[Metric]:
    """Claim C8: what suppression leaves of themes, with activations removed (r = 0) and turned round (r = -1)."""
    removed, turned = (found[factor] for factor in SMALL)

    def gap(one: str, other: str) -> Tensor:
        return removed[one].score - removed[other].score

    def taken(one: str, other: str) -> Tensor:
        return turned[one].taken - turned[other].taken

    return [
        _mean("taken_seed_strong", found[STRONG][SEED].taken),
        _mean("suppressed_graph_over_one_layer", gap(CUMULATIVE, ONE_LAYER)),
        _mean("suppressed_other_over_one_layer", gap(OTHER_GRAPH, ONE_LAYER)),
        _mean("suppressed_graph_over_seed", gap(CUMULATIVE, SEED)),
        _mean("suppressed_other_over_seed", gap(OTHER_GRAPH, SEED)),
        _mean("taken_graph_over_one_layer", taken(CUMULATIVE, ONE_LAYER)),
        _mean("taken_graph_over_seed", taken(CUMULATIVE, SEED)),
    ]


def best_layer_metrics(seeds: Sequence[int], gains: Mapping[tuple[str, str], ByLayer]) -> list[Metric]:
    """Claim C9: the layer that is best on some prompts against the seed's layer, on other prompts.

    seeds: the layer of each theme's seed; gains: by layer [themes], of the graph and of a random one, on the prompts
    where the layer is chosen and on those where it is tested; {} if there is but one window.
    """
    names = {"best_layer_over_seed_layer": CUMULATIVE, "best_random_layer_over_seed_layer": RANDOM_GRAPH}
    if not gains:
        return [missing(metric) for metric in names]
    own = gains[CUMULATIVE, TESTED_ON]
    at_seed = torch.stack([own[layer][theme] for theme, layer in enumerate(seeds)])
    return [
        _mean(metric, _tested(gains[way, CHOSEN_ON], gains[way, TESTED_ON]) - at_seed) for metric, way in names.items()
    ]


def _tested(chosen_on: ByLayer, tested_on: ByLayer) -> Tensor:
    """The tested gain of each theme's best layer; one at which nothing is steered is never the best."""
    chosen, tested = (torch.stack(list(gains.values()), dim=1) for gains in (chosen_on, tested_on))
    return tested.gather(1, chosen.nan_to_num(-torch.inf).argmax(1, keepdim=True))[:, 0]


def text_metrics(scores: Mapping[str, Sequence[Scores]]) -> list[Metric]:
    """What texts are like, for each way and theme; scores: [seeds, prompts, texts] each, {} if none were written."""
    named = {f"{field}_{WAYS[way]}": _of_themes(scores.get(way, ()), field) for way in WRITTEN for field in FIELDS}
    gaps = {
        "text_graph_over_seed": named["amplified_graph"] - named["amplified_seed"],
        "text_graph_over_one_layer": named["amplified_graph"] - named["amplified_one_layer"],
    }
    return [_mean(metric, values) if len(values) else missing(metric) for metric, values in (named | gaps).items()]


def _of_themes(scores: Sequence[Scores], field: str) -> Tensor:
    """The mean over the texts of each theme: [themes]."""
    return torch.tensor([getattr(each, field).mean().item() for each in scores])


def text_table(metrics: Mapping[str, Metric]) -> list[tuple[str, ...]]:
    """A row a way to steer: what its texts are like."""
    return [(way, *(f"{metrics[f'{field}_{WAYS[way]}'].value:.2f}" for field in FIELDS)) for way in WRITTEN]


def _mean(metric: str, values: Tensor) -> Metric:
    return mean_of(metric, values.tolist())
