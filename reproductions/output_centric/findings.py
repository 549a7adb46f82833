"""From scores of single features to the numbers that `claims.yml` declares.

A feature is the unit that intervals resample. A seed draws features of its own, so that the values by seed are those
of independent samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from reproductions.common.claims import Metric
from reproductions.common.stats import bootstrap_means, mean_interval, nan_mean
from reproductions.output_centric.descriptions import CONCAT_ALL, MAX_ACT, METHODS, RAW_ALL, TOKEN_CHANGE, VOCAB_PROJ
from reproductions.output_centric.features import MLP, NEURON, RESIDUAL, Feature
from reproductions.output_centric.judges import (
    JUDGES,
    InputScore,
    Library,
    TextJudges,
    input_score,
    output_scores,
)

SLUGS = {MAX_ACT: "max_act", VOCAB_PROJ: "vocab_proj", TOKEN_CHANGE: "token_change", RAW_ALL: "raw_all"}
SLUGS[CONCAT_ALL] = "concat_all"
SINGLE = (MAX_ACT, VOCAB_PROJ, TOKEN_CHANGE)
PROJECTIONS = ("decoder, unembedding", "encoder, unembedding", "decoder, embedding", "encoder, embedding")
NEGATIVES_SEED = 1000
FLIPS = 10_000
POWER = 2.8  # standard errors: a gap of so many is seen in four of five samples at the 5 % level


@dataclass(frozen=True)
class Scores:
    """How the descriptions of some features [n] did, for each method; `seeds` tells which seed drew each feature."""

    features: Sequence[Feature]
    seeds: Sequence[int]
    strict: Mapping[str, Tensor]  # the paper's input score: a tie fails
    tied: Mapping[str, Tensor]  # the same, a tie counts one half
    area: Mapping[str, Tensor]
    output: Mapping[str, Mapping[str, Tensor]]  # by method, then by judge

    def output_mean(self, method: str) -> Tensor:
        """The mean over the judges [n]."""
        return torch.stack([self.output[method][judge] for judge in JUDGES]).mean(0)

    def of_family(self, family: str) -> Tensor:
        """Which features belong to a family [n]."""
        return torch.tensor([feature.source.family == family for feature in self.features])


@dataclass(frozen=True)
class Harness:
    """What descriptions are judged with: passages, how active features are in them, what they made the model write."""

    features: Sequence[Feature]
    seeds: Sequence[int]
    library: Library
    peaks: Tensor  # [n, passages]
    judges: TextJudges

    def scores(self, descriptions: Sequence[Mapping[str, Sequence[int]]]) -> Scores:
        """Judge a description of each feature by each method."""
        methods = list(descriptions[0])
        read = {method: [self._read(row, d[method]) for row, d in enumerate(descriptions)] for method in methods}
        groups = [feature.source.hook for feature in self.features]
        output = {
            method: {
                judge: output_scores(found, groups)
                for judge, found in self.judges.scores([d[method] for d in descriptions]).items()
            }
            for method in methods
        }
        strict, tied, area = (
            {method: torch.tensor([getattr(score, kind) for score in found]) for method, found in read.items()}
            for kind in ("strict", "tied", "area")
        )
        return Scores(self.features, self.seeds, strict, tied, area, output)

    def of(self, rows: Sequence[int]) -> Harness:
        """The same for some of the features; only the input side can be judged there."""
        return replace(
            self, features=[self.features[r] for r in rows], seeds=[self.seeds[r] for r in rows], peaks=self.peaks[rows]
        )

    def tied(self, descriptions: Sequence[Sequence[int]]) -> Tensor:
        """The input score alone [n], of one description of each feature; a tie counts one half."""
        return torch.tensor([self._read(row, description).tied for row, description in enumerate(descriptions)])

    def oracle(self, rows: Sequence[int], descriptions: Sequence[Sequence[int]]) -> Tensor:
        """The output score, mean over the judges, of descriptions of some of the features: [rows]."""
        groups = [feature.source.hook for feature in self.features]
        by_judge = self.judges.scores(descriptions).values()
        return torch.stack([output_scores(found, groups, rows) for found in by_judge]).mean(0)

    def shuffled(self, descriptions: Sequence[Mapping[str, Sequence[int]]]) -> Scores:
        """The null: each feature is judged with the descriptions of one of another source of its family."""
        return self.scores([descriptions[row] for row in strangers(self.features)])

    def _read(self, row: int, description: Sequence[int]) -> InputScore:
        generator = torch.Generator().manual_seed(NEGATIVES_SEED + row)
        return input_score(self.library, description, self.peaks[row], generator)


def strangers(features: Sequence[Feature]) -> list[int]:
    """For each feature another one of its family, each taken once: from another source, where there are several."""
    found = list(range(len(features)))
    for family in dict.fromkeys(feature.source.family for feature in features):
        rows = [row for row, feature in enumerate(features) if feature.source.family == family]
        rows.sort(key=lambda row: features[row].source.layer)
        for place, row in enumerate(rows):
            found[row] = rows[(place + len(rows) // 2) % len(rows)]
    return found


# Numbers


def over_features(name: str, values: Tensor, seeds: Sequence[int]) -> Metric:
    """The mean over features [n], with its bootstrap interval and the mean for each seed."""
    kept = values.double().tolist()
    by_seed = [[value for value, its in zip(kept, seeds, strict=True) if its == seed] for seed in sorted(set(seeds))]
    n = sum(not math.isnan(value) for value in kept)
    return Metric(name, nan_mean(kept), n, tuple(map(nan_mean, by_seed)), mean_interval(kept))


def between(name: str, a: Tensor, b: Tensor) -> Metric:
    """mean(a) - mean(b) of different features, with a bootstrap interval; too few of either gives NaN."""
    n = len(a) + len(b)
    if min(len(a), len(b)) < 2:
        return Metric(name, math.nan, 0 if min(len(a), len(b)) == 0 else n, (), (math.nan, math.nan))
    draws = [bootstrap_means(values.tolist(), seed) for seed, values in enumerate((a, b))]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    return Metric(name, float(a.mean() - b.mean()), n, (), (float(low), float(high)))


def score_metrics(scores: Scores, shuffled: Scores, oracle: Tensor) -> list[Metric]:
    """The scores of the methods that claims speak of, of shuffled descriptions, and of words from other such texts."""
    null_input = torch.stack([shuffled.tied[method] for method in SINGLE]).mean(0)
    null_output = torch.stack([shuffled.output_mean(method) for method in SINGLE]).mean(0)
    return [
        *(over_features(f"input_{slug}", scores.tied[method], scores.seeds) for method, slug in SLUGS.items()),
        over_features("input_shuffled", null_input, scores.seeds),
        over_features("input_strict_max_act", scores.strict[MAX_ACT], scores.seeds),
        over_features("input_area_max_act", scores.area[MAX_ACT], scores.seeds),
        *(over_features(f"output_{slug}", scores.output_mean(method), scores.seeds) for method, slug in SLUGS.items()),
        over_features("output_shuffled", null_output, scores.seeds),
        over_features("output_oracle", oracle, [0] * len(oracle)),
    ]


def gap_metrics(scores: Scores, shuffled: Scores) -> list[Metric]:
    """Differences between methods on the same features, claims A1 to A4, and the same of shuffled descriptions."""
    best_input, best_output = (_best(scores, side) for side in ("input", "output"))
    pairs = {
        "input_max_act_over_vocab_proj": ("input", MAX_ACT, VOCAB_PROJ),
        "input_max_act_over_token_change": ("input", MAX_ACT, TOKEN_CHANGE),
        "output_vocab_proj_over_max_act": ("output", VOCAB_PROJ, MAX_ACT),
        "output_token_change_over_max_act": ("output", TOKEN_CHANGE, MAX_ACT),
        "input_raw_over_best": ("input", RAW_ALL, best_input),
        "output_raw_over_best": ("output", RAW_ALL, best_output),
        "output_concat_over_max_act": ("output", CONCAT_ALL, MAX_ACT),
        "input_raw_over_concat": ("input", RAW_ALL, CONCAT_ALL),
        "output_concat_over_raw": ("output", CONCAT_ALL, RAW_ALL),
    }
    return [
        over_features(f"{name}{suffix}", _side(of, side, a) - _side(of, side, b), scores.seeds)
        for name, (side, a, b) in pairs.items()
        for suffix, of in (("", scores), ("_shuffled", shuffled))
    ]


def judge_metrics(scores: Scores) -> list[Metric]:
    """VocabProj and TokenChange over MaxAct by each judge, and the smallest gap that so many features can show."""
    found = []
    for method in (VOCAB_PROJ, TOKEN_CHANGE):
        for judge in JUDGES:
            gap = scores.output[method][judge] - scores.output[MAX_ACT][judge]
            found.append(over_features(f"{judge}_{SLUGS[method]}_over_max_act", gap, scores.seeds))
    gap = scores.output_mean(VOCAB_PROJ) - scores.output_mean(MAX_ACT)
    detectable = POWER * gap.std().item() / math.sqrt(len(gap))
    return [*found, Metric("output_detectable_gap", detectable, len(gap))]


def family_metrics(scores: Scores, shuffled: Scores) -> list[Metric]:
    """Claims A5 and A6: residual features against those of MLPs, and late neurons against early ones."""
    residual, mlp, neuron = (scores.of_family(family) for family in (RESIDUAL, MLP, NEURON))
    early, late = _ends(scores, neuron)
    compared = {
        "output_residual_over_mlp": (CONCAT_ALL, residual, mlp),
        "output_residual_over_neurons": (CONCAT_ALL, residual, neuron),
        "output_late_over_early": (VOCAB_PROJ, late, early),
    }
    return [
        between(f"{name}{suffix}", of.output_mean(method)[a], of.output_mean(method)[b])
        for name, (method, a, b) in compared.items()
        for suffix, of in (("", scores), ("_shuffled", shuffled))
    ]


def _ends(scores: Scores, of: Tensor) -> tuple[Tensor, Tensor]:
    """Which of some features lie in the first and in the last third of the layers that these features come from."""
    layers = torch.tensor([feature.source.layer for feature in scores.features])
    present = layers[of].unique()
    third = max(1, len(present) // 3)
    return of & torch.isin(layers, present[:third]), of & torch.isin(layers, present[len(present) - third :])


def projection_metrics(harness: Harness, by_projection: Mapping[str, Sequence[Sequence[int]]]) -> list[Metric]:
    """Claim A9: the input score of the paper's projection of a latent against those of other projections."""
    chosen, *others = (_own_and_strange(harness, by_projection[name]) for name in PROJECTIONS[:3])
    return [
        over_features(f"projection_over_{name}{suffix}", chosen[place] - other[place], harness.seeds)
        for name, other in zip(("encoder", "embedding"), others, strict=True)
        for place, suffix in enumerate(("", "_shuffled"))
    ]


