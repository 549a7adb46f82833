"""Do an autoencoder's errors harm a model more than random ones of their size? (Gurnee, LessWrong 2024, and its thread)

At a site an activation x [d] is replaced by a substitute, so that the model's next tokens are distributed as Q and not
as P. What that does is told twice, in nats a token, as means over the tokens of a text:

    KL(P || Q) = sum_v P_v (log P_v - log Q_v)        and        loss(Q) - loss(P), of the tokens that do come.

With the autoencoder's reconstruction x^ and its error e = x^ - x, substitutes are x^ itself; x^ brought to the length
of x; points at the distance |e| from x, in a random direction, in one that is distributed as activations are, and in
that of another token's error; and a random point of the length of x^ with the angle that x^ has to x. Position 0 and
outliers, which no autoencoder here was trained on, keep what they have.

Shapes: N texts of T positions, d = d_model, S sites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.held_out import Excerpt
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import Metric, mean_of, plain
from reproductions.common.model import Model
from reproductions.common.sites import kind_of
from reproductions.common.substitution import Effect, Reading, at_distance, gaussian, unit
from reproductions.common.text import sequences

SUBSTITUTES = {
    "sae": "the reconstruction",
    "norm": "the reconstruction, brought to the activation's length",
    "random": "a random point at the reconstruction's distance",
    "shaped": "the same, its direction distributed as activations are",
    "other": "the same, its direction that of another token's error",
    "cosine": "a random point with the reconstruction's angle and length",
    "mean": "the mean activation",
    "zero": "zero",
}
DRAWN = ("random", "shaped", "cosine")
AGAIN = (*DRAWN, "other")  # put in once more, by another draw or of another token, as controls
ALONE = ("sae", "random")  # put at a single position, too
MEASURED = (*SUBSTITUTES, *(f"{name} again" for name in AGAIN), *(f"{name} alone" for name in ALONE))
SPARSER = "sparser"  # the kind of a site whose autoencoder has fewer latents active than the others
KINDS = ("resid", "attn", "mlp", SPARSER)


def first_tokens(model: Model, excerpts: Sequence[Excerpt], texts: int, tokens: int, seed: int = 0) -> Tensor:
    """The first tokens of so many excerpts in random order, [texts, tokens]; those that are too short are left out."""
    some = Random(seed).sample(list(excerpts), len(excerpts))
    found = (sequences(model, [excerpt.text])[:1, :tokens] for excerpt in some)
    return torch.cat(list(islice(filter(len, found), texts)))


def at_cosine(x: Tensor, direction: Tensor, cosine: Tensor, norm: Tensor) -> Tensor:
    """A point of a length [...] that has a cosine [...] to x [..., d]: norm (c u + sqrt(1 - c^2) o).

    u = x / |x|; o is the part of a direction [..., d] that is orthogonal to it, brought to length 1.
    """
    u = unit(x)
    o = unit(direction - (direction * u).sum(-1, keepdim=True) * u)
    c = cosine.clamp(-1, 1)
    return norm[..., None] * (c[..., None] * u + (1 - c.square()).sqrt()[..., None] * o)


@dataclass(frozen=True)
class Moments:
    """The mean [d] of a site's activations, and a root [d, d] of their covariance."""

    mean: Tensor
    root: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Moments:
        """Of rows [n, d]."""
        mean = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - mean).double().T.cov())
        return cls(mean, (vectors * values.clamp(min=0).sqrt()).T.to(rows))


def substitutes(x: Tensor, x_hat: Tensor, noise: Tensor, moments: Moments, apart: int) -> dict[str, Tensor]:
    """Each substitute [N, T, d] for activations x; noise [N, T, d] is standard normal.

    Another token's error is that of the token so many places before, around the end of the text.
    """
    error, norm = x_hat - x, x_hat.norm(dim=-1)
    distance, cosine = error.norm(dim=-1), (unit(x) * unit(x_hat)).sum(-1)
    return {
        "sae": x_hat,
        "norm": unit(x_hat) * x.norm(dim=-1, keepdim=True),
        "random": at_distance(x, noise, distance),
        "shaped": at_distance(x, noise @ moments.root, distance),
        "other": at_distance(x, error.roll(apart, dims=1), distance),
        "cosine": at_cosine(x, noise, cosine, norm),
        "mean": moments.mean.expand_as(x),
        "zero": torch.zeros_like(x),
    }


