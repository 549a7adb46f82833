"""From matches and removals to the numbers that `claims.yml` declares.

What intervals resample: latents where only weights are compared, texts where latents are seen in them. Values by seed
are of the texts that each seed draws. What steering does is in `steering_findings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reproductions.common.claims import Interval, Metric
from reproductions.common.stats import bootstrap_means, mean_interval, nan_mean
from reproductions.feature_flow.deactivation import Losses, by_text
from reproductions.feature_flow.experiments import (
    BACKWARD_MAP,
    COSINE_MAP,
    FOLDED,
    ONE_OF_5,
    PEARSON,
    PEARSON_MAP,
    PERMUTED,
    PERMUTED_MAP,
    RANDOM,
    RANDOM_MAP,
    SINGLE,
    SLUGS,
    TOP_1,
    Matched,
    Removed,
    Trial,
    alone,
)
from reproductions.feature_flow.groups import (
    ATT,
    GROUPS,
    LEAST,
    MLP,
    RES,
    Cases,
    changing,
    differences,
)
from reproductions.feature_flow.matching import MODULES
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.taxonomy import NEWBORN, STATES, UNEXPLAINED, SeedLevel, classify
from reproductions.feature_flow.transitions import OWN, Explained

BITS = dict(zip(MODULES, (RES, MLP, ATT), strict=True))
NEW = (MLP, ATT, MLP | ATT)  # groups without a residual predecessor
CARRIED = (RES,)
DRAWS = 500  # of the bootstrap of areas under curves
SIGNIFICANT = 1e-3
PROSE, TECHNICAL = "prose", "technical"
NOTHING: Interval = (math.nan, math.nan)

Groups = Sequence[Sequence[float]]  # independent values, of each seed


# Intervals


def over(metric: str, by_seed: Groups, n: int | None = None) -> Metric:
    """The mean of independent values, its bootstrap interval, and the mean of each seed; NaNs are left out."""
    values = [value for own in by_seed for value in own]
    known = sum(not math.isnan(value) for value in values)
    per_seed = tuple(map(nan_mean, by_seed)) if len(by_seed) > 1 else ()
    return Metric(metric, nan_mean(values), known if n is None else n, per_seed, mean_interval(values))


def between(metric: str, a: Groups, b: Groups) -> Metric:
    """mean(a) - mean(b) of different units, resampled apart; without any of either n is 0."""
    first, second = (_known(value for own in side for value in own) for side in (a, b))
    if min(len(first), len(second)) < 2:
        return Metric(metric, math.nan, 0, (), NOTHING)
    gaps = bootstrap_means(first, 0) - bootstrap_means(second, 1)
    low, high = np.quantile(gaps, [0.025, 0.975])
    per_seed = tuple(nan_mean(x) - nan_mean(y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) > 1 else ()
    value = nan_mean(first) - nan_mean(second)
    return Metric(metric, value, len(first) + len(second), per_seed, (float(low), float(high)))


def absolute(metric: Metric) -> Metric:
    """How far a number is from 0: for claims that two things are alike."""
    low, high = metric.interval or NOTHING
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    interval = (nearest, max(abs(low), abs(high))) if metric.interval else None
    return Metric(metric.name, abs(metric.value), metric.n, tuple(map(abs, metric.per_seed)), interval)


def missing(*metrics: str) -> list[Metric]:
    """Numbers of what this run has not got."""
    return [Metric(metric, math.nan, 0, (), NOTHING) for metric in metrics]


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


# Matching: claims C5 and what the taxonomy says


def taxonomy_metrics(matched: Sequence[Matched]) -> list[Metric]:
    """The share of latents in each state, of all windows together, and of those that any source explains by chance."""
    states = torch.cat([each.states for each in matched])
    null = torch.cat([classify(drawn, each.thresholds) for each in matched for drawn in each.null.drawn])
    found = [_share(f"share_{word}", states == number) for number, word in enumerate(STATES)]
    return [
        *found,
        _share("share_explained", states != UNEXPLAINED),
        _share("share_explained_null", null != UNEXPLAINED),
        *depth_metrics(matched),
    ]


def depth_metrics(matched: Sequence[Matched]) -> list[Metric]:
    """Claim C5 without data: newborn latents of the lowest window less those of the highest, and by chance."""
    names = ("newborn_early_over_late", "newborn_early_over_late_null")
    if len(matched) < 2:
        return missing(*names)
    ends = matched[0], matched[-1]
    true = [[(each.states == NEWBORN).double().tolist()] for each in ends]
    null = [[(classify(each.null.drawn[0], each.thresholds) == NEWBORN).double().tolist()] for each in ends]
    return [between(names[0], *true), between(names[1], *null)]


def seed_metrics(level: SeedLevel | None, n: int) -> list[Metric]:
    """How many latents a second training of the same site finds again: the most a layer can be expected to carry."""
    return missing("found_by_second_seed") if level is None else [Metric("found_by_second_seed", level.found, n)]


def _share(metric: str, which: Tensor) -> Metric:
    return over(metric, [which.double().tolist()])


# Experiment 1: claims C1, C5 and C10


def group_metrics(trials: Sequence[Trial], readings: Mapping[Matched, Readings]) -> list[Metric]:
    """Do scores tell groups apart, and how many active latents have an active predecessor?

    A latent that fires often also has more of its predecessors active. Scores must therefore tell more than those of
    another latent that fires about as often; and predecessors be active more often than random matches.
    """
    strange = {matched: matched.exchanged(read.rates(matched.window.after.site)) for matched, read in readings.items()}
    others = [replace(trial, matched=strange[trial.matched]) for trial in trials]
    same = changing(_pooled([trial for trial in trials if trial.matched is trials[0].matched], _own))
    return [
        _separation("separation", trials),
        _separation("separation_exchanged", others),
        *(_separation(f"separation_{module}", trials, (module,)) for module in MODULES),
        _tests("tests_significant", trials),
        _tests("tests_significant_exchanged", others),
        over("active_predecessor", by_seed(trials, partial(explained_cases, _own))),
        over("active_predecessor_random", by_seed(trials, partial(explained_cases, _strange))),
        Metric("changing_groups", same.same_latent, same.n),
        Metric("changing_groups_any", same.any_latents, same.n),
    ]


def _own(trial: Trial) -> Cases:
    return trial.cases


def _strange(trial: Trial) -> Cases:
    return trial.at_random


CasesOf = Callable[[Trial], Cases]
Values = tuple[Cases, Tensor]  # of each case


def explained_cases(cases_of: CasesOf, trial: Trial) -> Values:
    """1 where any predecessor was active."""
    return in_groups(cases_of, range(1, len(GROUPS)), trial)


def in_groups(cases_of: CasesOf, groups: Sequence[int], trial: Trial) -> Values:
    """1 where the group is one of these."""
    cases = cases_of(trial)
    return cases, torch.isin(cases.group, torch.tensor(groups)).double()


def by_seed(trials: Sequence[Trial], values: Callable[[Trial], Values]) -> list[list[float]]:
    """The mean of each text, for each seed; the windows' texts count apart."""
    seeds = dict.fromkeys(trial.seed for trial in trials)
    return [
        [value for trial in trials if trial.seed == seed for value in by_text(trial.found, *values(trial))]
        for seed in seeds
    ]


