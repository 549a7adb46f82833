"""From hits to the numbers that `claims.yml` declares: means over relations, seeds, nulls and intervals.

A relation is the unit that intervals resample: the question is whether a statement holds across relations. A seed
draws the half of the pairs a number is computed on, the shuffled targets and the random heads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproductions.common.claims import Metric
from reproductions.common.stats import bootstrap_means, mean_interval, nan_mean, pearson, spearman
from reproductions.head_mapping.ablation import Ablation
from reproductions.head_mapping.dynamic import DynamicHits, template_scores
from reproductions.head_mapping.groups import group_similarity, relation_similarity
from reproductions.head_mapping.method import IMPLEMENTS, Heads, Hits, Pairs
from reproductions.head_mapping.relations import Relation
from reproductions.head_mapping.salient import Known, saliency_gain, salient_operations, sample_upper

PROMOTED, SUPPRESSED = "promoted", "suppressed"
CHANCE = 1e-9  # any score above zero: a single pair that was hit
NULL_SEED = 12345  # of the permuted heads that salient tokens are compared on


@dataclass(frozen=True)
class Scores:
    """Everything that was scored for one batch of pairs; `shuffled` holds a null for each seed."""

    pairs: Pairs
    seeds: tuple[int, ...]
    static: Hits
    shuffled: tuple[Hits, ...]
    dynamic: tuple[DynamicHits, ...]

    def phi(self, sign: str = PROMOTED, rows: Tensor | None = None) -> Tensor:
        """Static scores [R, L, H], over some of the pairs only where `rows` [N] says so."""
        return self.pairs.mean(getattr(self.static, sign), rows)

    def phi_dynamic(self, *, context: bool, sign: str = PROMOTED, rows: Tensor | None = None) -> Tensor:
        """Dynamic scores [T, R, L, H]."""
        return template_scores(self.pairs, self.dynamic, context=context, sign=sign, rows=rows)

    def phi_shuffled(self, index: int) -> Tensor:
        """The static scores of the null of one seed: [R, L, H]."""
        return self.pairs.mean(self.shuffled[index].promoted)


def agreement(static: Tensor, dynamic: Tensor, correlate: Callable[..., float] = pearson) -> list[float]:
    """The correlation of each relation's static map with its dynamic maps, as the paper pools them: [R].

    static: [R, L, H], repeated for each template; dynamic: [T, R, L, H]. A static map that is the same for all heads
    predicts nothing and counts as 0; where the dynamic maps do not vary there is nothing to predict: NaN.
    """
    repeated = static[None].expand_as(dynamic).cpu().numpy()
    measured = dynamic.cpu().numpy()
    return [_predicted(repeated[:, r], measured[:, r], correlate) for r in range(static.shape[0])]


def _predicted(static: np.ndarray, dynamic: np.ndarray, correlate: Callable[..., float]) -> float:
    return 0.0 if np.ptp(static) == 0 < np.ptp(dynamic) else correlate(static, dynamic)


def spearman_nonzero(static: np.ndarray, dynamic: np.ndarray) -> float:
    """Spearman's correlation over the heads of which either score is above zero: most heads are zero in both."""
    some = (static > 0) | (dynamic > 0)
    return spearman(static[some], dynamic[some])


def across_relations(name: str, values: Sequence[float], per_seed: Sequence[Sequence[float]] = ()) -> Metric:
    """The mean of a number over relations, with its bootstrap interval over relations and the mean for each seed."""
    n = sum(not math.isnan(value) for value in values)
    interval = mean_interval(values)
    return Metric(name, nan_mean(values), n, tuple(nan_mean(seed) for seed in per_seed), interval)


def agreement_metrics(scores: Scores) -> list[Metric]:
    """How well static scores predict dynamic ones: with and without context, for both signs, and the nulls."""
    metrics = [
        _agreement_metric(f"r_{sign}_{'with' if context else 'without'}_context", scores, sign, context)
        for sign in (PROMOTED, SUPPRESSED)
        for context in (False, True)
    ]
    without = scores.phi_dynamic(context=False)
    null = [agreement(scores.phi_shuffled(i), without) for i in range(len(scores.seeds))]
    rank = agreement(scores.phi(), without, spearman_nonzero)
    costs = [
        a - b for a, b in zip(_agreement(scores, PROMOTED, False), _agreement(scores, PROMOTED, True), strict=True)
    ]
    return [
        *metrics,
        across_relations("r_shuffled", [nan_mean(values) for values in zip(*null, strict=True)], null),
        across_relations("rho_nonzero", rank),
        across_relations("r_held_out", *_held_out(scores)),
        across_relations("context_cost", costs),
    ]


