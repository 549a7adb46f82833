"""From matches and removals to the numbers that `reproduction.yml` declares.

The unit is the text: what a text says is the mean over its cases in each window, and then over the windows. No text is
drawn twice. What steering does is in `steering_findings`, where the unit is the theme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, difference_of, mean_of, missing, share_of
from reproductions.common.stats import nan_mean
from reproductions.feature_flow.experiments import (
    BACKWARD_MAP,
    BEST,
    COSINE_MAP,
    EVERYTHING,
    FOLDED,
    ONE_OF_5,
    PEARSON,
    PEARSON_MAP,
    PERMUTED,
    PERMUTED_MAP,
    RANDOM,
    RANDOM_MAP,
    SHUFFLED_MAP,
    SLUGS,
    TOP_1,
    Matched,
    Removed,
    Trial,
    alone,
    exchanged,
)
from reproductions.feature_flow.groups import GROUPS, PROSE, TECHNICAL, Cases
from reproductions.feature_flow.method import ATTENTION, MLP, MODULES, RESIDUAL, Place
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.taxonomy import STATES, UNEXPLAINED, SeedLevel, classify
from reproductions.feature_flow.transitions import OWN

WITH_MLP = (MLP.bit, MLP.bit | ATTENTION.bit)  # groups with a predecessor in the MLP, but none in the residual stream
NEW = (*WITH_MLP, ATTENTION.bit)  # groups without a residual predecessor

Part = TypeVar("Part", Trial, Removed)  # what one window says of the texts that a seed drew


# Means over texts


def over_texts(metric: str, parts: Sequence[Part], values: Callable[[Part], Tensor]) -> Metric:
    """The mean over texts of what each part says of its texts [n_texts]; windows are averaged text by text."""
    seeds = dict.fromkeys(part.seed for part in parts)
    by_seed = [torch.stack([values(part) for part in parts if part.seed == seed]).nanmean(0).tolist() for seed in seeds]
    return mean_of(metric, [value for own in by_seed for value in own], _shown(by_seed))


def _shown(by_seed: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each seed, where there are several."""
    return [nan_mean(own) for own in by_seed if len(by_seed) > 1]


def by_text(text: Tensor, values: Tensor, n_texts: int) -> Tensor:
    """The mean of the values of cases [c] over each text's [n_texts]; NaNs are left out, NaN where nothing is left."""
    known = ~values.isnan()
    sums = torch.zeros(n_texts, dtype=torch.float64).index_add_(0, text[known], values[known].double())
    return sums / torch.bincount(text[known], minlength=n_texts)


# Matching: what the taxonomy says


def taxonomy_metrics(matched: Sequence[Matched]) -> list[Metric]:
    """The share of latents in each state, of all windows together, and of those that any source explains by chance."""
    states = torch.cat([each.states for each in matched])
    null = torch.cat([classify(drawn, each.thresholds) for each in matched for drawn in each.null.drawn])
    found = [_share(f"share_{word}", states == number) for number, word in enumerate(STATES)]
    return [*found, _share("share_explained_null", null != UNEXPLAINED)]


def seed_metrics(level: SeedLevel | None, n: int) -> list[Metric]:
    """How many latents a second training of the same site finds again: the most a layer can be expected to carry."""
    metric = "found_by_second_seed"
    return [missing(metric) if level is None else share_of(metric, round(level.found * n), n)]


def _share(metric: str, which: Tensor) -> Metric:
    return share_of(metric, int(which.sum()), len(which))


# Experiment 1: claims C1 and C10

Scores = Mapping[Matched, Mapping[Place, Tensor]]  # of each window's latents, by module


def group_metrics(trials: Sequence[Trial], readings: Mapping[Matched, Readings]) -> list[Metric]:
    """Do scores tell groups apart, and how many active latents have an active predecessor?

    A latent that fires often also has more of its predecessors active. Scores must therefore tell more than those of
    another latent that fires about as often; and predecessors be active more often than random matches.
    """
    own = {matched: matched.scores for matched in readings}
    strange = {m: exchanged(own[m], read.rates(m.window.after.site)) for m, read in readings.items()}
    known = {m: _together(m, read) for m, read in readings.items()}
    return [
        separation("separation", trials, own),
        separation("separation_exchanged", trials, strange),
        separation("separation_known", trials, known),
        *(separation(f"separation_{module.key}", trials, own, [module]) for module in MODULES),
        separation("separation_mlp_alone", trials, own, [ATTENTION], WITH_MLP),
        separation("separation_mlp_alone_exchanged", trials, strange, [ATTENTION], WITH_MLP),
        over_texts("active_predecessor", trials, partial(_explained, lambda trial: trial.cases)),
        over_texts("active_predecessor_random", trials, partial(_explained, lambda trial: trial.at_random)),
        over_texts("active_predecessor_over_random", trials, _explained_gain),
    ]