def _pooled(trials: Sequence[Trial], cases_of: CasesOf) -> Cases:
    """The cases of several texts; which token each was at is lost."""
    parts = [cases_of(trial) for trial in trials]
    return Cases(*(torch.cat([getattr(part, field) for part in parts]) for field in ("token", "target", "group")))


def _separation(metric: str, trials: Sequence[Trial], modules: Sequence[str] = MODULES) -> Metric:
    """How probably a latent whose predecessor in a module is active has a higher score there than one without.

    The mean over the modules, the windows, and the pairs of groups that differ in this module alone; latents are
    resampled.
    """
    seeds = dict.fromkeys(trial.seed for trial in trials)
    per_seed = [_areas([trial for trial in trials if trial.seed == seed], modules, draws=0)[0].item() for seed in seeds]
    areas = _areas(trials, modules, draws=DRAWS)
    low, high = areas[1:].nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    n = sum(len(trial.cases.target.unique()) for trial in trials)
    return Metric(metric, areas[0].item(), n, tuple(per_seed) if len(seeds) > 1 else (), (low, high))


def _areas(trials: Sequence[Trial], modules: Sequence[str], draws: int) -> Tensor:
    """Areas under the curve: that of all latents, and those of resampled ones, [1 + draws]."""
    found: list[Tensor] = []
    for matched in dict.fromkeys(trial.matched for trial in trials):
        cases = _pooled([trial for trial in trials if trial.matched is matched], _own)
        n = matched.window.after.n
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(n, (draws, n), generator=generator)
        weights = torch.cat([torch.ones(1, n), torch.zeros(draws, n).scatter_add_(1, drawn, torch.ones(draws, n))])
        seen = torch.zeros(n, len(GROUPS), dtype=torch.bool)
        seen[cases.target, cases.group] = True
        for module in modules:
            found += _pairs(getattr(matched.cosine, module).best.cpu(), seen, BITS[module], weights.double())
    return torch.stack(found).nanmean(0) if found else torch.full((1 + draws,), torch.nan, dtype=torch.float64)


