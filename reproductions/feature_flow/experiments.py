"""The paper's first experiments put together: who is matched with whom, what becomes of latents when others go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from reproductions.common.autoencoders import load_sae, shipped_sites
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model
from reproductions.feature_flow import graphs
from reproductions.feature_flow.deactivation import (
    FACTORS,
    Interventions,
    Outcome,
    Rerun,
    ceiling,
    control,
    everything,
    outcomes,
    removal,
    sweep,
)
from reproductions.feature_flow.groups import (
    Cases,
    Sample,
    active_cases,
    random_predecessors,
    sampled_targets,
)
from reproductions.feature_flow.method import (
    MODULES,
    Place,
    Predecessors,
    directions,
    hungarian,
    pearson_matches,
    predecessors,
    random_of,
    random_permutation,
    top_matches,
    typical_activations,
)
from reproductions.feature_flow.named import Named
from reproductions.feature_flow.readings import ALL, Readings
from reproductions.feature_flow.taxonomy import RATE, Null, Thresholds, classify
from reproductions.feature_flow.transitions import (
    BACKWARD_MAP,
    COSINE_MAP,
    PEARSON_MAP,
    PERMUTED_MAP,
    RANDOM_MAP,
    SHUFFLED_MAP,
    Predictor,
    TransitionMap,
    Values,
    explained,
)
from reproductions.feature_flow.windows import Window, WindowError, shipped_layers

ALIKE = 20  # latents next to each other, in the order of firing rates, among which scores are exchanged
K = 5  # matches that are kept: the paper removes up to five
SINGLE = [module.bit for module in MODULES]  # groups of one predecessor


# Matching


@dataclass(frozen=True, eq=False)
class Matched:
    """A window, and where the latents of its R_L come from: by cosine, and one to one."""

    window: Window
    cosine: Predecessors  # K each
    null: Null
    thresholds: Thresholds

    @classmethod
    def of(cls, window: Window, rate: float = RATE, seed: int = 0) -> Matched:
        """Match without data."""
        null = Null.of(window.targets, window.sources, seed=seed)
        return cls(window, predecessors(window.targets, window.sources, K), null, null.thresholds(rate))

    @cached_property
    def permuted(self) -> Predecessors:
        """Matches one to one."""
        return Predecessors(*(hungarian(self.window.targets, rows) for rows in self.window.sources))

    @property
    def scores(self) -> dict[Place, Tensor]:
        """s^(P) of each latent of R_L, by module: [n]."""
        return {module: self.cosine[module].best.cpu() for module in MODULES}

    @property
    def states(self) -> Tensor:
        """Translated, processed, newborn or unexplained: [n], as an index into `STATES`."""
        return classify(self.cosine, self.thresholds).cpu()

    @property
    def graph(self) -> graphs.Window:
        """The edges above the thresholds."""
        residual, mlp, attention, after = self.window.sites
        step = graphs.Step(residual, attention, mlp, after, self.cosine.first(), self.thresholds)
        return graphs.Window((step,))


def chosen_layers(model: str, wanted: Sequence[int]) -> list[int]:
    """The layers to trace, in rising order.

    Raises:
        WindowError: no autoencoders come with this project for one of them.
    """
    there = shipped_layers(model)
    if not wanted or not set(wanted) <= set(there):
        has = f"windows around layers {', '.join(map(str, there))}" if there else "no autoencoders"
        raise WindowError(f"for {model} this project has {has}: choose `windows` from those, or another model")
    return sorted(set(wanted))


def exchanged(scores: Mapping[Place, Tensor], rates: Tensor, seed: int = 0) -> dict[Place, Tensor]:
    """A control: every latent [n] has the scores of another that fires about as often."""
    generator = torch.Generator().manual_seed(seed)
    order = rates.argsort(stable=True)
    shuffled = (torch.arange(len(order)) // ALIKE + torch.rand(len(order), generator=generator)).argsort()
    source = torch.empty_like(order).scatter_(0, order, order[shuffled])
    return {module: own[source] for module, own in scores.items()}


# Transition maps


def trained_again(model: str, matched: Sequence[Matched], device: str = "cpu") -> tuple[Matched, list[Dictionary]]:
    """A window whose R_L has a second autoencoder, and that with it; the first window and nothing if none has."""
    for each in matched:
        site = each.window.after.site
        if (site, 1) in shipped_sites(model):
            return each, [Dictionary(site, load_sae(model, site, seed=1, device=device))]
    return matched[0], []


def pairs_of_values(window: Window, samples: Sequence[Sample]) -> Values:
    """R_{L-1} and R_L of all texts at the tokens that are outliers at neither; position 0 is left out."""
    a, b = (torch.cat([getattr(each, side)[:, 1:] for each in samples]) for side in ("before", "after"))
    kept = window.residual.ordinary(a) & window.after.ordinary(b)
    return Values(a[kept], b[kept], kept.nonzero()[:, 0].cpu())


def transitions(before: Dictionary, after: Dictionary, values: Values, seed: int = 0) -> dict[Predictor, Tensor]:
    """What binary maps from one residual stream's latents to the next one's explain of each text [texts] (appendix F).

    Folding and correlations are learnt from every third text, which is not among those that are explained.
    """
    learnt, tested = values.divided()
    a, b = directions(before.directions), directions(after.directions)
    codes = before.codes(learnt.a), after.codes(learnt.b)
    generator = torch.Generator().manual_seed(seed)
    cosine, drawn = top_matches(a, b), random_permutation(a, b, generator)
    matches = {
        COSINE_MAP: cosine,
        PERMUTED_MAP: hungarian(a, b),
        PEARSON_MAP: pearson_matches([codes]),
        RANDOM_MAP: drawn,
        SHUFFLED_MAP: replace(cosine, indices=torch.randperm(len(b), generator=generator)[cosine.indices.cpu()]),
    }
    unfolded = {each: TransitionMap.forward(found) for each, found in matches.items()}
    unfolded[BACKWARD_MAP] = TransitionMap.backward(top_matches(b, a))
    typical = [typical_activations([found]) for found in codes]
    folded = {each: transition.folded(*typical) for each, transition in unfolded.items()}
    plain = {each.unfolded: unfolded[each] for each in (COSINE_MAP, PERMUTED_MAP)}
    return explained(folded | plain, before.sae, after.sae, tested)


# Experiment 1: groups


@dataclass(frozen=True, eq=False)
class Part:
    """One window on the texts that a seed drew; no other seed drew any of them."""

    seed: int
    n_texts: int

    def mean(self, cases: Cases, values: Tensor, where: Tensor | None = None) -> Tensor:
        """The mean over each text's cases [n_texts] of values [c], where they are to count and are not NaN.

        NaN for a text without any.
        """
        kept = ~values.isnan() if where is None else where & ~values.isnan()
        text = cases.text[kept]
        sums = torch.zeros(self.n_texts, dtype=torch.float64).index_add_(0, text, values[kept].double())
        return sums / torch.bincount(text, minlength=self.n_texts)


@dataclass(frozen=True, eq=False)
class Trial(Part):
    """What was found in it: which latents were active, and whether their predecessors were."""

    matched: Matched
    found: Sample
    cases: Cases  # grouped by cosine matches
    at_random: Cases  # the same latents, grouped by random matches


def trials(
    matched: Sequence[Matched], readings: Sequence[Readings], samples: Sequence[Sample], seed: int
) -> list[Trial]:
    """One a window, at the same tokens."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for each, read, drawn in zip(matched, readings, samples, strict=True):
        rates = [read.rates(module.site) for module in each.window.modules]
        strangers = random_predecessors(each.cosine, rates, generator)
        groups = active_cases(drawn, each.cosine.first()), active_cases(drawn, strangers)
        found.append(Trial(seed, len(drawn.texts.tokens), each, drawn, *groups))
    return found