def _together(matched: Matched, read: Readings) -> dict[Place, Tensor]:
    """Scores that do tell: how often each predecessor was active with its latent, on the texts that were learnt."""
    after, sites = matched.window.after.site, zip(MODULES, matched.window.modules, strict=True)
    return {module: read.together(after, each.site, matched.cosine[module].source) for module, each in sites}


def separation(
    metric: str,
    trials: Sequence[Trial],
    scores: Scores,
    modules: Sequence[Place] = MODULES,
    groups: Sequence[int] = range(len(GROUPS)),
) -> Metric:
    """How probably a latent whose predecessor in a module is active has a higher score there than one without.

    Of all pairs of a text's latents whose groups, two of `groups`, differ in this module alone; 0.5 is chance. The mean
    over the modules, then over texts.
    """

    def areas(trial: Trial) -> Tensor:
        return torch.stack([_areas(trial, scores[trial.matched][m], m.bit, groups) for m in modules]).nanmean(0)

    return over_texts(metric, trials, areas)


def _areas(trial: Trial, scores: Tensor, bit: int, groups: Sequence[int]) -> Tensor:
    """One module's area under the curve of each text [n_texts]; a latent counts once in each group it was seen in."""
    text = trial.text(trial.cases)
    seen = torch.stack([trial.cases.target, trial.cases.group])
    found = (seen[:, text == number].unique(dim=1) for number in range(trial.n_texts))
    return torch.tensor([_area(scores[target], group, bit, groups) for target, group in found], dtype=torch.float64)


def _area(scores: Tensor, group: Tensor, bit: int, groups: Sequence[int]) -> float:
    """The share of pairs in which the latent with the bit scores higher, a tie counting half; NaN without a pair."""
    counted = torch.isin(group, torch.tensor(groups))
    high, low = (counted & (group & bit == wanted) for wanted in (bit, 0))
    paired = group[high, None] == group[low] | bit
    above = (scores[high, None] - scores[low]).sign() / 2 + 0.5
    return (above * paired).sum().item() / n if (n := int(paired.sum())) else torch.nan


def _explained(cases_of: Callable[[Trial], Cases], trial: Trial) -> Tensor:
    """The share of active latents with any active predecessor, of each text."""
    cases = cases_of(trial)
    return by_text(trial.text(cases), (cases.group > 0).double(), trial.n_texts)


def _explained_gain(trial: Trial) -> Tensor:
    return _explained(lambda own: own.cases, trial) - _explained(lambda own: own.at_random, trial)


def group_rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """A row a window: the share of active latents from the residual stream alone, and from MLP or attention alone."""
    windows = dict.fromkeys(trial.matched for trial in trials)
    return [_group_row(each, [trial for trial in trials if trial.matched is each]) for each in windows]


def _group_row(matched: Matched, trials: Sequence[Trial]) -> tuple[str, ...]:
    own = torch.cat([trial.cases.group for trial in trials])
    random = torch.cat([trial.at_random.group for trial in trials])
    counted = [torch.tensor(groups) for groups in ([RESIDUAL.bit], NEW)]
    shares = (torch.isin(each, groups).double().mean() for groups in counted for each in (own, random))
    return (f"layer {matched.window.layer}", *(f"{share:.3f}" for share in shares))


def robustness_metrics(trials: Sequence[Trial], readings: Mapping[Matched, Readings]) -> list[Metric]:
    """Claim C10: how much more correlations lose than cosines when they were learnt from prose and face technical text.

    The share of active latents with an active predecessor, correlations less cosines, on prose less on technical text.
    The control has correlations from technical text, for which that is no other kind.
    """
    found = []
    for metric, learnt in (("pearson_loses_off_prose", PROSE), ("pearson_loses_off_prose_control", TECHNICAL)):
        sides = [over_texts(metric, trials, partial(_gain, readings, learnt, kind)) for kind in (PROSE, TECHNICAL)]
        found.append(difference_of(metric, sides[0].units, sides[1].units, _gaps(*sides)))
    return found


def _gaps(one: Metric, other: Metric) -> list[float]:
    return [a - b for a, b in zip(one.per_seed, other.per_seed, strict=True)]


def _gain(readings: Mapping[Matched, Readings], learnt: str, kind: str, trial: Trial) -> Tensor:
    """Correlations less cosines, in the share of latents that they explain, of the texts of a kind."""
    grouped = trial.grouped_by(readings[trial.matched].correlated[learnt])
    gain = (grouped.group > 0).double() - (trial.cases.group > 0).double()
    outside = ~trial.found.of_kind(kind)[grouped.token]
    return by_text(trial.text(grouped), gain.masked_fill(outside, torch.nan), trial.n_texts)


# Experiment 2: claims C2, C3, C4 and C6


def removal_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """For every method the share of targets that it puts out, and how far they fall.

    Of targets for which the method has something to remove in one module and in no other, as in the paper's table 1.
    """
    slugs = {**SLUGS, BEST: "best"}
    return [
        over_texts(f"{field}_{slug}", removed, _texts(partial(_single, method, field)))
        for method, slug in slugs.items()
        for field in ("deactivated", "change")
    ] + [over_texts("deactivated_everything", removed, _texts(lambda own: own.of(EVERYTHING).deactivated))]


