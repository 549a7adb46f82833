"""From scores of single features to the numbers that `reproduction.yml` declares.

A feature is the unit. A seed draws features of its own, so that the values by seed are those of independent samples.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, difference_of, mean_of, plain
from reproductions.common.stats import nan_mean
from reproductions.output_centric.exams import Descriptions, Inputs, Outputs, halves
from reproductions.output_centric.features import FAMILIES, MLP, NEURON, RESIDUAL, Feature
from reproductions.output_centric.method import (
    CONCAT_ALL,
    MAX_ACT,
    METHODS,
    RAW_ALL,
    SINGLE,
    TOKEN_CHANGE,
    VOCAB_PROJ,
    Material,
)

INPUT, AREA, OUTPUT, ASKED = "input", "area", "output", "asked"  # examinations, as they begin the names of metrics
SECOND = {INPUT: AREA, OUTPUT: ASKED}  # the second route to each
SLUGS = {MAX_ACT: "max_act", VOCAB_PROJ: "vocab_proj", TOKEN_CHANGE: "token_change", RAW_ALL: "raw_all"}
SLUGS[CONCAT_ALL] = "concat_all"
BUDGETS = (5, 10, 20, 40, 60)  # words, among which each method has those that suit it best
PROJECTIONS = ("decoder, unembedding", "encoder, unembedding", "decoder, embedding", "encoder, embedding")

ByMethod = Mapping[Hashable, Tensor]  # the scores [n] of a method, or of a method and a number of words


@dataclass(frozen=True)
class Scores:
    """How descriptions of some features [n] did in each examination; NaN where one could not be held."""

    features: Sequence[Feature]
    seeds: Sequence[int]  # which seed drew each feature
    by: Mapping[str, ByMethod]

    def of(self, exam: str, method: Hashable) -> Tensor:
        """The scores [n] of a method in an examination."""
        return self.by[exam][method]

    def mean_of_single(self, exam: str) -> Tensor:
        """The mean over the three single methods [n]."""
        return torch.stack([self.of(exam, method) for method in SINGLE]).mean(0)

    def of_family(self, family: str) -> Tensor:
        """Which features belong to a family [n]."""
        return torch.tensor([feature.source.family == family for feature in self.features])

    @property
    def has_output(self) -> bool:
        """Whether any feature was steered, and a judge listened to."""
        return OUTPUT in self.by and not bool(self.of(OUTPUT, MAX_ACT).isnan().all())


@dataclass(frozen=True)
class Harness:
    """The features, and what their descriptions are examined by; without `outputs` nothing was steered."""

    features: Sequence[Feature]
    seeds: Sequence[int]
    inputs: Inputs
    outputs: Outputs | None = None

    def scores(self, descriptions: Mapping[Hashable, Descriptions]) -> Scores:
        """Examine a description of each feature by each method."""
        read = {method: self.inputs.scores(of) for method, of in descriptions.items()}
        found = {exam: {m: scores[n] for m, scores in read.items()} for n, exam in enumerate((INPUT, AREA))}
        if self.outputs is not None:
            found[OUTPUT] = {method: self.outputs.score(of) for method, of in descriptions.items()}
            found[ASKED] = {method: self.outputs.asked(of) for method, of in descriptions.items()}
        return Scores(self.features, self.seeds, found)

    def shuffled(self, descriptions: Mapping[Hashable, Descriptions]) -> Scores:
        """The null: each feature is examined with the descriptions of one of another source of its family."""
        others = strangers(self.features)
        return self.scores({method: [of[row] for row in others] for method, of in descriptions.items()})

    def of(self, rows: Sequence[int]) -> Harness:
        """The same for some of the features, of which only the input side can be examined."""
        return Harness([self.features[r] for r in rows], [self.seeds[r] for r in rows], self.inputs.of(rows))


def strangers(features: Sequence[Feature]) -> list[int]:
    """For each feature another one of its family, each taken once: from another source, where there are several."""
    found = list(range(len(features)))
    for family in dict.fromkeys(feature.source.family for feature in features):
        rows = [row for row, feature in enumerate(features) if feature.source.family == family]
        rows.sort(key=lambda row: features[row].source.layer)
        for place, row in enumerate(rows):
            found[row] = rows[(place + len(rows) // 2) % len(rows)]
    return found


def by_method(material: Sequence[Material], budget: int) -> dict[Hashable, Descriptions]:
    """The descriptions of all features by each method, with as many words for each."""
    described = [one.described(budget) for one in material]
    return {method: [of[method] for of in described] for method in METHODS}


def by_budget(material: Sequence[Material]) -> dict[Hashable, Descriptions]:
    """Those of the single methods and of the three together, with each number of words."""
    methods = (*SINGLE, RAW_ALL)
    return {(m, n): [one.described(n)[m] for one in material] for n in BUDGETS for m in methods}


def best(scores: ByMethod, methods: Iterable[str], first: Tensor) -> Tensor:
    """The scores [n] of the best of some methods, each with the number of words that suits it best.

    Which that is, the other half of the features tells, so that picking the best gains nothing by chance; `first` [n]
    are those of the first half.
    """
    found = torch.stack([scores[method, n] for method in methods for n in BUDGETS])
    by_first, by_second = (found[found[:, half].nanmean(1).nan_to_num(0).argmax()] for half in (first, ~first))
    return torch.where(first, by_second, by_first)


# Numbers


def over_features(name: str, values: Tensor, seeds: Sequence[int]) -> Metric:
    """The mean over features [n], and that of each seed's."""
    kept = values.double().tolist()
    by_seed = [[value for value, its in zip(kept, seeds, strict=True) if its == seed] for seed in sorted(set(seeds))]
    return mean_of(name, kept, list(map(nan_mean, by_seed)))


