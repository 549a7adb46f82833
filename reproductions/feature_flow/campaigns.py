"""Steering put together: the ways to amplify or suppress a theme that are compared, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model
from reproductions.common.steering import Divergence
from reproductions.feature_flow.effects import (
    PROMPTS,
    Baseline,
    ExpectedMass,
    Left,
    Scores,
    Steered,
    coherence,
    prompts_about,
    surprise,
    write,
)
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.named import Named
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.steering import (
    START,
    Flow,
    Steering,
    along,
    amplifier,
    at_layer,
    by_site,
    matched_strengths,
    random_graph,
    reached,
    repeated_seed,
    suppressor,
    up_to,
)
from reproductions.feature_flow.taxonomy import UNEXPLAINED
from reproductions.feature_flow.themes import Theme


@dataclass(frozen=True)
class Way(Named):
    """A way to amplify or suppress a theme."""


SEED = Way("seed", "seed alone")
ONE_LAYER = Way("one_layer", "graph, the seed's layer")
CUMULATIVE = Way("graph", "graph, all layers")
REPEATED = Way("repeated", "seed at all layers")
RANDOM_GRAPH = Way("random_graph", "random graph")
OTHER_GRAPH = Way("other_graph", "another theme's graph")
WAYS = (SEED, ONE_LAYER, CUMULATIVE, REPEATED, RANDOM_GRAPH)  # to amplify
AS_STRONG = (SEED, ONE_LAYER, CUMULATIVE, RANDOM_GRAPH)  # ways that are also compared at the same strength
WRITTEN = (SEED, ONE_LAYER, CUMULATIVE, RANDOM_GRAPH)  # ways under which texts are written
SUPPRESSED = (SEED, ONE_LAYER, CUMULATIVE, OTHER_GRAPH)
SMALL, STRONG = (0, -1), -16  # r of the paper's figure 10: the two that are nearest to 0, and one that is far from it


@dataclass(frozen=True, eq=False)
class Atlas:
    """All that steering needs to know of the windows, in the order of layers."""

    matched: Sequence[Matched]
    readings: Sequence[Readings]

    @property
    def dictionaries(self) -> dict[str, Dictionary]:
        """By site."""
        return {each.site: each for matched in self.matched for each in matched.window.dictionaries}

    @property
    def typical(self) -> dict[str, Tensor]:
        """How strongly latents are active when they are, by site."""
        return {site: read.typical(site) for read in self.readings for site in read.codes}

    def flow(self, theme: Theme) -> Flow:
        """The latents of a theme's graph, by site."""
        least = max(each.thresholds.residual for each in self.matched)
        return reached(theme.seed, [each.graph for each in self.matched], self.dictionaries, least)

    def seeds(self, rare: float = 1e-4, common: float = 0.05) -> list[Tensor]:
        """Which latents of each R_L may be a theme's seed: neither rare nor common, and with a predecessor."""
        found = []
        for each, read in zip(self.matched, self.readings, strict=True):
            rates = read.rates(each.window.after.site)
            found.append((rates > rare) & (rates < common) & (each.states.cpu() != UNEXPLAINED))
        return found


@dataclass(frozen=True, eq=False)
class Campaign:
    """Ways to amplify some themes, and how strong each must be: n = themes x ways, theme by theme."""

    themes: Sequence[Theme]
    ways: Sequence[Way]
    steerings: Sequence[Steering]
    strengths: Tensor  # [n, targets], s of h + s V; NaN where none reaches the target
    prompts: Sequence[str]

    def only(self, ways: Sequence[Way]) -> Campaign:
        """The same with some of the ways."""
        rows = [first + self.ways.index(way) for first in range(0, len(self.steerings), len(self.ways)) for way in ways]
        return replace(self, ways=ways, steerings=[self.steerings[row] for row in rows], strengths=self.strengths[rows])

    def as_strong_as(self, way: Way) -> Campaign:
        """All ways with the strength s that one of them has."""
        by_theme = self.strengths.view(len(self.themes), len(self.ways), -1)
        own = by_theme[:, [self.ways.index(way)]]
        return replace(self, strengths=own.expand_as(by_theme).reshape_as(self.strengths))

    def at(self, target: int) -> Steered:
        """All of them at one of the targets, as far as they reach it."""
        return Steered.kept(amplifier(self.steerings), self.strengths[:, target])

    def masses(self, model: Model) -> Tensor:
        """The expected mass of each theme's words [themes, ways, targets], as log2 of how many times it has grown."""
        mass = ExpectedMass(model, self.prompts)
        clean = mass(self.themes)[0]
        found = torch.full((*self.strengths.shape, len(self.themes)), torch.nan)
        for target in range(self.strengths.shape[1]):
            steered = self.at(target)
            found[list(steered.chosen), target] = mass(self.themes, steered)
        by_theme = found.view(len(self.themes), len(self.ways), -1, len(self.themes))
        own = by_theme[torch.arange(len(self.themes)), ..., torch.arange(len(self.themes))]
        return (own / clean[:, None, None]).log2()


Ways = Mapping[Way, Sequence[Steering]]  # what each way adds, theme by theme


def campaign(themes: Sequence[Theme], ways: Ways, strengths: Tensor, prompts: Sequence[str] = PROMPTS) -> Campaign:
    """The ways to amplify each theme, with their strengths."""
    return Campaign(themes, list(ways), _in_turn(ways), strengths, prompts)


