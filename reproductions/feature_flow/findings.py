"""From matches and removals to the numbers that `reproduction.yml` declares.

The unit is the text: what a text says is the mean over its cases in each window, and then over the windows. No text is
drawn twice. What steering does is in `steering_findings`, where the unit is the theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, difference_of, mean_of, missing, share_of
from reproductions.common.stats import nan_mean
from reproductions.feature_flow.deactivation import CHANGE, DEACTIVATED
from reproductions.feature_flow.experiments import (
    BEST,
    EVERYTHING,
    METHODS,
    ONE_OF_5,
    PEARSON,
    PERMUTED,
    RANDOM,
    TOP_1,
    Matched,
    Method,
    Part,
    Removed,
    Trial,
    exchanged,
)
from reproductions.feature_flow.groups import GROUPS, PROSE, TECHNICAL, Cases, active_cases
from reproductions.feature_flow.method import ATTENTION, MLP, MODULES, RESIDUAL, Place, Predecessors
from reproductions.feature_flow.named import Measure
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.taxonomy import STATES, UNEXPLAINED, SeedLevel, classify
from reproductions.feature_flow.transitions import (
    BACKWARD_MAP,
    COSINE_MAP,
    OWN,
    PERMUTED_MAP,
    PREDICTORS,
    RANDOM_MAP,
    SHUFFLED_MAP,
    Predictor,
)

WITH_MLP = (MLP.bit, MLP.bit | ATTENTION.bit)  # groups with a predecessor in the MLP, but none in the residual stream
NEW = (*WITH_MLP, ATTENTION.bit)  # groups without a residual predecessor

# Means over texts


def over_texts(metric: str, parts: Sequence[Part], means: Sequence[Tensor]) -> Metric:
    """The mean over texts of what each part says of its own, [n_texts] each; windows are averaged text by text."""
    by_seed: dict[int, list[Tensor]] = {}
    for part, own in zip(parts, means, strict=True):
        by_seed.setdefault(part.seed, []).append(own)
    units = [torch.stack(windows).nanmean(0).tolist() for windows in by_seed.values()]
    shown = [nan_mean(own) for own in units if len(units) > 1]
    return mean_of(metric, [value for own in units for value in own], shown)


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
    nearest = [_explained(trial, trial.cases) for trial in trials]
    random = [_explained(trial, trial.at_random) for trial in trials]
    return [
        separation("separation", trials, own),
        separation("separation_exchanged", trials, strange),
        separation("separation_known", trials, known),
        *(separation(f"separation_{module.key}", trials, own, [module]) for module in MODULES),
        separation("separation_mlp_alone", trials, own, [ATTENTION], WITH_MLP),
        separation("separation_mlp_alone_exchanged", trials, strange, [ATTENTION], WITH_MLP),
        over_texts("active_predecessor", trials, nearest),
        over_texts("active_predecessor_random", trials, random),
        over_texts("active_predecessor_over_random", trials, [a - b for a, b in zip(nearest, random, strict=True)]),
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
    areas = ([_areas(trial, scores[trial.matched][m], m.bit, groups) for m in modules] for trial in trials)
    return over_texts(metric, trials, [torch.stack(by_module).nanmean(0) for by_module in areas])


def _areas(trial: Trial, scores: Tensor, bit: int, groups: Sequence[int]) -> Tensor:
    """One module's area under the curve of each text [n_texts]; a latent counts once in each group it was seen in."""
    seen = torch.stack([trial.cases.target, trial.cases.group])
    found = (seen[:, trial.cases.text == number].unique(dim=1) for number in range(trial.n_texts))
    return torch.tensor([_area(scores[target], group, bit, groups) for target, group in found], dtype=torch.float64)


def _area(scores: Tensor, group: Tensor, bit: int, groups: Sequence[int]) -> float:
    """The share of pairs in which the latent with the bit scores higher, a tie counting half; NaN without a pair."""
    counted = torch.isin(group, torch.tensor(groups))
    high, low = (counted & (group & bit == wanted) for wanted in (bit, 0))
    paired = group[high, None] == group[low] | bit
    above = (scores[high, None] - scores[low]).sign() / 2 + 0.5
    return (above * paired).sum().item() / n if (n := int(paired.sum())) else torch.nan


def _explained(trial: Trial, cases: Cases) -> Tensor:
    """The share of active latents with any active predecessor, of each text."""
    return trial.mean(cases, (cases.group > 0).double())


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
        prose, technical = (
            over_texts(metric, trials, [_gain(t, readings[t.matched].correlated[learnt], kind) for t in trials])
            for kind in (PROSE, TECHNICAL)
        )
        gaps = [a - b for a, b in zip(prose.per_seed, technical.per_seed, strict=True)]
        found.append(difference_of(metric, prose.units, technical.units, gaps))
    return found