def reading_metrics(scores: Scores, others: Mapping[str, Hits]) -> list[Metric]:
    """The agreement without context when heads are taken to read something else, and what the first MLP gains.

    others: the static hits of the readings "embedding" and "sum" of `method.READINGS`.
    """
    dynamic = scores.phi_dynamic(context=False)
    r = {reads: agreement(scores.pairs.mean(hits.promoted), dynamic) for reads, hits in others.items()}
    gain = [a - b for a, b in zip(agreement(scores.phi(), dynamic), r["embedding"], strict=True)]
    return [
        *(across_relations(f"r_{reads}", values) for reads, values in r.items()),
        across_relations("mlp_gain", gain),
    ]


def _agreement(scores: Scores, sign: str, context: bool, rows: Tensor | None = None) -> list[float]:
    return agreement(scores.phi(sign, rows), scores.phi_dynamic(context=context, sign=sign, rows=rows))


def _agreement_metric(name: str, scores: Scores, sign: str, context: bool) -> Metric:
    halves = [_agreement(scores, sign, context, scores.pairs.halves(seed)[0]) for seed in scores.seeds]
    return across_relations(name, _agreement(scores, sign, context), halves)


def _held_out(scores: Scores) -> tuple[list[float], list[list[float]]]:
    """Static scores of one half of the pairs against dynamic scores of the other: mean over seeds, and each seed."""
    found = []
    for seed in scores.seeds:
        first, second = scores.pairs.halves(seed)
        found.append(agreement(scores.phi(rows=first), scores.phi_dynamic(context=False, rows=second)))
    return [nan_mean(values) for values in zip(*found, strict=True)], found


def layout_metrics(scores: Scores) -> list[Metric]:
    """Where relation heads lie, how many relations a head carries, and how many heads a relation has."""
    phi = scores.phi()
    nulls = [scores.phi_shuffled(i) for i in range(len(scores.seeds))]
    halves = [scores.phi(rows=scores.pairs.halves(seed)[0]) for seed in scores.seeds]
    null_counts = [nan_mean(counts) for counts in zip(*map(_heads_each, nulls), strict=True)]
    carried = (phi >= IMPLEMENTS).sum(0)[_implementing(phi)]
    return [
        across_heads("upper_share", _in_upper_half(phi), [_in_upper_half(half) for half in halves]),
        across_heads("upper_share_chance", torch.cat([_in_upper_half(null, least=CHANCE) for null in nulls])),
        across_heads("multi_relation_share", _carries_two(phi), [_carries_two(half) for half in halves]),
        across_heads("multi_relation_share_shuffled", torch.cat([_carries_two(null) for null in nulls])),
        across_relations("heads_per_relation", _heads_each(phi), [_heads_each(half) for half in halves]),
        across_relations("heads_per_relation_shuffled", null_counts),
        across_heads("relations_per_head", carried),
    ]


def _implementing(phi: Tensor, least: float = IMPLEMENTS) -> Tensor:
    """The heads that implement some relation: [L, H] of bool."""
    return (phi >= least).any(0)


def _in_upper_half(phi: Tensor, least: float = IMPLEMENTS) -> Tensor:
    """For each implementing head, whether it lies in the upper half of the layers."""
    return _implementing(phi, least).nonzero()[:, 0] >= phi.shape[1] / 2


def _carries_two(phi: Tensor) -> Tensor:
    """For each implementing head, whether it implements more than one relation."""
    return (phi >= IMPLEMENTS).sum(0)[_implementing(phi)] > 1


def _heads_each(phi: Tensor) -> list[float]:
    """How many heads implement each relation."""
    return (phi >= IMPLEMENTS).sum((1, 2)).double().tolist()


def across_heads(name: str, yes: Tensor, per_seed: Sequence[Tensor] = ()) -> Metric:
    """The share of heads for which something is so, with its bootstrap interval over heads."""
    values = yes.double().tolist()
    seeds = tuple(nan_mean(seed.double().flatten().tolist()) for seed in per_seed)
    return Metric(name, nan_mean(values), len(values), seeds, mean_interval(values))


def group_metrics(scores: Scores, group_size: int) -> list[Metric]:
    """Whether heads that share a W_V are more alike than others of their layer, over layers that have both kinds."""
    whole = group_similarity(relation_similarity(scores.phi()), group_size)
    halves = [
        group_similarity(relation_similarity(scores.phi(rows=scores.pairs.halves(seed)[0])), group_size, permutations=0)
        for seed in scores.seeds
    ]
    n = whole.n_layers
    return [
        Metric("group_difference", whole.difference, n, tuple(half.difference for half in halves), whole.interval),
        Metric("group_difference_permuted", whole.permuted, n),
        Metric("group_p_value", whole.p_value, n),
    ]