# Experiment 2: deactivation


@dataclass(frozen=True)
class Method(Named):
    """A way to choose what is removed."""

    def alone(self, module: Place) -> Method:
        """The same where only what it chooses in one module is removed."""
        return Method(f"{self.key}_{module.key}", f"{self.label}, {module.label} alone")


TOP_1 = Method("top1", "top-1 cosine")
TOP_5 = Method("top5", "top-5 cosine")
ONE_OF_5 = Method("one_of_5", "random of 5")
PERMUTED = Method("permutation", "permutation")
PEARSON = Method("pearson", "Pearson")
RANDOM = Method("random", "random latent")  # the control
BEST = Method("best", "best of all")  # chosen after the fact
METHODS = (TOP_1, TOP_5, ONE_OF_5, PERMUTED, PEARSON, RANDOM, BEST)
EVERYTHING = Method("everything", "everything")


@dataclass(frozen=True, eq=False)
class Removed(Part):
    """What came of removals, by method.

    Beside the methods' own: those of `method.alone(module)`, where a method removes from several modules; and at fewer
    tokens, `BEST`, the exhaustive search for targets of one predecessor, and `EVERYTHING`.
    """

    cases: Cases  # [n]
    outcomes: Mapping[Method, Outcome]


def remove(model: Model, trial: Trial, readings: Readings, per_token: int, exhaustive: int) -> Removed:
    """Remove predecessors by every method, of up to so many latents a token; search at up to so many tokens."""
    generator = torch.Generator().manual_seed(trial.seed)
    cases = sampled_targets(trial.cases, per_token, generator)
    methods = removals(trial, cases, readings, generator)
    for method in (TOP_1, RANDOM):
        combined = methods[method].where(methods[method].modules > 1)
        methods |= {method.alone(module): combined.only(module) for module in MODULES}
    rerun = Rerun(model, trial.matched.window, trial.found)
    found = outcomes(rerun, methods) | _searched(rerun, cases, exhaustive, generator)
    return Removed(trial.seed, trial.n_texts, cases, found)