def rival_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Differences between methods on targets for which both have something to remove, in one module each."""

    def gap(metric: str, one: str, other: str, field: str = "deactivated") -> Metric:
        return over_texts(metric, removed, _texts(lambda own: _single(one, field, own) - _single(other, field, own)))

    return [
        gap("top1_over_random", TOP_1, RANDOM),
        gap("top1_over_one_of_5", TOP_1, ONE_OF_5),
        gap("random_over_one_of_5", RANDOM, ONE_OF_5),
        gap("top1_over_permutation", TOP_1, PERMUTED),
        gap("random_over_permutation", RANDOM, PERMUTED),
        gap("top1_over_pearson", TOP_1, PEARSON),
        gap("best_over_top1", BEST, TOP_1),
        gap("best_over_random", BEST, RANDOM),
        gap("best_over_top1_change", BEST, TOP_1, "change"),
    ]


def _texts(values: Callable[[Removed], Tensor]) -> Callable[[Removed], Tensor]:
    """The means of each text of what came of every case [n]."""
    return lambda removed: by_text(removed.text, values(removed), removed.n_texts)


def _single(method: str, field: str, removed: Removed) -> Tensor:
    """What came of a method [n], NaN for targets for which it removes from no module or from several."""
    outcome = removed.of(method)
    found: Tensor = getattr(outcome, field)
    return found.masked_fill(outcome.modules != 1, torch.nan)


def circuit_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Claim C6: is more than one predecessor needed where more than one is active? And with random latents?"""
    return [
        over_texts(f"{metric}{suffix}", removed, partial(of, method))
        for suffix, method in (("", TOP_1), ("_random", RANDOM))
        for metric, of in (("all_over_one", _all_over_one), ("alone_over_combined", _alone_over_combined))
    ]


def _all_over_one(method: str, removed: Removed) -> Tensor:
    """All predecessors removed less the one of them that does most by itself, where there are several, by text."""
    single = [removed.of(alone(method, module)).deactivated for module in MODULES]
    gap = removed.of(method).deactivated - torch.stack(single).nan_to_num(-1).amax(0)
    return by_text(removed.text, gap.masked_fill(removed.of(method).modules < 2, torch.nan), removed.n_texts)


def _alone_over_combined(method: str, removed: Removed) -> Tensor:
    """How often removing the residual predecessor is enough: where it is the only one less where it is not, by text."""
    only = removed.of(method).deactivated.masked_fill(removed.cases.group != RESIDUAL.bit, torch.nan)
    one_of_several = removed.of(alone(method, RESIDUAL)).deactivated
    return by_text(removed.text, only, removed.n_texts) - by_text(removed.text, one_of_several, removed.n_texts)


# Transition maps: claim C7


EXPLAINED = {  # maps, in the names of metrics
    "own_code": OWN,
    "cosine": COSINE_MAP + FOLDED,
    "cosine_backward": BACKWARD_MAP + FOLDED,
    "permutation": PERMUTED_MAP + FOLDED,
    "pearson": PEARSON_MAP + FOLDED,
    "cosine_unfolded": COSINE_MAP,
    "permutation_unfolded": PERMUTED_MAP,
    "random_permutation": RANDOM_MAP + FOLDED,
}
MAP_GAPS = {  # claims' metrics: which map, and less which
    "cosine_map_over_permutation": (COSINE_MAP + FOLDED, PERMUTED_MAP + FOLDED),
    "backward_map_over_permutation": (BACKWARD_MAP + FOLDED, PERMUTED_MAP + FOLDED),
    "unfolded_map_over_permutation": (COSINE_MAP, PERMUTED_MAP),
    "shuffled_map_over_random": (SHUFFLED_MAP + FOLDED, RANDOM_MAP + FOLDED),
    "own_code_over_permutation": (OWN, PERMUTED_MAP + FOLDED),
}


def transition_metrics(found: Sequence[Mapping[str, Tensor]]) -> list[Metric]:
    """Variance explained by maps, of each text; one entry for each training of R_L's autoencoder.

    Intervals are over the texts of the first training; the values of all trainings are shown.
    """

    def gap(one: str, other: str, trainings: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        return [maps[one] - maps[other] for maps in trainings]

    return [
        *(_of_trainings(f"explained_{slug}", [maps[way] for maps in found]) for slug, way in EXPLAINED.items()),
        *(_of_trainings(metric, gap(*ways, found)) for metric, ways in MAP_GAPS.items()),
        _of_trainings("unfolded_map_over_permutation_again", gap(COSINE_MAP, PERMUTED_MAP, found[1:])),
    ]


def _of_trainings(metric: str, values: Sequence[Tensor]) -> Metric:
    """The mean over the texts [texts] of the first training, with the means of all."""
    each = [own.tolist() for own in values]
    return mean_of(metric, each[0], [nan_mean(own) for own in each]) if each else missing(metric)