def score_metrics(scores: Scores, shuffled: Scores, exam: str, oracle: Tensor) -> list[Metric]:
    """One side's scores of the methods, of shuffled descriptions, and of the oracle that tells what can be reached."""
    found = {f"{exam}_{slug}": scores.of(exam, method) for method, slug in SLUGS.items()}
    found |= {f"{exam}_shuffled": shuffled.mean_of_single(exam), f"{exam}_oracle": oracle}
    return [over_features(name, values, scores.seeds) for name, values in found.items()]


def judge_metrics(outputs: Outputs) -> list[Metric]:
    """The oracle's score by each judge: who it is that can be listened to."""
    return [mean_of(f"oracle_{judge}", scores.tolist()) for judge, scores in outputs.oracles.items()]


GAPS: Mapping[str, Mapping[str, tuple[str, str]]] = {  # between single methods, claims A1 and A2
    INPUT: {"max_act_over_vocab_proj": (MAX_ACT, VOCAB_PROJ), "max_act_over_token_change": (MAX_ACT, TOKEN_CHANGE)},
    OUTPUT: {"vocab_proj_over_max_act": (VOCAB_PROJ, MAX_ACT), "token_change_over_max_act": (TOKEN_CHANGE, MAX_ACT)},
}
ENSEMBLES: Mapping[str, Mapping[str, Sequence[str]]] = {  # against one method or the best of several, claim A3
    INPUT: {"ensemble_over_best": SINGLE},
    OUTPUT: {"ensemble_over_best": SINGLE, "ensemble_over_max_act": (MAX_ACT,)},
}


def gap_metrics(scores: Scores, shuffled: Scores, side: str) -> list[Metric]:
    """Differences between single methods on the same features, those of shuffled descriptions, and a second route's."""
    return [
        over_features(name, of.of(exam, a) - of.of(exam, b), scores.seeds)
        for gap, (a, b) in GAPS[side].items()
        for name, of, exam in _routes(gap, scores, shuffled, side)
    ]


def ensemble_metrics(scores: Scores, shuffled: Scores, side: str) -> list[Metric]:
    """The three methods together less the best of others, from scores by method and number of words."""
    first = halves([feature.source.hook for feature in scores.features])
    return [
        over_features(name, best(of.by[exam], [RAW_ALL], first) - best(of.by[exam], methods, first), scores.seeds)
        for gap, methods in ENSEMBLES[side].items()
        for name, of, exam in _routes(gap, scores, shuffled, side)
    ]