def _pairs(scores: Tensor, seen: Tensor, bit: int, weights: Tensor) -> Iterator[Tensor]:
    """The area [draws] for each pair of groups that differ in one module and have latents enough."""
    order = scores.argsort()
    for group in range(len(GROUPS)):
        with_it, without = seen[order, group | bit], seen[order, group & ~bit]
        if group & bit and min(int(with_it.sum()), int(without.sum())) >= LEAST:
            high, low = weights[:, order] * with_it, weights[:, order] * without
            below = low.cumsum(1) - low / 2
            yield (high * below).sum(1) / (high.sum(1) * low.sum(1))


def _tests(metric: str, trials: Sequence[Trial]) -> Metric:
    """The share of Mann-Whitney tests with p < .001: per pair of groups, score, kind of text and window."""
    p = []
    for matched in dict.fromkeys(trial.matched for trial in trials):
        own = [trial for trial in trials if trial.matched is matched]
        for kind in dict.fromkeys(own[0].found.texts.kinds):
            cases = _pooled(own, partial(of_kind, kind))
            p += [test.p for test in differences(cases, matched.cosine)]
    return Metric(metric, sum(value < SIGNIFICANT for value in p) / len(p) if p else math.nan, len(p))


def of_kind(kind: str, trial: Trial) -> Cases:
    """The cases at tokens from a kind of text."""
    return trial.cases.select(trial.found.of_kind(kind)[trial.cases.token])


def layer_metrics(trials: Sequence[Trial]) -> list[Metric]:
    """Claim C5 on text: groups without a residual predecessor, and those of one alone, low in the model and high."""
    names = ("new_early_over_late", "carried_late_over_early")
    windows = sorted({trial.matched for trial in trials}, key=lambda matched: matched.window.layer)
    if len(windows) < 2:
        return missing(*(f"{metric}{suffix}" for metric in names for suffix in ("", "_random")))
    early, late = ([trial for trial in trials if trial.matched is end] for end in (windows[0], windows[-1]))
    found = []
    for suffix, of in (("", _own), ("_random", _strange)):
        new = [by_seed(end, partial(in_groups, of, NEW)) for end in (early, late)]
        carried = [by_seed(end, partial(in_groups, of, CARRIED)) for end in (late, early)]
        found += [between(names[0] + suffix, *new), between(names[1] + suffix, *carried)]
    return found