@dataclass(frozen=True)
class Site:
    """What was found at a site: effects on each text [N], by what was put there, and what the autoencoder misses.

    kl, loss: by substitute. at_k [K, 3, N]: KL of what the `ks` strongest latents rebuild, and of two draws of random
    points with its angle and length; few_loss: loss added by the fewest less that by the first of these; angles: its
    mean cosines. curve [C, N]: KL of random points of the activation's length, by their `cosines`. missed: the share of
    the variance that the reconstruction misses. variant: what the autoencoder does otherwise than the usual one.
    """

    name: str
    kl: dict[str, Tensor]
    loss: dict[str, Tensor]
    ks: tuple[int, ...]
    at_k: Tensor
    few_loss: Tensor
    angles: tuple[float, ...]
    cosines: tuple[float, ...]
    curve: Tensor
    missed: float
    variant: str = ""

    @property
    def kind(self) -> str:
        """resid, attn or mlp; or that its autoencoder is sparser than others."""
        return SPARSER if self.variant else kind_of(self.name)

    @property
    def label(self) -> str:
        """`15 resid` for blocks.15.hook_resid_post."""
        return " ".join(filter(None, (str(layer_of(self.name)), kind_of(self.name), self.variant)))

    def excess(self, name: str, over: str = "random") -> Tensor:
        """How many times KL doubles from one substitute to the other: log2 of the ratio of each text's means [N]."""
        return (self.kl[name] / self.kl[over]).log2()


def strongest(dictionary: Dictionary, x: Tensor, k: int) -> Tensor:
    """What the k latents that are most active on x [..., d] rebuild of it; outliers pass as they are."""
    codes = dictionary.codes(x)
    kept = torch.zeros_like(codes).scatter(-1, (top := codes.topk(k, dim=-1)).indices, top.values)
    return torch.where(dictionary.ordinary(x)[..., None], dictionary.sae.decode(kept), x)


@torch.no_grad()
def measure(
    model: Model,
    tokens: Tensor,
    dictionary: Dictionary,
    draws: int,
    ks: Sequence[int],
    cosines: Sequence[float],
    variant: str = "",
) -> Site:
    """All effects at a site; random substitutes are drawn so many times, and their effects averaged.

    variant: what the autoencoder does otherwise than the usual one of the site.
    """
    reading = Reading(model, tokens, dictionary.site)
    x, x_hat, usual = reading.x, dictionary.reconstructed(reading.x), dictionary.ordinary(reading.x)
    moments, noise = Moments.of(x[usual]), [gaussian(x, seed) for seed in range(draws + 1)]
    rebuilt = {k: strongest(dictionary, x, k) for k in ks}
    angles = {k: (unit(x) * unit(some)).sum(-1) for k, some in rebuilt.items()}
    half, third = x.shape[1] // 2, x.shape[1] // 3
    put, again = (substitutes(x, x_hat, noise[draw], moments, apart) for draw, apart in ((0, half), (draws, third)))
    put |= {f"{name} again": again[name] for name in AGAIN}
    for draw in range(1, draws):
        more = substitutes(x, x_hat, noise[draw], moments, half)
        put |= {f"{name} {draw}": more[name] for name in DRAWN}
    put |= {f"k {k}": some for k, some in rebuilt.items()}
    for name, drawn in (("as k", noise[0]), ("as k again", noise[draws])):
        put |= {f"{name} {k}": at_cosine(x, drawn, angles[k], some.norm(dim=-1)) for k, some in rebuilt.items()}
    put |= {f"at {c}": at_cosine(x, noise[0], torch.full_like(x[..., 0], c), x.norm(dim=-1)) for c in cosines}
    found = reading.effects({name: torch.where(usual[..., None], some, x) for name, some in put.items()})
    single = {
        f"{name} alone": torch.cat([x[:, :half], put[name][:, half, None], x[:, half + 1 :]], 1) for name in ALONE
    }
    found |= reading.effects(single, [half + 1])
    return Site(
        name=dictionary.site,
        kl={name: drawn_mean(found, name, "kl", draws) for name in MEASURED},
        loss={name: drawn_mean(found, name, "loss", draws) for name in MEASURED},
        ks=tuple(ks),
        at_k=torch.stack([torch.stack([found[f"{name} {k}"].kl for name in ("k", "as k", "as k again")]) for k in ks]),
        few_loss=found[f"k {ks[0]}"].loss - found[f"as k {ks[0]}"].loss,
        angles=tuple(angle[usual].mean().item() for angle in angles.values()),
        cosines=tuple(cosines),
        curve=torch.stack([found[f"at {c}"].kl for c in cosines]),
        missed=float((x_hat - x)[usual].square().sum() / (x - moments.mean)[usual].square().sum()),
        variant=variant,
    )


