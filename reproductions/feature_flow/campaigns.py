"""Steering put together: the ways to amplify a theme that are compared, at equal KL, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.steering import Divergence
from reproductions.feature_flow.effects import (
    PROMPTS,
    Baseline,
    ExpectedMass,
    Scores,
    Steered,
    coherence,
    distinct_pairs,
    prompts_about,
    surprise,
    write,
)
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.steering import (
    Flow,
    Schedule,
    Steering,
    along,
    amplifier,
    at_layer,
    constant,
    exponential,
    linear,
    matched_strengths,
    random_graph,
    reached,
    repeated_seed,
    suppressor,
)
from reproductions.feature_flow.taxonomy import UNEXPLAINED
from reproductions.feature_flow.themes import Theme
from reproductions.feature_flow.windows import Dictionary

SEED, ONE_LAYER, CUMULATIVE, EXPONENTIAL, LINEAR, REPEATED, RANDOM_GRAPH = (
    "seed alone",
    "graph, the seed's layer",
    "graph, all layers",
    "graph, exponential",
    "graph, linear",
    "seed at all layers",
    "random graph",
)
SCHEDULES: Mapping[str, Schedule] = {CUMULATIVE: constant, EXPONENTIAL: exponential, LINEAR: linear}
CONDITIONS = (SEED, ONE_LAYER, *SCHEDULES, REPEATED, RANDOM_GRAPH)
WAYS = {  # of conditions, in the names of metrics
    SEED: "seed",
    ONE_LAYER: "one_layer",
    CUMULATIVE: "graph",
    EXPONENTIAL: "graph_exponential",
    LINEAR: "graph_linear",
    REPEATED: "repeated",
    RANDOM_GRAPH: "random_graph",
}
OTHER_GRAPH = "another theme's graph"
QUIET = 0.1  # nats: how far suppressing changes the next token


@dataclass(frozen=True, eq=False)
class Atlas:
    """All that steering needs to know of the windows, in the order of layers."""

    matched: Sequence[Matched]
    readings: Sequence[Readings]

    @property
    def dictionaries(self) -> dict[str, Dictionary]:
        """By site."""
        windows = [each.window for each in self.matched]
        return {each.site: each for window in windows for each in (*window.modules, window.after)}

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
    ways: Sequence[str]
    steerings: Sequence[Steering]
    strengths: Tensor  # [n, targets], NaN where no strength reaches the target
    prompts: Sequence[str]

    def at(self, target: int) -> Steered:
        """All of them at one of the targets, as far as they reach it."""
        return Steered.kept(amplifier(self.steerings), self.strengths[:, target])

    def masses(self, model: Any) -> Tensor:
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


def campaign(
    model: Any,
    themes: Sequence[Theme],
    steerings: Mapping[str, Sequence[Steering]],
    targets: Sequence[float],
    prompts: Sequence[str] = PROMPTS,
) -> Campaign:
    """Find the strengths at which every way to steer changes the next token by as much; ways: by theme.

    Each is brought to norm 1 first, all its sites together, so that all searches begin near their ends.
    """
    every = [_unit(steerings[way][number]) for number in range(len(themes)) for way in steerings]
    strengths = matched_strengths(Divergence(model, prompts), amplifier(every), len(every), targets)
    return Campaign(themes, list(steerings), every, strengths, prompts)


def _unit(steering: Steering) -> Steering:
    norm = sum(vector.square().sum().item() for vector in steering.vectors.values()) ** 0.5
    return replace(steering, vectors={site: vector / max(norm, 1e-12) for site, vector in steering.vectors.items()})


def conditions(atlas: Atlas, themes: Sequence[Theme], n_layers: int, seed: int) -> dict[str, list[Steering]]:
    """The ways to amplify each theme that are compared, and their controls.

    One window spans two layers, which all schedules weight all but alike: then only the constant one is compared.
    """
    generator = torch.Generator().manual_seed(seed)
    every = [_ways(atlas, theme, n_layers, generator) for theme in themes]
    return {way: [own[way] for own in every] for way in every[0]}


def _ways(atlas: Atlas, theme: Theme, n_layers: int, generator: torch.Generator) -> dict[str, Steering]:
    dictionaries, flow = atlas.dictionaries, atlas.flow(theme)
    site, latent = theme.seed.site, theme.seed.latent
    whole = along(CUMULATIVE, flow, dictionaries, atlas.typical)
    schedules = SCHEDULES if len(atlas.matched) > 1 else {CUMULATIVE: constant}
    return {
        SEED: along(SEED, {site: [latent]}, dictionaries),
        ONE_LAYER: along(ONE_LAYER, at_layer(flow, layer_of(site)), dictionaries, atlas.typical),
        **{way: whole.scheduled(schedule, n_layers) for way, schedule in schedules.items()},
        REPEATED: repeated_seed(REPEATED, whole, dictionaries[site].directions[latent]),
        RANDOM_GRAPH: random_graph(RANDOM_GRAPH, whole, flow, dictionaries, generator),
    }


def by_layer(
    model: Any, themes: Sequence[Theme], wholes: Sequence[Steering], target: float, prompts: Sequence[str]
) -> dict[int, Tensor]:
    """The expected mass that each theme [themes] gains, as log2, from the part of a steering at one layer alone.

    For all layers that any of them has; NaN for a theme that has nothing to add there.
    """
    layers = sorted({layer_of(site) for each in wholes for site in each.vectors})
    ways = {str(layer): [_part(each, layer) for each in wholes] for layer in layers}
    gains = campaign(model, themes, ways, (target,), prompts).masses(model)[..., 0]
    return dict(zip(layers, gains.unbind(1), strict=True))


def _part(whole: Steering, layer: int) -> Steering:
    return Steering(f"layer {layer}", {site: v for site, v in whole.vectors.items() if layer_of(site) == layer})


@torch.no_grad()
def written(
    model: Any, made: Campaign, target: int, each: int, seeds: Sequence[int], baseline: Baseline
) -> dict[str, list[Scores]]:
    """What the model writes under each way at a target, for each theme [seeds, prompts, each]; NaN where none was."""
    steered = made.at(target)
    texts = write(model, made.prompts, each, seeds, steered)
    coherent = coherence(surprise(model, made.prompts, texts), baseline.surprise)
    nothing = torch.full(texts.shape[1:-1], torch.nan)
    found: dict[str, list[Scores]] = {way: [Scores(*[nothing] * 4) for _ in made.themes] for way in made.ways}
    for row, number in enumerate(steered.chosen):
        place, way = divmod(number, len(made.ways))
        theme, own = made.themes[place], texts[row]
        hits, close = (baseline.about(measure, own) for measure in (theme.hits, theme.closeness))
        found[made.ways[way]][place] = Scores(hits, close, coherent[row], distinct_pairs(own))
    return found


def examples(model: Any, made: Campaign, target: int, way: str, seed: int) -> list[tuple[Theme, str]]:
    """One text behind the first prompt for each theme that a way to steer reaches the target for."""
    others = torch.tensor([name != way for name in made.ways]).repeat(len(made.themes))
    steered = Steered.kept(amplifier(made.steerings), made.strengths[:, target].masked_fill(others, torch.nan))
    texts = write(model, made.prompts[:1], 1, [seed], steered)[:, 0, 0, 0]
    themes = (made.themes[number // len(made.ways)] for number in steered.chosen)
    return [(theme, made.prompts[0] + model.to_string(text)) for theme, text in zip(themes, texts, strict=True)]


def suppressed(model: Any, atlas: Atlas, themes: Sequence[Theme], target: float = QUIET) -> dict[str, Tensor]:
    """How many times smaller a theme's expected mass gets, as log2 [themes], behind prompts that bring the theme up.

    All at equal KL. Where no strength comes to it, since nothing of the flow is active, nothing was suppressed: 0.
    """
    flows = [atlas.flow(theme) for theme in themes]
    found: dict[str, list[float]] = {SEED: [], CUMULATIVE: [], OTHER_GRAPH: []}
    for number, theme in enumerate(themes):
        own = {theme.seed.site: [theme.seed.latent]}
        tried = (own, flows[number], flows[(number + 1) % len(flows)])
        prompts = prompts_about(theme)
        editor = suppressor(tried, atlas.dictionaries)
        strengths = matched_strengths(Divergence(model, prompts), editor, len(tried), (target,), start=1.0)[:, 0]
        mass = ExpectedMass(model, prompts)
        steered = Steered.kept(editor, strengths)
        gained = torch.zeros(len(tried))
        if steered.chosen:
            gained[list(steered.chosen)] = (mass([theme]) / mass([theme], steered))[:, 0].log2()
        for way, value in zip(found, gained.tolist(), strict=True):
            found[way].append(value)
    return {way: torch.tensor(values) for way, values in found.items()}