def robustness_metrics(trials: Sequence[Trial], readings: Mapping[Matched, Readings]) -> list[Metric]:
    """Claim C10: how much more correlations lose than cosines when they were learnt from prose and face technical text.

    The share of active latents with an active predecessor, correlations less cosines, on prose less on technical text.
    The control has correlations from technical text, for which that is no other kind.
    """
    found = []
    for metric, learnt in (("pearson_loses_off_prose", PROSE), ("pearson_loses_off_prose_control", TECHNICAL)):
        sides = [by_seed(trials, partial(_gain, readings, learnt, kind)) for kind in (PROSE, TECHNICAL)]
        found.append(between(metric, *sides))
    return found


def _gain(readings: Mapping[Matched, Readings], learnt: str, kind: str, trial: Trial) -> Values:
    """Correlations less cosines: 1, 0 or -1 for each case on a kind of text."""
    grouped = trial.grouped_by(readings[trial.matched].correlated[learnt])
    gain = (grouped.group > 0).double() - (trial.cases.group > 0).double()
    inside = trial.found.of_kind(kind)[grouped.token]
    return grouped.select(inside), gain[inside]


# Experiment 2: claims C2, C3, C4 and C6


def removal_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """For every method the share of targets that it puts out and how far they fall, where a predecessor was active."""
    found = []
    for method, slug in SLUGS.items():
        found += [
            over(f"deactivated_{slug}", _texts(removed, partial(_field, method, "deactivated"))),
            over(f"change_{slug}", _texts(removed, partial(_field, method, "change"))),
            over(f"coverage_{slug}", _texts(removed, partial(_field, method, "done"))),
        ]
    return found


def _field(method: str, field: str, removed: Removed) -> Tensor:
    found: Tensor = getattr(removed.of(method), field)
    return found.float()


def _texts(removed: Sequence[Removed], values: Callable[[Removed], Tensor]) -> list[list[float]]:
    """The mean of each text, for each seed, of values of every case."""
    seeds = dict.fromkeys(each.trial.seed for each in removed)
    return [
        [
            value
            for each in removed
            if each.trial.seed == seed
            for value in by_text(each.trial.found, each.cases, values(each))
        ]
        for seed in seeds
    ]


def rival_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Differences between methods on targets for which both had something to remove."""

    def gap(metric: str, one: str, other: str) -> Metric:
        return over(metric, _texts(removed, lambda r: r.of(one).deactivated - r.of(other).deactivated))

    return [
        gap("top1_over_random", TOP_1, RANDOM),
        gap("top1_over_one_of_5", TOP_1, ONE_OF_5),
        gap("random_over_one_of_5", RANDOM, ONE_OF_5),
        gap("top1_over_permutation", TOP_1, PERMUTED),
        gap("random_over_permutation", RANDOM, PERMUTED),
        absolute(gap("top1_from_pearson", TOP_1, PEARSON)),
        absolute(gap("top1_from_random", TOP_1, RANDOM)),
    ]


def ceiling_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Claim C4: the best of all active latents, alone the matched one, and a random one, on the same targets."""

    def over_best(metric: str, method: str) -> Metric:
        return over(metric, _texts(removed, lambda r: _best(r, "deactivated") - r.of(method).deactivated))

    return [
        over("ceiling_deactivated", _texts(removed, lambda r: _best(r, "deactivated"))),
        over("ceiling_change", _texts(removed, lambda r: _best(r, "change"))),
        over_best("ceiling_over_top1", TOP_1),
        over_best("ceiling_over_random", RANDOM),
    ]


def _best(removed: Removed, field: str) -> Tensor:
    """What came of the exhaustive search [n], NaN for targets that it was not made for."""
    found = torch.full((len(removed.cases),), torch.nan)
    found[removed.single] = getattr(removed.ceiling.outcome, field)
    return found