def _gain(trial: Trial, correlated: Predecessors, kind: str) -> Tensor:
    """Correlations less cosines, in the share of latents that they explain, of the texts of a kind."""
    grouped = active_cases(trial.found, correlated)
    gain = (grouped.group > 0).double() - (trial.cases.group > 0).double()
    return trial.mean(grouped, gain, trial.found.of_kind(kind)[grouped.token])


# Experiment 2: claims C2, C3, C4 and C6

RIVALS = (  # each less the other
    (TOP_1, RANDOM),
    (TOP_1, ONE_OF_5),
    (RANDOM, ONE_OF_5),
    (TOP_1, PERMUTED),
    (RANDOM, PERMUTED),
    (TOP_1, PEARSON),
    (BEST, TOP_1),
    (BEST, RANDOM),
)


def removal_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """For every method the share of targets that it puts out, and how far they fall.

    Of targets for which the method has something to remove in one module and in no other, as in the paper's table 1.
    """
    found = [
        over_texts(f"{measure.key}_{method.key}", removed, [_single(part, measure, method) for part in removed])
        for method in METHODS
        for measure in (DEACTIVATED, CHANGE)
    ]
    whole = [part.mean(part.cases, part.outcomes[EVERYTHING].deactivated) for part in removed]
    return [*found, over_texts("deactivated_everything", removed, whole)]


def _single(part: Removed, measure: Measure, method: Method) -> Tensor:
    """What came of a method where it removes from one module, by text."""
    outcome = part.outcomes[method]
    return part.mean(part.cases, measure.of(outcome), outcome.modules == 1)


def rival_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Differences between methods on targets for which both have something to remove, in one module each."""
    changes = [_gap(part, CHANGE, BEST, TOP_1) for part in removed]
    return [
        over_texts(f"{one.key}_over_{other.key}", removed, [_gap(part, DEACTIVATED, one, other) for part in removed])
        for one, other in RIVALS
    ] + [over_texts("best_over_top1_change", removed, changes)]


def _gap(part: Removed, measure: Measure, one: Method, other: Method) -> Tensor:
    """One less another where both remove from one module, by text."""
    a, b = part.outcomes[one], part.outcomes[other]
    return part.mean(part.cases, measure.of(a) - measure.of(b), (a.modules == 1) & (b.modules == 1))


def circuit_metrics(removed: Sequence[Removed]) -> list[Metric]:
    """Claim C6: is more than one predecessor needed where more than one is active? And with random latents?"""
    found = []
    for method, suffix in ((TOP_1, ""), (RANDOM, "_random")):
        together = [_all_over_one(part, method) for part in removed]
        apart = [_alone_over_combined(part, method) for part in removed]
        found.append(over_texts(f"all_over_one{suffix}", removed, together))
        found.append(over_texts(f"alone_over_combined{suffix}", removed, apart))
    return found


def _all_over_one(part: Removed, method: Method) -> Tensor:
    """All predecessors removed less the one of them that does most by itself, where there are several, by text."""
    whole = part.outcomes[method]
    each = torch.stack([part.outcomes[method.alone(module)].deactivated for module in MODULES])
    return part.mean(part.cases, whole.deactivated - each.nan_to_num(-1).amax(0), whole.modules > 1)


def _alone_over_combined(part: Removed, method: Method) -> Tensor:
    """How often removing the residual predecessor is enough: where it is the only one less where it is not, by text."""
    only = part.mean(part.cases, part.outcomes[method].deactivated, part.cases.group == RESIDUAL.bit)
    return only - part.mean(part.cases, part.outcomes[method.alone(RESIDUAL)].deactivated)


# Transition maps: claim C7

MAP_GAPS = {  # what predicts, and less what
    "cosine_map_over_permutation": (COSINE_MAP, PERMUTED_MAP),
    "backward_map_over_permutation": (BACKWARD_MAP, PERMUTED_MAP),
    "unfolded_map_over_permutation": (COSINE_MAP.unfolded, PERMUTED_MAP.unfolded),
    "shuffled_map_over_random": (SHUFFLED_MAP, RANDOM_MAP),
    "own_code_over_permutation": (OWN, PERMUTED_MAP),
}


def transition_metrics(found: Sequence[Mapping[Predictor, Tensor]]) -> list[Metric]:
    """Variance explained, of each text; one entry for each training of R_L's autoencoder.

    Intervals are over the texts of the first training; the values of all trainings are shown.
    """
    shares = {f"explained_{each.key}": [maps[each] for maps in found] for each in PREDICTORS}
    gaps = {metric: [maps[one] - maps[other] for maps in found] for metric, (one, other) in MAP_GAPS.items()}
    again = {"unfolded_map_over_permutation_again": gaps["unfolded_map_over_permutation"][1:]}
    return [_of_trainings(metric, values) for metric, values in (shares | gaps | again).items()]


def _of_trainings(metric: str, values: Sequence[Tensor]) -> Metric:
    """The mean over the texts [texts] of the first training, with the means of all."""
    each = [own.tolist() for own in values]
    return mean_of(metric, each[0], [nan_mean(own) for own in each]) if each else missing(metric)
