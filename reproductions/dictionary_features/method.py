"""Do dictionaries agree on features, what do these stand for, and which can go? (Riggs, LessWrong 2023, and its thread)

The maximum cosine similarity (MCS) of a feature is its cosine to the nearest feature of another dictionary. How large
it is by chance is told by flipped copies of that one (`common.agreement`). What a feature stands for is told by uniform
examples, ablated text, the logit lens and the removal of its direction (`common.inspection`).

L0 is the mean number of features active at a token. Loss recovered is 1 where a reconstruction takes the place of the
activations at no cost, 0 where it is no better than their mean (`common.substitution`).

Shapes: N texts of T positions, d = d_model, n latents.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from random import Random

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common import dictionaries, inspection
from reproductions.common.agreement import SHARED, Agreement, mcs, unit
from reproductions.common.autoencoders.training import Recipe, train
from reproductions.common.held_out import Excerpt
from reproductions.common.inspection import DENSE, Fired, Seen, Wording, read, wording, words_of
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import Metric, difference_of, mean_of, plain, share_of
from reproductions.common.model import Model
from reproductions.common.named_dictionaries import named_dictionary
from reproductions.common.recovery import Recovered, Site
from reproductions.common.text import sequences

Found = Mapping[str, Dictionary]  # by role: whole, second, sparse, sparser, narrow, turned
Rates = Mapping[str, Tensor]

HALF = 0.5  # of a feature's uniform examples, from which on it stands for a word
GROUPS = 200  # of features, at most
LEVELS = ("sparse", "sparser")
PAIRS = {
    "seed": ("whole", "second"),
    "back": ("second", "whole"),
    "width": ("narrow", "whole"),
    "far": ("narrow", "second"),
}
COMPARED = {  # what one route recovers less what another does
    **{f"trained_{level}": (level, f"frequent_{level}") for level in LEVELS},
    **{f"trained_{level}_seed": (f"second_frequent_{level}", f"frequent_{level}") for level in LEVELS},
    **{f"strongest_{level}": (f"strongest_{level}", f"frequent_{level}") for level in LEVELS},
    **{f"strongest_{level}_seed": (f"second_strongest_{level}", f"strongest_{level}") for level in LEVELS},
    **{f"rarest_{cut}": (f"frequent_{cut}", f"random_{cut}") for cut in ("dense", *LEVELS)},
    **{f"rarest_{cut}_again": (f"again_{cut}", f"random_{cut}") for cut in ("dense", *LEVELS)},
    "sparsity": ("whole", "sparser"),
    "sparsity_seed": ("second", "whole"),
    "turned_gap": ("whole", "turned"),
}
CUTS = ("sparser", "sparse", "dense")
ROUTES = {  # how L0 is lowered, and the marker of its curve
    "trained with fewer": ("", "o"),
    "most frequent removed": ("frequent_", "s"),
    "random ones removed": ("random_", "^"),
    "strongest of a token kept": ("strongest_", "D"),
}


def opened(model: str, site: str, name: str = "") -> Dictionary:
    """The autoencoder of a site; or `seed1`, a sibling such as `k8`, or a release/id in its place."""
    if "/" in name:
        return named_dictionary(model, name)
    if seed := re.fullmatch(r"seed(\d+)", name):
        return named_dictionary(model, site, int(seed[1]))
    return named_dictionary(model, f"{site}.{name}" if name else site)


def family(model: str, site: str, others: Mapping[str, str]) -> dict[str, Dictionary]:
    """The autoencoder of a site, `whole`, and those beside it; one that is not ours has none of our siblings."""
    foreign = "/" in site or site in dictionaries.in_use()
    known = {role: name for role, name in others.items() if "/" in name or not foreign}
    return {"whole": opened(model, site)} | {role: opened(model, site, name) for role, name in known.items()}


def agreements(found: Found, rates: Rates, seeds: Sequence[int]) -> dict[str, Agreement]:
    """Agreement of the features that are not dense, for each pair; NaN where one of the two is not there."""
    none = torch.full((1, len(seeds)), torch.nan)
    return {
        name: Agreement.of(found[one].directions[rates[one] <= DENSE], found[other].directions, seeds)
        if one in found and other in found
        else Agreement(none[0, :1], none.T, none.T, none.T)
        for name, (one, other) in PAIRS.items()
    }


@dataclass(frozen=True)
class Planted:
    """Autoencoders of a made-up world: how well one of two latents a dimension agrees with one of four.

    gap: of its features, over flipped copies; agreed: which have MCS above 0.9; true: which are true ones; found: which
    true ones it has; narrow, wide: which features of the two a third one has, of four latents a dimension. 1 or 0 each.
    """

    gap: Tensor
    agreed: Tensor
    true: Tensor
    found: Tensor
    narrow: Tensor
    wide: Tensor


def planted(seed: int, d: int = 32, n: int = 64, rows: int = 60_000, active: int = 3) -> Planted:
    """n features, random directions in d dimensions, some active at a token; autoencoders of the usual recipe."""
    drawn = torch.Generator().manual_seed(seed)
    features = unit(torch.randn(n, d, generator=drawn))
    which = torch.rand(rows, n, generator=drawn).topk(active, -1).indices
    x = ((0.5 + torch.rand(rows, active, 1, generator=drawn)) * features[which]).sum(1)
    recipes = [Recipe(k=active, expansion=wide, epochs=6, dead_after=20_000) for wide in (2, 4, 4)]
    with redirect_stderr(io.StringIO()), torch.enable_grad():  # without progress bars
        narrow, wide, third = (train(x, recipe, f"world {seed}", i, "cpu").W_dec for i, recipe in enumerate(recipes))
    pairs = ((narrow, wide), (narrow, features), (features, narrow), (narrow, third), (wide, third))
    shared = [(mcs(one, other) > SHARED).float() for one, other in pairs]
    return Planted(Agreement.of(narrow, wide, [seed]).gap, *shared)


def thinned(order: Tensor, rates: Tensor, l0: float) -> Tensor:
    """Which latents stay [..., n], taken in an order [..., n] until their rates [n] add up to nearly l0."""
    stay = rates[order].cumsum(-1) - rates[order] / 2 <= l0
    return torch.zeros_like(stay).scatter(-1, order, stay)


def routes(found: Found, rates: Rates, x: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Ways to rebuild activations x [N, T - 1, d]: name, dictionary, and the codes [N, T - 1, n] that it decodes.

    rates: how often each latent of each dictionary is active, counted on other text.
    """
    codes = {name: dictionary.codes(x) for name, dictionary in found.items()}
    yield from ((name, name, some) for name, some in codes.items())
    targets = {level: float(rates[level].sum()) for level in LEVELS if level in found}
    for name in (role for role in ("whole", "second") if role in found):
        own, mine, mark = rates[name], codes[name], "" if name == "whole" else "second_"
        cuts = {"dense": float(own[own <= DENSE].sum()), **targets}
        for cut, l0 in cuts.items():
            yield f"{mark}frequent_{cut}", name, mine * thinned(own.argsort(), own, l0)
        for level, l0 in targets.items():
            yield f"{mark}strongest_{level}", name, mine.where(mine >= mine.topk(round(l0)).values[..., -1:], 0)
        for seed, drawn in enumerate(("random", "again") if name == "whole" else ()):
            noise = torch.rand(len(x), 1, len(own), generator=torch.Generator().manual_seed(seed))
            for cut, l0 in cuts.items():
                yield f"{drawn}_{cut}", name, mine * thinned(noise.argsort(-1), own, l0)


