"""Activation patching (Zhang and Nanda 2023, arXiv 2309.16042): what is found depends on how it is set up.

A corrupted run gets back one activation of the clean run, a head's output or what an MLP adds. How much of a metric
that restores is the effect of the node:

    effect = M(restored run) - M(corrupted run).

Three things are varied: what corrupts the prompt (another token, or Gaussian noise on its embedding), which metric M is
looked at (logit difference, probability, KL divergence from the clean prediction, with its sign turned), and how many
neighbouring layers are restored together.

Shapes: N prompts, n nodes, H heads of a layer, L layers, M metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from reproductions.common import answer_metrics
from reproductions.common.attribution import attributed, slopes
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.patching import HEADS, MLPS, Node, Patching, Run, head_nodes
from reproductions.common.patching_cost import Cost, timed
from reproductions.common.prompt_pairs import FAMILIES, Pair, Texts, capitals, indirect_objects, paired
from reproductions.common.stats import nan_mean, pearson, spearman

METRICS = {"ld": "logit difference", "p": "probability", "kl": "KL divergence"}
CORRUPTIONS = {  # of prompts with two names: how it is called, and what is corrupted
    "swapped": ("a third person gives", "giver"),
    "swapped_again": ("a fourth person gives", "another"),
    "noise": ("noise on who gives", "giver"),
    "names": ("two other names at the beginning", "names"),
    "names_again": ("two more names at the beginning", "others"),
}
TWO_NAMES = "indirect objects"
CHOSEN = 3  # heads that are chosen for what they do against the answer, or for it
WIDTHS = (1, 3, 5)
TRIES = 50  # draws for each prompt that is wanted
Patches = Sequence[Sequence[Node]]
Twice = tuple[Tensor, Tensor]  # effects [N, n], measured twice


@dataclass(frozen=True)
class Effects:
    """Effects [N, M, n] of restoring n nodes in N prompts; what corruption takes, M(clean) - M(corrupted) [N, M]."""

    nodes: Tensor
    taken: Tensor

    @property
    def restored(self) -> Tensor:
        """The share of what was taken that each node brings back, [N, M, n]."""
        return self.nodes / self.taken[..., None]

    @property
    def shares(self) -> Tensor:
        """Each node's effect in the sum of the absolute effects of all, [N, M, n]."""
        return self.nodes / self.nodes.abs().sum(-1, keepdim=True)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on the embeddings of tokens: its deviation in those of embeddings, draws, and a seed."""

    deviations: float
    draws: int
    seed: int = 0


def prompts(model: Model, draw: Callable[[Random], Texts], n: int, seed: int) -> list[Pair]:
    """So many pairs; the i-th has one clean prompt, whatever is corrupted in it."""
    drawn = (paired(model, draw(Random(f"{seed} {number}"))) for number in range(n * TRIES))
    found = [pair for pair, _ in zip((pair for pair in drawn if pair), range(n), strict=False)]
    if len(found) < n:
        raise ValueError(f"this model's tokenizer gives {len(found)} prompts, not {n}: ask for fewer")
    return found


def two_names(model: Model, corruption: str, n: int, seed: int = 0) -> list[Pair]:
    """Prompts with two names under one of the CORRUPTIONS."""
    return prompts(model, lambda random: indirect_objects(random, CORRUPTIONS[corruption][1]), n, seed)


def scores(logits: Tensor, pair: Pair, clean: Tensor) -> Tensor:
    """The metrics [M, ...] of logits [..., V], each larger the more is as in the clean run, whose logits are [V]."""
    found = (
        answer_metrics.logit_difference(logits, pair.right, pair.wrong),
        answer_metrics.probability(logits, pair.right),
        -answer_metrics.kl(logits, clean),
    )
    return torch.stack(found)


def effects(patching: Patching, pair: Pair, corrupted: Run, patches: Patches) -> tuple[Tensor, Tensor]:
    """Effects [M, n] of restoring each set of nodes in a corrupted run, and what was taken, [M]."""
    clean = patching.logits(patching.clean.states[-1])
    before = scores(patching.logits(corrupted.states[-1]), pair, clean)
    after = scores(patching.logits(patching.patched(corrupted, patching.clean, patches)), pair, clean)
    return after - before[:, None], scores(clean, pair, clean) - before


def stacked(found: Sequence[tuple[Tensor, Tensor]]) -> Effects:
    """Effects of prompts one by one, (nodes, taken) each."""
    return Effects(torch.stack([nodes for nodes, _ in found]), torch.stack([taken for _, taken in found]))


def swapped(model: Model, pairs: Sequence[Pair], patches: Patches) -> Effects:
    """Effects of restoring nodes where other tokens corrupt each prompt."""
    found = []
    for pair in pairs:
        patching = Patching(model, pair.clean, pair.corrupted, points(patches))
        found.append(effects(patching, pair, patching.corrupted, patches))
    return stacked(found)


def noisy(model: Model, pairs: Sequence[Pair], patches: Patches, noise: Noise) -> list[Effects]:
    """Effects where noise is on the tokens that differ in a pair: means over the even draws, and over the odd ones."""
    size, generator = noise.deviations * deviation(model, pairs), torch.Generator().manual_seed(noise.seed)
    halves: list[list[tuple[Tensor, Tensor]]] = [[], []]
    for pair in pairs:
        patching = Patching(model, pair.clean, pair.corrupted, points(patches))
        x, differs = patching.clean.x, (patching.clean.x != patching.corrupted.x).any(-1, keepdim=True)
        noises = [size * torch.randn(x.shape, generator=generator).to(x) * differs for _ in range(noise.draws)]
        draws = [effects(patching, pair, patching.run(x + drawn), patches) for drawn in noises]
        for half, own in enumerate(halves):
            some = stacked(draws[half::2])
            own.append((some.nodes.mean(0), some.taken.mean(0)))
    return [stacked(own) for own in halves]


def deviation(model: Model, pairs: Sequence[Pair]) -> float:
    """The standard deviation of all numbers of the prompts' embeddings, without the first token's."""
    tokens = torch.cat([pair.clean[1:] for pair in pairs])[None].to(model.W_E.device)
    with torch.no_grad():
        return float(model(tokens, stop_at_layer=0).std())


def points(patches: Patches) -> list[str]:
    """The hook points of some nodes."""
    return sorted({node.point for patch in patches for node in patch})


def mean(parts: Sequence[Effects]) -> Effects:
    """The mean of effects on the same prompts."""
    nodes, taken = (torch.stack([getattr(part, name) for part in parts]).mean(0) for name in ("nodes", "taken"))
    return Effects(nodes, taken)


def heads(model: Model) -> list[list[Node]]:
    """Each head's output alone, at every position."""
    return [[node] for node in head_nodes(model)]