def strengths_at(model: Model, ways: Ways, targets: Sequence[float], prompts: Sequence[str] = PROMPTS) -> Tensor:
    """The strengths [n, targets] at which every way to amplify each theme changes the next token by as much.

    All searches begin with something of the same norm to add, so that all begin near their ends.
    """
    every = _in_turn(ways)
    start = torch.tensor([START / max(steering.norm, 1e-12) for steering in every])
    return matched_strengths(Divergence(model, prompts), amplifier(every), start, targets)


def _in_turn(ways: Ways) -> list[Steering]:
    """Theme by theme."""
    return [steering for own in zip(*ways.values(), strict=True) for steering in own]


def conditions(atlas: Atlas, themes: Sequence[Theme], seed: int) -> dict[Way, list[Steering]]:
    """The ways to amplify each theme that are compared, and their controls."""
    generator = torch.Generator().manual_seed(seed)
    every = [_ways(atlas, theme, generator) for theme in themes]
    return {way: [own[way] for own in every] for way in WAYS}


def _ways(atlas: Atlas, theme: Theme, generator: torch.Generator) -> dict[Way, Steering]:
    dictionaries, flow = atlas.dictionaries, atlas.flow(theme)
    site, latent = theme.seed.site, theme.seed.latent
    whole = along(flow, dictionaries, atlas.typical)
    return {
        SEED: along({site: [latent]}, dictionaries, atlas.typical),
        ONE_LAYER: along(at_layer(flow, layer_of(site)), dictionaries, atlas.typical),
        CUMULATIVE: whole,
        REPEATED: repeated_seed(whole, dictionaries[site].directions[latent]),
        RANDOM_GRAPH: random_graph(whole, flow, dictionaries, generator),
    }


def by_layer(
    model: Model, themes: Sequence[Theme], wholes: Sequence[Steering], target: float, prompts: Sequence[str]
) -> dict[int, Tensor]:
    """The expected mass that each theme [themes] gains, as log2, from the part of a steering at one layer alone.

    For all layers that any of them has; NaN for a theme that has nothing to add there.
    """
    layers = sorted({layer_of(site) for each in wholes for site in each.vectors})
    ways = {Way(f"layer_{layer}", f"layer {layer}"): [_part(each, layer) for each in wholes] for layer in layers}
    made = campaign(themes, ways, strengths_at(model, ways, (target,), prompts), prompts)
    return dict(zip(layers, made.masses(model)[..., 0].unbind(1), strict=True))


def _part(whole: Steering, layer: int) -> Steering:
    return Steering({site: v for site, v in whole.vectors.items() if layer_of(site) == layer})


@torch.no_grad()
def written(
    model: Model, made: Campaign, target: int, each: int, seeds: Sequence[int], baseline: Baseline
) -> dict[Way, list[Scores]]:
    """What the model writes under each way at a target, for each theme [seeds, prompts, each]; NaN where none was."""
    steered = made.at(target)
    texts = write(model, made.prompts, each, seeds, steered)
    coherent = coherence(surprise(model, made.prompts, texts), baseline.surprise)
    nothing = torch.full(texts.shape[1:-1], torch.nan)
    found: dict[Way, list[Scores]] = {way: [Scores(nothing, nothing) for _ in made.themes] for way in made.ways}
    for row, number in enumerate(steered.chosen):
        place, way = divmod(number, len(made.ways))
        found[made.ways[way]][place] = Scores(baseline.about(made.themes[place], texts[row]), coherent[row])
    return found


def examples(model: Model, made: Campaign, target: int, way: Way, seed: int) -> list[tuple[Theme, str]]:
    """One text behind the first prompt for each theme that a way to steer reaches the target for."""
    own = made.only([way])
    steered = own.at(target)
    texts = write(model, own.prompts[:1], 1, [seed], steered)[:, 0, 0, 0]
    return [
        (own.themes[number], own.prompts[0] + model.to_string(text))
        for number, text in zip(steered.chosen, texts, strict=True)
    ]


def suppressed(model: Model, atlas: Atlas, themes: Sequence[Theme]) -> dict[int, dict[Way, Left]]:
    """What is left of each theme [themes] behind prompts that bring it up, for each r that multiplies activations.

    Those of the seed, of its graph at the seed's layer, of its graph at this layer and all below, and, to compare, of
    the next theme's graph; at an r that is not small, of the seed alone.
    """
    below = [up_to(atlas.flow(theme), layer_of(theme.seed.site)) for theme in themes]
    tried = [*((way, factor) for factor in SMALL for way in SUPPRESSED), (SEED, STRONG)]
    strengths = torch.tensor([1.0 - factor for _, factor in tried])
    every = []
    for number, theme in enumerate(themes):
        own = at_layer(below[number], layer_of(theme.seed.site))
        other = below[(number + 1) % len(themes)]
        flows = {SEED: by_site([theme.seed]), ONE_LAYER: own, CUMULATIVE: below[number], OTHER_GRAPH: other}
        editor = suppressor([flows[way] for way, _ in tried], atlas.dictionaries)
        every.append(ExpectedMass(model, prompts_about(theme)).left(theme, Steered.kept(editor, strengths)))
    found: dict[int, dict[Way, Left]] = {}
    for place, (way, factor) in enumerate(tried):
        found.setdefault(factor, {})[way] = Left(
            torch.stack([left.share[place] for left in every]), torch.stack([left.divergence[place] for left in every])
        )
    return found