@dataclass(frozen=True)
class Replaced:
    """What each route recovers in each text, and its L0."""

    recovered: Recovered
    l0: dict[str, float]


@torch.no_grad()
def replaced(model: Model, tokens: Tensor, found: Found, rates: Rates) -> Replaced:
    """What every route recovers on texts [N, T]."""
    site = Site(model, tokens, found["whole"])
    l0: dict[str, float] = {}

    def rebuilt() -> Iterator[tuple[str, Tensor]]:
        for name, dictionary, codes in routes(found, rates, site.x):
            l0[name] = float((codes[site.usual] > 0).sum(-1).float().mean())
            yield name, found[dictionary].sae.decode(codes)

    return Replaced(site.recovered(rebuilt()), l0)


def parted(model: Model, excerpts: Sequence[Excerpt], texts: int, tokens: int, most: int, seed: int) -> list[Tensor]:
    """The first tokens of some excerpts [texts, tokens]; and up to so many sequences of all others, [most, 128]."""
    order = Random(seed).sample(list(excerpts), len(excerpts))
    cut = [found for excerpt in order if len(found := sequences(model, [excerpt.text]))]
    return [torch.cat([some[:1, :tokens] for some in cut[:texts]]), torch.cat(cut[texts:])[:most]]


@dataclass(frozen=True)
class Reading:
    """What the features of an autoencoder are active on, and how often those of all dictionaries are, by role.

    words: which word each stands for; turned: the same for the autoencoder turned by a flip; planted: for made-up ones.
    """

    fired: Fired
    rates: dict[str, Tensor]
    words: Wording
    turned: Wording
    planted: Wording

    @property
    def judged(self) -> Tensor:
        """The features [j] that are not dense and were active often enough to be judged."""
        return ((self.rates["whole"] <= DENSE) & ~self.words.purity.isnan()).nonzero()[:, 0]

    @property
    def dense(self) -> Tensor:
        """The features that are active at more than a tenth of the tokens, the most frequent first."""
        order = self.rates["whole"].argsort(descending=True)
        return order[self.rates["whole"][order] > DENSE]

    def spread(self, values: Tensor) -> Tensor:
        """Values of the features that are not dense, at their places among all [n]; NaN elsewhere."""
        usual = self.rates["whole"] <= DENSE
        return torch.full_like(self.rates["whole"], torch.nan).masked_scatter(usual, values.expand(int(usual.sum())))

    def drawn(self, number: int, seed: int) -> list[int]:
        """So many of those that are judged, at random."""
        return sorted(Random(seed).sample(self.judged.tolist(), number))