def windows(model: Model, width: int, position: int) -> list[list[Node]]:
    """What each row of neighbouring MLPs adds at one position, from the second block on; the last rows are narrower.

    The first MLP makes of a single token what later blocks read in place of its embedding.
    """
    nodes = [Node(layer, MLPS, None, position) for layer in range(1, model.cfg.n_layers)]
    return [nodes[first : first + width] for first in range(len(nodes))]


def facts(model: Model, n: int, noise: Noise) -> dict[str, Effects]:
    """Capitals, by corruption: MLPs at the subject's last token, in windows of each of the WIDTHS side by side.

    Behind them stands the first block's MLP alone.
    """
    pairs = sorted(prompts(model, capitals, n, noise.seed), key=last_changed)
    found: dict[str, list[Effects]] = {"swapped": [], "noise": []}
    for position, group in groupby(pairs, key=last_changed):
        own, patches = list(group), [patch for width in WIDTHS for patch in windows(model, width, position)]
        patches.append([Node(0, MLPS, None, position)])
        found["swapped"].append(swapped(model, own, patches))
        found["noise"].append(mean(noisy(model, own, patches, noise)))
    return {
        name: Effects(torch.cat([own.nodes for own in parts]), torch.cat([own.taken for own in parts]))
        for name, parts in found.items()
    }


