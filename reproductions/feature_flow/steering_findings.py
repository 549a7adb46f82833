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
    WRITTEN,
    Way,
)
from reproductions.feature_flow.effects import AMPLIFIED, MEASURES, Left, Scores
from reproductions.feature_flow.named import Measure

CHOSEN_ON, TESTED_ON = "chosen", "tested"  # prompts
ByLayer = Mapping[int, Tensor]
Gains = Mapping[Way, Tensor]  # log2 of how many times a theme's expected mass grows [themes], for each way to steer

MASS_GAPS = {  # at equal KL: which way, and less which
    "mass_graph_over_seed": (CUMULATIVE, SEED),
    "mass_repeated_over_seed": (REPEATED, SEED),
    "mass_graph_over_one_layer": (CUMULATIVE, ONE_LAYER),
    "mass_random_over_one_layer": (RANDOM_GRAPH, ONE_LAYER),
}
AS_STRONG_GAPS = {  # at the same strength
    "as_strong_graph_over_one_layer": (CUMULATIVE, ONE_LAYER),
    "as_strong_random_over_one_layer": (RANDOM_GRAPH, ONE_LAYER),
    "as_strong_graph_over_seed": (CUMULATIVE, SEED),
    "as_strong_random_over_seed": (RANDOM_GRAPH, SEED),
}
SCORE_GAPS = {  # of what suppression takes, by the paper's score
    "suppressed_graph_over_one_layer": (CUMULATIVE, ONE_LAYER),
    "suppressed_other_over_one_layer": (OTHER_GRAPH, ONE_LAYER),
    "suppressed_graph_over_seed": (CUMULATIVE, SEED),
    "suppressed_other_over_seed": (OTHER_GRAPH, SEED),
}
TAKEN_GAPS = {  # of the mass that it takes
    "taken_graph_over_one_layer": (CUMULATIVE, ONE_LAYER),
    "taken_graph_over_seed": (CUMULATIVE, SEED),
}
TEXT_GAPS = {
    "text_graph_over_seed": (CUMULATIVE, SEED),
    "text_graph_over_one_layer": (CUMULATIVE, ONE_LAYER),
}


def gaps(found: Gains, pairs: Mapping[str, tuple[Way, Way]]) -> list[Metric]:
    """The mean over themes of what one way does less what another does, for each pair."""
    return [_mean(metric, found[one] - found[other]) for metric, (one, other) in pairs.items()]


def mass_metrics(gains: Gains, as_strong: Gains) -> list[Metric]:
    """Claim C8: what amplification does to the expected mass.

    gains: of all ways at equal KL; as_strong: of some with the strength that steering at one layer has there.
    """
    return [_mean("mass_seed", gains[SEED]), *gaps(gains, MASS_GAPS), *gaps(as_strong, AS_STRONG_GAPS)]


def suppression_metrics(found: Mapping[int, Mapping[Way, Left]]) -> list[Metric]:
    """Claim C8: what suppression leaves of themes, with activations removed (r = 0) and turned round (r = -1)."""
    removed, turned = (found[factor] for factor in SMALL)
    return [
        _mean("taken_seed_strong", found[STRONG][SEED].taken),
        *gaps({way: left.score for way, left in removed.items()}, SCORE_GAPS),
        *gaps({way: left.taken for way, left in turned.items()}, TAKEN_GAPS),
    ]


def best_layer_metrics(seeds: Sequence[int], gains: Mapping[tuple[Way, str], ByLayer]) -> list[Metric]:
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


def text_metrics(scores: Mapping[Way, Sequence[Scores]]) -> list[Metric]:
    """What texts are like, for each way and theme; scores: [seeds, prompts, texts] each, {} if none were written."""
    found = {(way, measure): _of_themes(scores.get(way, ()), measure) for way in WRITTEN for measure in MEASURES}
    each = [_mean(f"{measure.key}_{way.key}", values) for (way, measure), values in found.items()]
    return each + gaps({way: found[way, AMPLIFIED] for way in WRITTEN}, TEXT_GAPS)


def _of_themes(scores: Sequence[Scores], measure: Measure) -> Tensor:
    """The mean over the texts of each theme: [themes]."""
    return torch.tensor([measure.of(each).mean().item() for each in scores])


def text_table(metrics: Mapping[str, Metric]) -> list[tuple[str, ...]]:
    """A row a way to steer: what its texts are like."""
    return [
        (way.label, *(f"{metrics[f'{measure.key}_{way.key}'].value:.2f}" for measure in MEASURES)) for way in WRITTEN
    ]


def _mean(metric: str, values: Tensor) -> Metric:
    return mean_of(metric, values.tolist()) if len(values) else missing(metric)