def reading(model: Model, found: Found, tokens: Tensor) -> Reading:
    """All dictionaries on the same sequences [N, 128]."""
    fired, words = read(model, found, tokens), words_of(model)
    rates = {name: some.rates for name, some in fired.items()}
    whole, other = (wording(fired[name], words) for name in ("whole", "turned"))
    return Reading(fired["whole"], rates, whole, other, inspection.planted(fired["whole"], words))


# Numbers


def some(values: Tensor) -> list[float]:
    """Values as units; more than 200, for which a record has no room, as 200 groups dealt at random; the mean stays."""
    kept = dealt(values[~values.isnan()])
    n = min(len(kept), GROUPS)
    return [group.sum().item() * n / len(kept) for group in kept.tensor_split(n)] if n else []


def share(name: str, values: Tensor, above: float) -> Metric:
    """The share of values [n] above a level; NaNs are left out."""
    kept = values[~values.isnan()]
    return share_of(name, int((kept > above).sum()), len(kept))


def dealt(values: Tensor) -> Tensor:
    """The same values [n] in random order."""
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]


def agreement_metrics(pairs: Mapping[str, Agreement]) -> list[Metric]:
    """MCS, what it is by chance, and how many features are shared."""
    ends = {f"cosine_{name}": getattr(pairs["seed"], name) for name in ("flipped", "random")}
    counted = {name: some(len(pair.mcs) * pair.shared) for name, pair in pairs.items()}
    metrics = [mean_of(name, some(values.mean(0)), values.mean(1).tolist()) for name, values in ends.items()]
    for name in ("seed", "width"):
        metrics.append(mean_of(f"mcs_{name}", some(pairs[name].gap)))
        metrics.append(mean_of(f"mcs_{name}_again", some(pairs[name].chance)))
        metrics.append(mean_of(f"cosine_{name}", some(pairs[name].mcs)))
        metrics.append(share(f"shared_{name}", pairs[name].mcs, SHARED))
    for name, other in {"wider": "far", "wider_seed": "back"}.items():
        metrics.append(difference_of(name, counted["seed"], counted[other]))
    return metrics


def planted_metrics(worlds: Sequence[Planted]) -> list[Metric]:
    """What is known of made-up worlds, whose true features are at hand."""
    parts = (torch.cat([getattr(world, field.name) for world in worlds]) for field in fields(Planted))
    gap, agreed, true, found, narrow, wide = parts
    return [
        mean_of("mcs_planted", some(gap), [world.gap.mean().item() for world in worlds]),
        difference_of("wider_planted", some(len(wide) / len(worlds) * wide), some(len(narrow) / len(worlds) * narrow)),
        share("planted_found", found, 0),
        share("planted_agreed", true[agreed > 0], 0),
        share("planted_rest", true[agreed == 0], 0),
    ]