def drawn_mean(found: Mapping[str, Effect], name: str, what: str, draws: int) -> Tensor:
    """An effect on each text [N], the mean over draws where chance enters."""
    names = [name, *(f"{name} {draw}" for draw in range(1, draws) if name in DRAWN)]
    return torch.stack([getattr(found[each], what) for each in names]).mean(0)


@dataclass(frozen=True)
class World:
    """A made-up space of n known features [n, d], random directions, and what reads them: a ReLU each, random logits.

    x [tokens, d]: the sum of a token's first four `active` [tokens, 5] features, in their strengths [tokens, 4].
    """

    features: Tensor
    readout: Tensor
    active: Tensor
    strengths: Tensor
    noise: Tensor

    @classmethod
    def of(cls, seed: int, d: int = 32, n: int = 96, tokens: int = 64) -> World:
        """One drawn by a seed."""
        drawn = torch.Generator().manual_seed(seed)
        features, readout = unit(torch.randn(n, d, generator=drawn)), torch.randn(n, 40, generator=drawn)
        active = torch.rand(tokens, n, generator=drawn).argsort(-1)[:, :5]
        strengths = 1 + torch.rand(tokens, 4, generator=drawn)
        return cls(features, readout, active, strengths, torch.randn(tokens, d, generator=drawn))

    @property
    def x(self) -> Tensor:
        """The activations [tokens, d]."""
        return (self.strengths[..., None] * self.features[self.active[:, :4]]).sum(1)

    def doublings(self, one: Tensor, other: Tensor, threshold: float = 0.5) -> Tensor:
        """log2 of the ratio of KLs of two stand-ins [tokens, d] for the activations, to a reader with a threshold."""
        log_p, *changed = (
            ((states @ self.features.T - threshold).relu() @ self.readout).log_softmax(-1)
            for states in (self.x, one, other)
        )
        kl, reference = ((log_p.exp() * (log_p - log_q)).sum(-1).mean() for log_q in changed)
        return (kl / reference).log2()


def toy(worlds: int = 24) -> Tensor:
    """The positive control: worlds where errors along features must do more harm than random ones; doublings [worlds].

    The reconstruction misses each token's weakest feature and invents another in its place.
    """
    found = []
    for world in map(World.of, range(worlds)):
        weakest = world.strengths.min(-1)
        missed = world.features[world.active[torch.arange(len(world.active)), weakest.indices]]
        error = weakest.values[:, None] * (world.features[world.active[:, 4]] - missed)
        found.append(world.doublings(world.x + error, at_distance(world.x, world.noise, error.norm(dim=-1))))
    return torch.stack(found)


def toy_of_few(worlds: int = 24) -> Tensor:
    """The positive control at low cosines: worlds where a random point does more harm than few latents; [worlds].

    One feature of each token is three times as strong as in `toy`, and what reads them sees no weaker ones. The
    reconstruction is that feature alone. Doublings of the random point with its angle and length over it.
    """
    found = []
    for usual in map(World.of, range(worlds)):
        world = replace(usual, strengths=usual.strengths * torch.tensor([3.0, 1, 1, 1]))
        x, kept = world.x, world.strengths[:, :1] * world.features[world.active[:, 0]]
        cosine = (unit(x) * unit(kept)).sum(-1)
        found.append(world.doublings(at_cosine(x, world.noise, cosine, kept.norm(dim=-1)), kept, threshold=2.0))
    return torch.stack(found)


COMPARED: Mapping[str, Callable[[Site], Tensor]] = {  # metrics of each kind of site, by name: values of each text [N]
    "excess_{}": lambda site: site.excess("sae"),
    "excess_{}_noise": lambda site: site.excess("random again"),
    "excess_{}_single": lambda site: site.excess("sae alone", "random alone"),
    "norm_{}": lambda site: site.excess("norm"),
    "shaped_{}": lambda site: site.excess("sae", "shaped"),
    "shaped_{}_noise": lambda site: site.excess("shaped again", "shaped"),
    "own_{}": lambda site: site.excess("sae", "other"),
    "own_{}_noise": lambda site: site.excess("other again", "other"),
    "angle_{}": lambda site: site.excess("sae", "cosine"),
    "angle_{}_noise": lambda site: site.excess("cosine again", "cosine"),
    "few_{}": lambda site: (site.at_k[0, 0] / site.at_k[0, 1]).log2(),
    "few_{}_noise": lambda site: (site.at_k[0, 2] / site.at_k[0, 1]).log2(),
    "few_loss_{}": lambda site: site.few_loss,
    "loss_{}": lambda site: site.loss["sae"] - site.loss["random"],
    "loss_{}_noise": lambda site: site.loss["random again"] - site.loss["random"],
    "loss_{}_single": lambda site: site.loss["sae alone"] - site.loss["random alone"],
    "loss_{}_mean": lambda site: site.loss["mean"],
    "mean_{}": lambda site: site.excess("mean", "sae"),
}