def family_metrics(scores: Scores, shuffled: Scores) -> list[Metric]:
    """Claims A5 and A6: residual features against those of MLPs, and late ones against early ones."""
    residual, mlp, neuron = (scores.of_family(family) for family in (RESIDUAL, MLP, NEURON))
    early, late = ends(scores.features)
    compared = {
        "residual_over_mlp": (CONCAT_ALL, residual, mlp),
        "residual_over_neurons": (CONCAT_ALL, residual, neuron),
        "late_over_early": (VOCAB_PROJ, late, early),
    }
    return [
        difference_of(name, of.of(exam, method)[a].tolist(), of.of(exam, method)[b].tolist())
        for gap, (method, a, b) in compared.items()
        for name, of, exam in _routes(gap, scores, shuffled, OUTPUT)
    ]


def _routes(gap: str, scores: Scores, shuffled: Scores, side: str) -> list[tuple[str, Scores, str]]:
    """A difference's metrics, with the scores and the examination each is made of: itself, control, second route."""
    return [
        (f"{side}_{gap}", scores, side),
        (f"{side}_{gap}_shuffled", shuffled, side),
        (f"{SECOND[side]}_{gap}", scores, SECOND[side]),
    ]


def ends(features: Sequence[Feature]) -> tuple[Tensor, Tensor]:
    """Which features lie in the first and in the last third of the layers that those of their family come from."""
    early, late = (torch.zeros(len(features), dtype=torch.bool) for _ in range(2))
    layers = torch.tensor([feature.source.layer for feature in features])
    for family in FAMILIES.values():
        own = torch.tensor([feature.source.family == family for feature in features])
        present = layers[own].unique()
        third = len(present) // 3
        early |= own & torch.isin(layers, present[:third])
        late |= own & torch.isin(layers, present[len(present) - third :])
    return early, late


def projection_metrics(harness: Harness, by_projection: Mapping[Hashable, Descriptions]) -> list[Metric]:
    """Claim A9: the input score of the paper's projection of a latent against those of other projections."""
    scores, shuffled = harness.scores(by_projection), harness.shuffled(by_projection)
    chosen, *others = PROJECTIONS[:3]
    return [
        over_features(name, of.of(exam, chosen) - of.of(exam, other), scores.seeds)
        for gap, other in zip(("projection_over_encoder", "projection_over_embedding"), others, strict=True)
        for name, of, exam in _routes(gap, scores, shuffled, INPUT)
    ]


def cost_metrics(n: int, scanned: int, windows: int, length: int, served: int) -> list[Metric]:
    """Claim A8, in tokens that pass through the model for one feature.

    scanned: tokens of MaxAct's scan, which serves `served` features at once; windows of `length` tokens are run with
    +clamp and with -clamp for each feature, and once without for all.
    """
    changed = 2 * windows * length + windows * length / n
    return [
        plain("tokens_vocab_proj", 0.0, n),
        plain("tokens_token_change", changed, n),
        plain("tokens_max_act_alone", float(scanned), n),
        plain("tokens_max_act_shared", scanned / served, n),
        plain("token_change_over_scan_alone", changed / scanned, n),
        plain("token_change_over_scan_shared", changed / (scanned / served), n),
    ]


# Tables


def budget_rows(scores: Scores, exam: str) -> list[tuple[str, ...]]:
    """The mean score of each method with each number of words."""
    means = {key: nan_mean(values.tolist()) for key, values in scores.by[exam].items()}
    return [(method, *(f"{means[method, n]:.3f}" for n in BUDGETS)) for method in (*SINGLE, RAW_ALL)]


def explorer_scores(scores: Scores, row: int) -> dict[str, Any]:
    """The two scores of each method for one feature; nothing where it was not examined."""
    return {
        method: {
            "input": round(scores.of(AREA, method)[row].item(), 2),
            "output": _known(scores.of(OUTPUT, method)[row].item()) if scores.has_output else None,
        }
        for method in METHODS
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)