def _own_and_strange(harness: Harness, descriptions: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    return harness.tied(descriptions), harness.tied([descriptions[row] for row in strangers(harness.features)])


def cost_metrics(n: int, scanned: int, windows: int, length: int, served: int) -> list[Metric]:
    """Claim A8, in tokens that pass through the model for one feature.

    scanned: tokens of MaxAct's scan, which serves `served` features at once; windows of `length` tokens are run with
    +clamp and with -clamp for each feature, and once without for all.
    """
    changed = 2 * windows * length + windows * length / n
    return [
        Metric("tokens_vocab_proj", 0.0, n),
        Metric("tokens_token_change", changed, n),
        Metric("tokens_max_act_alone", float(scanned), n),
        Metric("tokens_max_act_shared", scanned / served, n),
        Metric("token_change_over_scan_alone", changed / scanned, n),
        Metric("token_change_over_scan_shared", changed / (scanned / served), n),
    ]


def _side(scores: Scores, side: str, method: str) -> Tensor:
    return scores.tied[method] if side == "input" else scores.output_mean(method)


def _best(scores: Scores, side: str) -> str:
    return max(SINGLE, key=lambda method: _side(scores, side, method).mean().item())


# Tests


def sign_flip(gaps: Tensor, seed: int = 0) -> float:
    """The p-value of paired gaps [n] if signs mean nothing: the share of sign flips with a mean as far from 0."""
    values = gaps.double().numpy()
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(FLIPS, len(values)))
    means = np.abs((signs * values).mean(1))
    return float((1 + (means >= abs(values.mean()) - 1e-12).sum()) / (1 + FLIPS))


def mcnemar(a: Tensor, b: Tensor) -> float:
    """The exact p-value that two yes-or-no outcomes [n] of the same features are equally often the only yes."""
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def gap_table(scores: Scores) -> list[tuple[str, str, str]]:
    """For each method against MaxAct: input gap with McNemar's p, output gap with the p of sign flips."""
    rows = []
    for method in METHODS[1:]:
        inputs, outputs = (_side(scores, side, method) - _side(scores, side, MAX_ACT) for side in ("input", "output"))
        p_in, p_out = mcnemar(scores.strict[method], scores.strict[MAX_ACT]), sign_flip(outputs)
        rows.append((method, f"{inputs.mean():+.3f}, p = {p_in:.2g}", f"{outputs.mean():+.3f}, p = {p_out:.2g}"))
    return rows


def explorer_scores(scores: Scores, row: int) -> dict[str, Any]:
    """The two scores of each method for one feature."""
    return {
        method: {
            "input": round(scores.area[method][row].item(), 2),
            "output": round(scores.output_mean(method)[row].item(), 2),
        }
        for method in METHODS
    }