def _searched(rerun: Rerun, cases: Cases, tokens: int, generator: torch.Generator) -> dict[Method, Outcome]:
    """The best of all active latents, for targets of one predecessor, and everything at once, at some tokens."""
    there = cases.token.unique()
    few = torch.isin(cases.token, there[torch.randperm(len(there), generator=generator)[:tokens]]).nonzero()[:, 0]
    single = few[torch.isin(cases.group[few], torch.tensor(SINGLE))]
    best = ceiling(rerun, cases.select(single))
    whole = outcomes(rerun, {EVERYTHING: everything(rerun.found, cases.select(few))})[EVERYTHING]
    return {BEST: best.spread(single, len(cases)), EVERYTHING: whole.spread(few, len(cases))}


def removals(trial: Trial, cases: Cases, readings: Readings, generator: torch.Generator) -> dict[Method, Interventions]:
    """The interventions of each method."""
    found, cosine = trial.found, trial.matched.cosine
    drawn = Predecessors(*(random_of(matches, generator) for matches in cosine))
    methods = {
        TOP_1: removal(found, cases, cosine.first()),
        TOP_5: removal(found, cases, cosine),
        ONE_OF_5: removal(found, cases, drawn),
        PERMUTED: removal(found, cases, trial.matched.permuted),
        PEARSON: removal(found, cases, readings.correlated[ALL]),
    }
    return methods | {RANDOM: control(found, methods[TOP_1], generator)}


def rescaled(
    model: Model, trial: Trial, cases: Cases, most: int, factors: Sequence[float] = FACTORS
) -> dict[float, Tensor]:
    """z_new / z_old of up to so many cases with one predecessor or more, for each factor that multiplies those."""
    own = removal(trial.found, cases, trial.matched.cosine.first())
    chosen = own.any.nonzero()[:, 0][:most]
    return sweep(Rerun(model, trial.matched.window, trial.found), own.select(chosen), factors)
