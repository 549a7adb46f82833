"""From hits to the numbers that `reproduction.yml` declares.

A relation is the unit wherever a statement is about relations; a layer where it is about the heads of a layer; a head
where heads are counted. Every list over relations stands in the order of `Pairs.names`, with NaN where a relation could
not be measured, so that two metrics pair relation by relation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproductions.common.metrics import Metric, difference_of, mean_of, plain, share_of
from reproductions.common.stats import nan_mean, pearson, spearman
from reproductions.head_mapping.ablation import Ablation
from reproductions.head_mapping.dynamic import DynamicHits, template_scores
from reproductions.head_mapping.groups import (
    group_similarity,
    overlap_similarity,
    relation_similarity,
    self_differences,
)
from reproductions.head_mapping.method import IMPLEMENTS, Hits, Pairs
from reproductions.head_mapping.relations import Relation
from reproductions.head_mapping.salient import Describability

PROMOTED, SUPPRESSED = "promoted", "suppressed"
CHANCE = 1e-9  # any score above zero: a single pair that was hit

Correlate = Callable[..., float]


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

    def phi_shuffled(self, index: int, sign: str = PROMOTED) -> Tensor:
        """The static scores of the null of one seed: [R, L, H]."""
        return self.pairs.mean(getattr(self.shuffled[index], sign))

    def agreement(self, context: bool, sign: str = PROMOTED, correlate: Correlate = pearson) -> list[float]:
        """How well static scores predict dynamic ones: [R]."""
        return agreement(self.phi(sign), self.phi_dynamic(context=context, sign=sign), correlate)

    def null(self, context: bool, sign: str = PROMOTED, correlate: Correlate = pearson) -> list[float]:
        """The same for shuffled targets, the mean over seeds: [R]."""
        dynamic = self.phi_dynamic(context=context, sign=sign)
        return mean_lists([agreement(self.phi_shuffled(i, sign), dynamic, correlate) for i in range(len(self.seeds))])


def agreement(static: Tensor, dynamic: Tensor, correlate: Correlate = pearson) -> list[float]:
    """The correlation of each relation's static map with its dynamic maps, as the paper pools them: [R].

    static: [R, L, H], repeated for each template; dynamic: [T, R, L, H]. A static map that is the same for all heads
    predicts nothing and counts as 0; where the dynamic maps do not vary there is nothing to predict: NaN.
    """
    repeated = static[None].expand_as(dynamic).cpu().numpy()
    measured = dynamic.cpu().numpy()
    return [_predicted(repeated[:, r], measured[:, r], correlate) for r in range(static.shape[0])]


def _predicted(static: np.ndarray, dynamic: np.ndarray, correlate: Correlate) -> float:
    return 0.0 if np.ptp(static) == 0 < np.ptp(dynamic) else correlate(static, dynamic)


def spearman_nonzero(static: np.ndarray, dynamic: np.ndarray) -> float:
    """Spearman's correlation over the heads of which either score is above zero: most heads are zero in both."""
    some = (static > 0) | (dynamic > 0)
    return spearman(static[some], dynamic[some])


def mean_lists(lists: Sequence[Sequence[float]]) -> list[float]:
    """The mean of several lists place by place; NaNs are left out."""
    return [nan_mean(values) for values in zip(*lists, strict=True)]