def metrics(sites: Sequence[Site]) -> list[Metric]:
    """Means over texts of the means over the sites of a kind; of few and all latents, over all but sparser sites."""
    found = [mean_of("excess_toy", toy().tolist()), mean_of("few_toy", toy_of_few().tolist())]
    for kind in KINDS:
        if own := [site for site in sites if site.kind == kind]:
            found += of_kind(kind, own)
    usual = [site for site in sites if site.kind != SPARSER]
    missed = sum(site.missed for site in usual) / len(usual)
    return [*found, *of_angles(usual), plain("missed", missed, len(usual))]


def of_kind(kind: str, sites: Sequence[Site]) -> list[Metric]:
    """What is compared, and the cosines of what the fewest and all latents rebuild, at the sites of a kind."""
    units = {name.format(kind): torch.stack([of(site) for site in sites]).mean(0) for name, of in COMPARED.items()}
    few, *_, most = torch.tensor([site.angles for site in sites]).mean(0).tolist()
    cosines = {f"few_cosine_{kind}": few, f"all_cosine_{kind}": most}
    measured = [mean_of(name, values.tolist()) for name, values in units.items()]
    return [*measured, *(plain(name, value, len(sites)) for name, value in cosines.items())]


def of_angles(sites: Sequence[Site]) -> list[Metric]:
    """What the fewest and all latents rebuild against random points with its angle and length, over all sites."""
    at_k = torch.stack([site.at_k for site in sites])
    found = [mean_of("few_loss", torch.stack([site.few_loss for site in sites]).mean(0).tolist())]
    for suffix, place in (("", 0), ("_noise", 2)):
        ratios = (at_k[:, :, place] / at_k[:, :, 1]).log2().mean(0)
        found += [
            mean_of(f"{name}{suffix}", ratios[k].tolist()) for name, k in (("few_latents", 0), ("all_latents", -1))
        ]
    return found


def robustness(sites: Sequence[Site]) -> list[tuple[str, ...]]:
    """For each site the share of the variance that the reconstruction misses, and KL of random points by cosine."""
    return [(site.label, f"{site.missed:.0%}", *(f"{kl:.3g}" for kl in site.curve.mean(1).tolist())) for site in sites]


def draw(sites: Sequence[Site]) -> plt.Figure:
    """KL of each substitute by site, and KL of random points by their angle, with the autoencoder's points beside."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    shown = ("sae", "norm", "random", "shaped", "other", "cosine")
    for place, name in enumerate(shown):
        values = [site.kl[name].mean().item() for site in sites]
        left.plot([x + (place - 2.5) * 0.1 for x in range(len(sites))], values, "o", ms=5, label=SUBSTITUTES[name])
    left.set_xticks(range(len(sites)), [site.label for site in sites], rotation=30, ha="right", fontsize=8)
    left.set(yscale="log", title="KL divergence, nats a token")
    for place, site in enumerate(sites):
        right.plot(site.cosines, site.curve.mean(1), color=f"C{place % 10}", lw=1, label=site.label)
        for drawn, marker in enumerate("ox"):
            right.plot(site.angles, site.at_k[:, drawn].mean(1), marker, ms=4, color=f"C{place % 10}")
    right.set(yscale="log", xlabel="cosine to the activation", title="KL of reconstructions (dots) and random points")
    left.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
    right.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    return figure


def curves(sites: Sequence[Site]) -> dict[str, Any]:
    """The explorer's data: KL by cosine at each site, of random points and of reconstructions of few to all latents."""
    places = sorted({round(c, 3) for site in sites for c in (*site.cosines, *site.angles)})
    series = []
    for site in sites:
        random = (site.cosines, site.curve.mean(1).tolist())
        rebuilt, beside = ((site.angles, site.at_k[:, drawn].mean(1).tolist()) for drawn in (0, 1))
        named = {
            "random point": random,
            "reconstruction by few to all latents": rebuilt,
            "random point of its angle and length": beside,
        }
        for name, (angles, values) in named.items():
            known = {round(c, 3): value for c, value in zip(angles, values, strict=True)}
            series.append({"name": name, "group": site.label, "values": [known.get(place) for place in places]})
    about = "How much a stand-in for the activation changes what the model predicts, by its angle to the activation."
    x, y = {"title": "cosine to the activation", "values": places}, {"title": "KL divergence, nats a token"}
    return {
        "title": "Reconstructions and random points at the same angle",
        "about": about,
        "x": x,
        "y": y,
        "series": series,
    }