def last_changed(pair: Pair) -> int:
    """The last position that differs, counted from the first."""
    places = (pair.clean != pair.corrupted).nonzero()[:, 0]
    return int(places[-1] - places[0])


def alike(one: Tensor, other: Tensor, of: Callable[..., float] = pearson) -> list[float]:
    """How far two sets of effects [N, n] agree in each prompt."""
    return [of(a, b) for a, b in zip(one.cpu(), other.cpu(), strict=True)]


def beyond(one: Twice, other: Twice, of: Callable[..., float] = pearson) -> list[float]:
    """How much less two ways to corrupt agree with each other than either does with itself, in each prompt.

    Each way was used twice, with other tokens or other draws. With r the agreement of effects [N, n],

        sqrt(r(one, one again) r(other, other again)) - r(one, other),

    which is 0 where both ways tell the same, each with an error of its own; the root has the sign of the product.
    Errors lower Pearson's r by just that factor, and rank correlations only roughly.
    """
    own = [alike(*way, of) for way in (one, other)]
    across = [alike(a, b, of) for a in one for b in other]
    reached = [math.copysign(math.sqrt(abs(r * q)), r * q) for r, q in zip(*own, strict=True)]
    return [whole - sum(parts) / len(parts) for whole, parts in zip(reached, zip(*across, strict=True), strict=True)]


def corruption_metrics(found: Mapping[str, Effects], halves: Sequence[Effects]) -> list[Metric]:
    """Whether corruptions agree on heads, from logit differences; halves: noise, two sets of draws."""
    ld = {name: effect.nodes[:, 0] for name, effect in found.items()}
    swapped, noise = (ld["swapped"], ld["swapped_again"]), (halves[0].nodes[:, 0], halves[1].nodes[:, 0])
    ways = {"corruption": noise} | ({"token": (ld["names"], ld["names_again"])} if "names_again" in ld else {})
    units = {"agreement": alike(*swapped)}
    units |= {f"agreement_{name}": alike(*way) for name, way in ways.items()}
    units |= {f"{name}_gap": beyond(swapped, way) for name, way in ways.items()}
    units |= {f"{name}_gap_ranks": beyond(swapped, way, spearman) for name, way in ways.items()}
    return [mean_of(name, values) for name, values in units.items()]


def chosen(effects: Effects, sign: int) -> Tensor:
    """The heads [N, CHOSEN] that work most against the answer (sign -1), or for it (1), in the prompts' other half."""
    ld, even = sign * effects.nodes[:, 0], torch.arange(len(effects.nodes)) % 2 == 0
    best = {half: ld[even == half].mean(0).topk(CHOSEN).indices for half in (True, False)}
    return torch.stack([best[not own] for own in even.tolist()])


def of_heads(effects: Effects, which: Tensor, sign: int) -> Tensor:
    """The share of some heads [N, k] in the effects of all, [N, M], with its sign turned for -1."""
    return sign * effects.shares.gather(-1, which[:, None].expand(-1, len(METRICS), -1)).sum(-1)