def word_metrics(read: Reading, pair: Agreement) -> list[Metric]:
    """How many features stand for a single word, and whether those with high MCS do more."""
    pure = read.words.purity[read.judged]
    agreed = read.spread(pair.mcs)[read.judged]
    ranked = pure.where(~agreed.isnan(), torch.nan)[agreed.argsort(descending=True)]
    third, rates = len(pure) // 3, read.rates["whole"]
    return [
        share("single", pure, HALF),
        share("single_turned", read.turned.purity[read.rates["turned"] <= DENSE], HALF),
        share("single_planted", read.planted.purity, HALF),
        difference_of("pure_shared", some(ranked[:third]), some(ranked[-third:])),
        difference_of("pure_shared_dealt", some(dealt(ranked)[:third]), some(dealt(ranked)[-third:])),
        plain("dense", len(read.dense), len(rates)),
        plain("dense_l0", float(rates[read.dense].sum()), len(read.dense)),
        plain("read", len(pure), len(rates)),
    ]


def seen_metrics(read: Reading, seen: Seen) -> list[Metric]:
    """What context gives features [F], and what their directions do."""
    one_word = read.words.purity[list(seen.latents)] > HALF
    return [
        share("single_elsewhere", seen.kept_elsewhere, HALF),
        *(
            difference_of(f"{name}{control}", some(lost[~groups]), some(lost[groups]))
            for name, lost in {"contextual": 1 - seen.kept_alone, "unrelated": 1 - seen.kept_elsewhere}.items()
            for control, groups in {"": one_word, "_dealt": dealt(one_word)}.items()
        ),
        mean_of("previous", some(seen.drop(-1))),
        mean_of("previous_farthest", some(seen.drop(0))),
        mean_of("lens_drop", some(seen.own_less_others(seen.lost))),
        mean_of("lens_drop_other", some(seen.own_less_others(seen.other))),
    ]


def loss_metrics(found: Replaced) -> list[Metric]:
    """What routes recover, and one less another, text by text."""
    loss, kl, metrics = found.recovered.loss, found.recovered.kl, []
    for name, (one, other) in COMPARED.items():
        gaps = [some(by[one] - by[other]) if {one, other} <= set(by) else [] for by in (loss, kl)]
        metrics.append(mean_of(name, gaps[0]))
        if f"{name}_seed" in COMPARED or f"{name}_again" in COMPARED:
            metrics.append(mean_of(f"{name}_kl", gaps[1]))
    for route in (name for name in loss if not name.startswith(("second_", "again_"))):
        metrics.append(mean_of(f"recovered_{route}", loss[route].tolist()))
        metrics.append(plain(f"l0_{route}", found.l0[route], len(loss[route])))
    return metrics


def outlines(axes: plt.Axes, shown: Mapping[str, Tensor], number: int) -> None:
    """Distributions of values between 0 and 1, one outline each, as shares."""
    for name, values in shown.items():
        known = values[~values.isnan()].tolist()
        edges, weights = torch.linspace(0, 1, number + 1).tolist(), [1 / max(1, len(known))] * len(known)
        axes.hist(known, edges, weights=weights, histtype="step", lw=1.5, label=name)
    axes.set_ylabel("share of the features")
    axes.legend(fontsize=8)


def draw_features(pair: Agreement, found: Replaced) -> plt.Figure:
    """MCS with the second autoencoder and by chance; loss recovered over L0 along each route."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    by_chance = {"a flipped copy of it": pair.flipped.mean(0), "random directions": pair.random.mean(0)}
    outlines(left, {"another seed": pair.mcs, **by_chance}, 40)
    left.axvline(SHARED, color="grey", lw=0.8, ls=":")
    left.set(xlabel="MCS: cosine to the nearest feature", title="Do two autoencoders agree?")
    points = {name: (found.l0[name], loss.mean().item()) for name, loss in found.recovered.loss.items()}
    for name, (prefix, marker) in ROUTES.items():
        line = [points[route] for cut in CUTS if (route := f"{prefix}{cut}") in points] + [points["whole"]]
        right.plot(*zip(*line, strict=True), marker=marker, lw=1.2, label=name)
    right.set(xlabel="features active at a token (L0)", ylabel="loss recovered", title="Which features can go?")
    right.legend(fontsize=8)
    return figure


def draw_words(read: Reading, seen: Seen) -> plt.Figure:
    """How far features are one word's; and whether those that are need no context."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    pure = read.words.purity
    outlines(left, {"features": pure[read.judged], "turned": read.turned.purity, "made up": read.planted.purity}, 20)
    left.set(title="One word or several?")
    right.plot(pure[list(seen.latents)].tolist(), seen.kept_elsewhere.tolist(), "o", ms=4, alpha=0.7)
    right.set(ylabel="activation kept in another context", title="Word or context?")
    for axes in (left, right):
        axes.axvline(HALF, color="grey", lw=0.8, ls=":")
        axes.set_xlabel("share of its main word in uniform examples")
    return figure