def circuit_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Claim C6: is more than one predecessor needed where more than one is active? And with random latents?"""
    found = []
    for suffix, method in (("", TOP_1), ("_random", RANDOM)):
        found.append(over(f"all_over_one{suffix}", _texts(removed, partial(_all_over_one, method))))
        sides = [_texts(removed, partial(_residual_alone, method, combined)) for combined in (False, True)]
        found.append(between(f"alone_over_combined{suffix}", *sides))
    return found


def _all_over_one(method: str, removed: Removed) -> Tensor:
    """All predecessors removed less the one of them that does most by itself, where there are several: [n]."""
    single = [removed.of(alone(method, module)).deactivated for module in MODULES]
    most = torch.stack(single).nan_to_num(-1).amax(0)
    gap = removed.of(method).deactivated - most
    return gap.masked_fill(~_combined(removed.cases), torch.nan)


def _residual_alone(method: str, combined: bool, removed: Removed) -> Tensor:
    """Whether removing the residual predecessor alone was enough, where it is the only one, or one of several: [n]."""
    group = removed.cases.group
    chosen = (group & RES > 0) & _combined(removed.cases) if combined else group == RES
    return removed.of(alone(method, MODULES[0])).deactivated.masked_fill(~chosen, torch.nan)


def _combined(cases: Cases) -> Tensor:
    return ~torch.isin(cases.group, torch.tensor([0, *SINGLE]))


def loss_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """How much the next token's loss rises, relative to what it was."""
    found = []
    for metric, method in (("loss_change_top1", TOP_1), ("loss_change_random", RANDOM)):
        parts = [each.losses[method] for each in removed]
        joined = Losses(torch.cat([each.clean for each in parts]), torch.cat([each.edited for each in parts]))
        known = ~joined.clean.isnan()
        change = Losses(joined.clean[known], joined.edited[known]).relative_change if known.any() else math.nan
        found.append(Metric(metric, change, int(known.sum())))
    return found


# Transition maps: claim C7


def transition_metrics(found: Sequence[Mapping[str, Explained]]) -> list[Metric]:
    """Variance explained by maps, one entry for each training of R_L's autoencoder.

    The interval of a difference between maps is as wide, on both sides, as another training moves the folded cosine
    map's own value: a gap within that is seed noise.
    """
    names = {
        "own_code": OWN,
        "cosine": COSINE_MAP + FOLDED,
        "cosine_unfolded": COSINE_MAP,
        "cosine_backward": BACKWARD_MAP + FOLDED,
        "permutation": PERMUTED_MAP + FOLDED,
        "permutation_unfolded": PERMUTED_MAP,
        "pearson": PEARSON_MAP + FOLDED,
        "random_permutation": RANDOM_MAP + FOLDED,
        "random_permutation_unfolded": RANDOM_MAP,
    }
    values = {slug: [each[way].activations for each in found] for slug, way in names.items()}
    spread = max(values["cosine"]) - min(values["cosine"])
    noise = spread if len(found) > 1 else math.nan

    def gap(one: str, other: str) -> list[float]:
        return [a - b for a, b in zip(values[one], values[other], strict=True)]

    return [
        *(Metric(f"explained_{slug}", nan_mean(own), len(own), tuple(own)) for slug, own in values.items()),
        Metric("explained_seed_noise", noise, len(found)),
        _beside_noise("cosine_map_over_permutation", gap("cosine", "permutation"), noise),
        _beside_noise("backward_map_over_permutation", gap("cosine_backward", "permutation"), noise),
        _beside_noise("random_map_over_permutation", gap("random_permutation", "permutation"), noise),
        _beside_noise("unfolded_map_over_permutation", gap("cosine_unfolded", "permutation_unfolded"), noise),
        _beside_noise(
            "unfolded_random_over_permutation", gap("random_permutation_unfolded", "permutation_unfolded"), noise
        ),
    ]


def _beside_noise(metric: str, gaps: Sequence[float], noise: float) -> Metric:
    mean = nan_mean(gaps)
    return Metric(metric, mean, len(gaps), tuple(gaps), (mean - noise, mean + noise))