def negative_metrics(found: Effects, noise: Effects, seed: int) -> list[Metric]:
    """Heads that work against the answer, by three metrics."""
    against, helping = chosen(found, -1), chosen(found, 1)
    shuffled = torch.rand(found.nodes[:, 0].shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    shares, helps, under_noise = of_heads(found, against, -1), of_heads(found, helping, 1), of_heads(noise, against, -1)
    random = of_heads(found, shuffled[:, :CHOSEN].to(against.device), -1)
    units = {f"against_{name}": shares[:, place] for place, name in enumerate(METRICS)}
    units |= {f"against_{name}_random": random[:, place] for place, name in enumerate(METRICS) if name != "p"}
    compared = {"hidden": shares, "hidden_helping": helps, "hidden_noise": under_noise}
    units |= {name: of[:, 0] - of[:, 1] for name, of in compared.items()}
    return [mean_of(name, values.tolist()) for name, values in units.items()]


def by_width(found: Effects) -> dict[int, Tensor]:
    """What windows of each width restore, [N, M, L - 1]."""
    return dict(zip(WIDTHS, found.restored[..., :-1].chunk(len(WIDTHS), -1), strict=True))


def window_metrics(found: Mapping[str, Effects]) -> list[Metric]:
    """Peaks of windows by corruption, and the whole against the sum of its parts, each at a window chosen elsewhere."""
    widths = {name: by_width(effect) for name, effect in found.items()}
    peaks = {name: at_best(own[5], own[5]) for name, own in widths.items()}
    units = {f"peak_{name}": peak[:, 0] for name, peak in peaks.items()}
    units |= dict(zip(("peak_gap", "peak_gap_p"), (peaks["noise"] - peaks["swapped"]).T, strict=False))
    units["room"] = 1 - peaks["swapped"][:, 0]
    units["first"] = found["swapped"].restored[:, 0, -1]
    excesses = {name: {width: excess(own, width) for width in WIDTHS[1:]} for name, own in widths.items()}
    units |= {"window_excess": excesses["swapped"][5][:, 0], "window_excess_3": excesses["swapped"][3][:, 0]}
    units |= {"window_excess_noise_p": excesses["noise"][5][:, 1]}
    return [mean_of(name, values.tolist()) for name, values in units.items()]


def excess(widths: Mapping[int, Tensor], width: int) -> Tensor:
    """How much more the best window restores together than one by one, [N, M]."""
    sums = widths[1].unfold(-1, width, 1).sum(-1)
    together = widths[width][..., : sums.shape[-1]]
    return at_best(together, together - sums)


def at_best(chosen_by: Tensor, values: Tensor) -> Tensor:
    """Values [N, M] of [N, M, n] where the mean logit difference of `chosen_by` is best in the prompts' other half."""
    even = torch.arange(len(values)) % 2 == 0
    best = {half: int(chosen_by[even == half, 0].mean(0).argmax()) for half in (True, False)}
    return torch.stack([own[:, best[not half]] for own, half in zip(values, even.tolist(), strict=True)])


def tasks(model: Model, names: Sequence[str], n: int, seed: int) -> dict[str, list[Pair]]:
    """Prompts of each task, with swapped tokens."""
    return {name: prompts(model, FAMILIES[name], n, seed) for name in names}


def task_metrics(found: Mapping[str, Effects], wordings: Sequence[str]) -> list[Metric]:
    """How prompts rank heads as others of their task do, and of their wording among prompts with two names."""
    ld = {name: effect.nodes[:, 0] for name, effect in found.items()}
    kinds = [name for name, own in ld.items() for _ in own]
    units = {"task_gap": kinship(torch.cat([*ld.values()]), kinds)}
    units |= {"task_gap_wording": kinship(ld[TWO_NAMES], wordings)} if TWO_NAMES in ld else {}
    return [mean_of(name, values) for name, values in units.items()]


def kinship(effects: Tensor, kinds: Sequence[str]) -> list[float]:
    """How much more a case's effects [N, n] rank as the mean of its kind does than as the means of other kinds do.

    Means are over every other case, and the cases between are scored: were each half held against the other, either
    likeness would count twice.
    """
    found = []
    for own, kind in zip(effects[1::2], kinds[1::2], strict=True):
        near = {}
        for other in dict.fromkeys(kinds):
            rows = [row for row in range(0, len(kinds), 2) if kinds[row] == other]
            near[other] = spearman(own, effects[rows].mean(0)) if rows else math.nan
        found.append(near.pop(kind) - nan_mean([*near.values()]))
    return found


def wordings(pairs: Sequence[Pair]) -> list[str]:
    """The first word of each prompt, which tells its template."""
    return [pair.texts.clean.split()[0] for pair in pairs]


def by_gradient(model: Model, pair: Pair) -> Tensor:
    """What restoring each head would do to the logit difference, to first order, from one gradient: [n]."""
    patching = Patching(model, pair.clean, pair.corrupted, [HEADS])
    run, gradients = slopes(patching, patching.corrupted.x, lambda logits: scores(logits, pair, logits.detach())[0])
    return attributed(run, patching.clean, gradients, head_nodes(model)).cpu()


def ways(
    model: Model, pairs: Sequence[Pair], found: Mapping[str, Effects], noise: Effects, draws: int, cost: Cost
) -> dict[str, tuple[list[float], list[float]]]:
    """Processor-seconds of ways to find heads, and how each prompt's effects agree with those of a swapped token."""
    true, again = (found[name].nodes[:, 0] for name in ("swapped", "swapped_again"))
    gradients, seconds = timed(lambda: torch.stack([by_gradient(model, pair) for pair in pairs]))
    rows = {
        "one gradient": (seconds / len(pairs), gradients),
        "each head, in one growing batch": (cost.together, true),
        "each head, one by one": (cost.loop, true),
        "each head, another token": (cost.together, again),
        f"each head, {draws} draws of noise": (draws * cost.together, noise.nodes[:, 0]),
    }
    return {way: ([seconds] * len(pairs), alike(true, own)) for way, (seconds, own) in rows.items()}


def maps(model: Model, found: Mapping[str, Effects]) -> dict[str, Tensor]:
    """Mean effects of heads by what they are called, in shares of all, [M, L, H]."""
    shape = (len(METRICS), model.cfg.n_layers, model.cfg.n_heads)
    return {name: effect.shares.mean(0).cpu().view(shape) for name, effect in found.items()}


def draw_heads(swapped: Tensor, noise: Tensor) -> plt.Figure:
    """Heads [M, L, H] by logit difference and by probability, and under noise against swapped tokens."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 4), layout="constrained", width_ratios=[1, 1, 1.6])
    largest = swapped[:2].abs().max().item()
    for axes, own, title in ((left, swapped[0], "Logit difference"), (middle, swapped[1], "Probability")):
        shown = axes.imshow(own, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
        axes.set(title=title, xlabel="head", ylabel="layer" if axes is left else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(shown, ax=middle, label="share of all effects")
    right.axline((0, 0), slope=1, color="C1", linewidth=1)
    right.plot(swapped[0].flatten(), noise[0].flatten(), "o", markersize=4)
    right.set(title="Each head, logit difference", xlabel="swapped token: share of all effects", ylabel="noise")
    return figure


def draw_windows(found: Mapping[str, Effects]) -> plt.Figure:
    """What MLPs restore by layer, one by one and in windows, under both corruptions."""
    figure, panels = plt.subplots(1, len(found), figsize=(10, 3.6), layout="constrained", sharey=True)
    for axes, (name, effect) in zip(panels, found.items(), strict=True):
        for place, (width, restored) in enumerate(by_width(effect).items()):
            whole = restored[:, 0].mean(0).cpu()[: restored.shape[-1] - width + 1]
            label = "one by one" if width == 1 else f"{width} together"
            centres = [first + (width + 1) / 2 for first in range(len(whole))]
            axes.plot(centres, whole, color=f"C{place}", label=label)
        axes.set(title={"swapped": "Another country", "noise": "Noise on the country"}[name], xlabel="layer")
    panels[0].set_ylabel("logit difference restored")
    panels[0].legend()
    return figure


def grid(by_item: Mapping[str, Tensor]) -> dict[str, Any]:
    """The explorer's data: effects of heads [M, L, H] by task and corruption, in three metrics."""
    _, layers, columns = next(iter(by_item.values())).shape
    items = [
        {"name": str(place), "title": title, "values": dict(zip(METRICS, _rounded(values), strict=True))}
        for place, (title, values) in enumerate(by_item.items())
    ]
    return {
        "title": "What restoring a head brings back",
        "about": "Each head's effect in the sum of the sizes of all, mean over prompts; below 0 it works against it.",
        "rows": {"title": "layer", "names": [*range(layers)]},
        "columns": {"title": "head", "names": [*range(columns)]},
        "cell": {"one": "a head", "many": "heads"},
        "item": {"one": "a corruption", "many": "corruptions"},
        "measures": [{"name": name, "title": f"told in {words}", "short": words} for name, words in METRICS.items()],
        "items": items,
    }


def _rounded(values: Tensor) -> list[list[list[float]]]:
    return [[[round(value, 4) for value in row] for row in own] for own in values.tolist()]