def ablation_metrics(by_seed: Sequence[Sequence[Ablation]]) -> list[Metric]:
    """What is lost with a relation's heads, with random heads, and on control tasks, as shares of the base accuracy.

    by_seed: [seed][relation].
    """
    return [
        _ablation_metric("ablation_drop", by_seed, lambda a: a.relation_drop),
        _ablation_metric("ablation_drop_random", by_seed, lambda a: a.random_drop),
        _ablation_metric("ablation_gap", by_seed, lambda a: a.relation_drop - a.random_drop),
        _ablation_metric("control_task_gap", by_seed, lambda a: a.relation_drop - nan_mean(a.control_drops)),
        _ablation_metric("control_task_gap_random", by_seed, lambda a: a.random_drop - nan_mean(a.control_drops)),
    ]


def _ablation_metric(name: str, by_seed: Sequence[Sequence[Ablation]], number: Callable[[Ablation], float]) -> Metric:
    """A number of each ablation: one value a relation, the mean over the seeds in which it could be measured."""
    found: dict[str, list[float]] = {}
    for ablation in itertools.chain.from_iterable(by_seed):
        found.setdefault(ablation.relation, []).append(number(ablation))
    return across_relations(name, [nan_mean(values) for values in found.values()], [[*map(number, a)] for a in by_seed])


def salience_metrics(described: Tensor, permuted: Tensor) -> list[Metric]:
    """The share of heads that can be told from permuted ones, in the upper half of the layers and in the first third.

    described: [S, L, H] of bool, one map for each seed's null; permuted: the same for permuted heads, which the
    threshold has not seen.
    """
    n_layers = described.shape[1]
    upper = described[:, n_layers // 2 :].double().mean(0).flatten()  # [heads] share of seeds
    early = described[:, : n_layers // 3].double().mean(0).flatten()
    return [
        across_heads("describable_upper", upper, list(described[:, n_layers // 2 :])),
        across_heads("describable_early", early, list(described[:, : n_layers // 3])),
        across_heads("describable_permuted", permuted.double().flatten()),
        _difference("describable_gap", upper, early),
    ]


def _difference(name: str, a: Tensor, b: Tensor) -> Metric:
    """mean(a) - mean(b) of two independent samples, with a bootstrap interval."""
    draws = [bootstrap_means(values.tolist(), seed) for seed, values in enumerate((a, b))]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    return Metric(name, float(a.mean() - b.mean()), len(a) + len(b), (), (float(low), float(high)))


def saliency_gain_metrics(
    heads: Heads, decode: Sequence[str], allowed: Tensor, known: Known, *, seeds: Sequence[int], sampled: int
) -> list[Metric]:
    """Salient tokens against the largest entries of M, on a sample of upper heads a seed, and for permuted heads."""
    gains = []
    for matrices in (heads, heads.permuted(NULL_SEED)):
        operations = salient_operations(matrices, allowed)
        samples = sample_upper(operations, heads.n_layers, seeds, sampled)
        gains.append([saliency_gain(matrices, sample, decode, allowed, known) for sample in samples])
    real, null = gains
    return [
        _over_heads("saliency_gain", list(itertools.chain(*real)), real),
        _over_heads("saliency_gain_permuted", list(itertools.chain(*null)), null),
    ]


def _over_heads(name: str, values: Sequence[float], per_seed: Sequence[Sequence[float]] = ()) -> Metric:
    """The mean of a number over heads, with its bootstrap interval over heads."""
    return Metric(name, nan_mean(values), len(values), tuple(map(nan_mean, per_seed)), mean_interval(values))


def explorer(scores: Scores, relations: Mapping[str, Relation], decode: Sequence[str]) -> dict[str, Any]:
    """What a reader can explore: every head's score for every relation, static and dynamic, with example pairs."""
    pairs = scores.pairs
    dynamic = {context: scores.phi_dynamic(context=context).mean(0) for context in (False, True)}
    return {
        "relations": [
            {
                "name": name,
                "title": relation.title,
                "category": relation.category,
                "examples": _examples(pairs, index, decode),
                "static": _rounded(scores.phi()[index]),
                "suppression": _rounded(scores.phi(SUPPRESSED)[index]),
                "shuffled": _rounded(scores.phi_shuffled(0)[index]),
                "without_context": _rounded(dynamic[False][index]),
                "with_context": _rounded(dynamic[True][index]),
            }
            for index, (name, relation) in enumerate(relations.items())
        ],
        "shape": {"layers": scores.phi().shape[1], "heads": scores.phi().shape[2]},
        "implements": IMPLEMENTS,
    }


def _examples(pairs: Pairs, index: int, decode: Sequence[str], most: int = 8) -> list[list[str]]:
    rows = (pairs.relation == index).nonzero().squeeze(1)[:most]
    return [[decode[int(pairs.source[row])].strip(), decode[int(pairs.target[row])].strip()] for row in rows]


def _rounded(scores: Tensor) -> list[list[float]]:
    """Scores [L, H] with as many digits as a picture needs."""
    return [[round(value, 3) for value in row] for row in scores.tolist()]