def less(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """a - b place by place."""
    return [x - y for x, y in zip(a, b, strict=True)]


def only(values: Sequence[float], counted: Sequence[bool]) -> list[float]:
    """The values of the relations that are counted; NaN for the others."""
    return [value if kept else math.nan for value, kept in zip(values, counted, strict=True)]


def agreement_metrics(scores: Scores, counted: Sequence[bool]) -> list[Metric]:
    """How well static scores predict dynamic ones, and the nulls, over relations that did not choose the reading."""
    conditions = {
        "promoted_without_context": (False, PROMOTED),
        "promoted_with_context": (True, PROMOTED),
        "suppressed_without_context": (False, SUPPRESSED),
    }
    found: dict[str, list[float]] = {}
    for name, (context, sign) in conditions.items():
        found[f"r_{name}"] = scores.agreement(context, sign)
        found[f"r_{name}_shuffled"] = scores.null(context, sign)
        found[f"rho_{name}"] = scores.agreement(context, sign, spearman_nonzero)
        found[f"r_{name}_across_templates"] = across_templates(scores.phi_dynamic(context=context, sign=sign))
    found["rho_shuffled"] = scores.null(False, PROMOTED, spearman_nonzero)
    for end in ("", "_shuffled"):
        without, within = (found[f"r_promoted_{context}_context{end}"] for context in ("without", "with"))
        found[f"context_cost{end}"] = less(without, within)
    held_out = _held_out(scores)
    metrics = [mean_of(name, only(values, counted)) for name, values in found.items()]
    per_seed = [nan_mean(only(values, counted)) for values in held_out]
    return [*metrics, mean_of("r_held_out", only(mean_lists(held_out), counted), per_seed)]


def across_templates(dynamic: Tensor) -> list[float]:
    """How well every other template's dynamic scores predict those of the rest: [R], for dynamic [T, R, L, H]."""
    return agreement(dynamic[::2].mean(0), dynamic[1::2])


def _held_out(scores: Scores) -> list[list[float]]:
    """Static scores of one half of the pairs against dynamic scores of the other, for each seed."""
    found = []
    for seed in scores.seeds:
        first, second = scores.pairs.halves(seed)
        found.append(agreement(scores.phi(rows=first), scores.phi_dynamic(context=False, rows=second)))
    return found


def reading_metrics(scores: Scores, paper: Scores, embedding: Hits, counted: Sequence[bool]) -> list[Metric]:
    """The paper's own reading beside the chosen one, and what its first MLP gains over the embedding.

    paper: the scores of the paper's reading; embedding: static hits of that reading, without gains too.
    """
    own = paper.agreement(False)
    other = agreement(paper.pairs.mean(embedding.promoted), paper.phi_dynamic(context=False))
    found = {
        "r_paper_reading": own,
        "r_paper_reading_shuffled": paper.null(False),
        "rho_paper_reading": paper.agreement(False, correlate=spearman_nonzero),
        "r_embedding": other,
        "mlp_gain": less(own, other),
        "reading_gain": less(scores.agreement(False), own),
    }
    return [mean_of(name, only(values, counted)) for name, values in found.items()]


def layout_metrics(scores: Scores, seed: int = 0) -> list[Metric]:
    """Where relation heads lie, how many relations a head carries, and how many heads a relation has."""
    phi = scores.phi()
    nulls = torch.stack([scores.phi_shuffled(i) for i in range(len(scores.seeds))])
    implements = phi >= IMPLEMENTS
    return [
        _share("upper_share", _in_upper_half(implements)),
        _share("upper_share_chance", _in_upper_half(nulls.amax(0) >= CHANCE)),
        _share("multi_relation_share", _carries_two(implements)),
        _share("multi_relation_share_dealt", _carries_two(dealt(implements, seed))),
        mean_of("heads_per_relation", _heads_each(phi)),
        mean_of("heads_per_relation_shuffled", mean_lists([_heads_each(null) for null in nulls])),
    ]


def dealt(implements: Tensor, seed: int) -> Tensor:
    """Every relation's heads [R, L, H] of bool dealt anew among the heads of their layers."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(implements.shape, generator=generator).argsort(-1).to(implements.device)
    return implements.gather(-1, order)


def _share(name: str, yes: Tensor) -> Metric:
    return share_of(name, int(yes.sum()), len(yes))


def _in_upper_half(implements: Tensor) -> Tensor:
    """For each head that implements some relation, of [R, L, H], whether it lies in the upper half of the layers."""
    return implements.any(0).nonzero()[:, 0] >= implements.shape[1] / 2


def _carries_two(implements: Tensor) -> Tensor:
    """For each head that implements some relation, whether it implements more than one."""
    return implements.sum(0)[implements.any(0)] > 1


def _heads_each(phi: Tensor) -> list[float]:
    """How many heads implement each relation."""
    return (phi >= IMPLEMENTS).sum((1, 2)).double().tolist()


def group_metrics(scores: Scores, group_size: int) -> list[Metric]:
    """Whether heads that share a W_V are more alike than others of their layer, over layers that have both kinds.

    Likeness is that of the scores, or that of the sets of relations with any score. That a head's scores on one half of
    the pairs are more like its own on the other half than like its neighbours' is what the comparison must be able to
    see.
    """
    phi = scores.phi()
    likeness = group_similarity(relation_similarity(phi), group_size)
    overlap = group_similarity(overlap_similarity(phi), group_size, permutations=0)
    first, second = (scores.phi(rows=rows) for rows in scores.pairs.halves(scores.seeds[0]))
    return [
        mean_of("group_difference", likeness.differences),
        mean_of("group_difference_overlap", overlap.differences),
        mean_of("self_difference", self_differences(first, second)),
        plain("group_p_value", likeness.p_value, likeness.n_layers),
    ]


def ablation_metrics(by_seed: Sequence[Sequence[Ablation]], names: Sequence[str]) -> list[Metric]:
    """What is lost with a relation's heads, with random heads, with all heads, and on control tasks.

    by_seed: [seed][relation]; the units are the relations `names`, NaN for those that the model cannot do. Losses are
    shares of the base accuracy, or nats of the target's log-probability.
    """
    numbers: dict[str, Callable[[Ablation], float]] = {
        "ablation_drop": lambda a: a.relation_drop,
        "ablation_drop_random": lambda a: a.random_drop,
        "ablation_drop_all": lambda a: a.all_drop,
        "ablation_nats": lambda a: a.relation_nats - a.random_nats,
        "control_task_gap": lambda a: a.control_gap,
        "control_task_gap_random": lambda a: a.control_gap_random,
        "control_task_nats": lambda a: a.control_nats,
    }
    return [_ablation_metric(name, by_seed, names, number) for name, number in numbers.items()]


def _ablation_metric(
    name: str, by_seed: Sequence[Sequence[Ablation]], names: Sequence[str], number: Callable[[Ablation], float]
) -> Metric:
    """A number of each ablation: one value a relation, the mean over the seeds in which it could be measured."""
    of_seed = [{ablation.relation: number(ablation) for ablation in found} for found in by_seed]
    values = [[found.get(relation, math.nan) for relation in names] for found in of_seed]
    return mean_of(name, mean_lists(values), [nan_mean(own) for own in values])


def salience_metrics(found: Describability, gains: Sequence[float], n_layers: int, phi: Tensor) -> list[Metric]:
    """The share of heads that can be told from permuted ones, in the upper half of the layers and the first third.

    gains: of salient tokens over the largest entries of M, one for each head that was looked at.
    """
    layers = torch.tensor([operation.layer for operation in found.operations])
    upper, early = layers >= n_layers / 2, layers < n_layers // 3
    described, rules = found.described.double(), found.scores[:, 0].double()
    implementing = torch.tensor([bool((phi[:, o.layer, o.head] >= IMPLEMENTS).any()) for o in found.operations])
    return [
        _share("describable_upper", found.described[upper]),
        _share("describable_early", found.described[early]),
        _share("describable_permuted", found.permuted[upper]),
        difference_of("describable_gap", described[upper].tolist(), described[early].tolist()),
        difference_of("rule_gap", rules[upper].tolist(), rules[early].tolist()),
        mean_of("rules_of_relation_heads", rules[implementing].tolist()),
        mean_of("saliency_gain", gains),
    ]


MEASURES = {  # what the explorer shows of a head: how it was scored, and that in a word
    "static": ("read from the parameters", "parameters"),
    "suppression": ("suppressed, read from the parameters", "suppressed"),
    "without_context": ("written when the model runs, without context", "runs"),
    "with_context": ("written when the model runs, in context", "in context"),
    "shuffled": ("control: answers shuffled", "control"),
}


def explorer(scores: Scores, relations: Mapping[str, Relation], decode: Sequence[str]) -> dict[str, Any]:
    """What a reader can explore: every head's score for every relation, static and dynamic, with example pairs."""
    without_context, with_context = (scores.phi_dynamic(context=context).mean(0) for context in (False, True))
    every = (scores.phi(), scores.phi(SUPPRESSED), without_context, with_context, scores.phi_shuffled(0))
    _, layers, heads = scores.phi().shape
    return {
        "title": "Head map",
        "about": "Every attention head of the model, layer by layer. Choose a relation to see which heads write its "
        "answers, and point at a head to read its scores and examples.",
        "rows": {"title": "layer", "names": list(range(layers))},
        "columns": {"title": "head", "names": list(range(heads))},
        "cell": {"one": "head", "many": "heads"},
        "item": {"one": "relation", "many": "relations"},
        "measures": [{"name": name, "title": title, "short": short} for name, (title, short) in MEASURES.items()],
        "mark": {"from": IMPLEMENTS, "says": "the head implements it"},
        "items": [
            {
                "name": name,
                "title": relation.title,
                "group": relation.category,
                "examples": _examples(scores.pairs, index, decode),
                "values": {key: _rounded(each[index]) for key, each in zip(MEASURES, every, strict=True)},
            }
            for index, (name, relation) in enumerate(relations.items())
        ],
    }


def _examples(pairs: Pairs, index: int, decode: Sequence[str], most: int = 8) -> list[str]:
    rows = (pairs.relation == index).nonzero().squeeze(1)[:most]
    return [f"{decode[int(pairs.source[row])].strip()} → {decode[int(pairs.target[row])].strip()}" for row in rows]


def _rounded(scores: Tensor) -> list[list[float]]:
    """Scores [L, H] with as many digits as a picture needs."""
    return [[round(value, 3) or 0 for value in row] for row in scores.tolist()]
