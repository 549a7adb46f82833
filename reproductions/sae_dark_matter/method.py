"""How much of an autoencoder's error is a linear function of the activation? (Engels et al., arXiv 2410.14670)

With the reconstruction x^ of an activation x, the error e = x - x^ has a part that a linear map gives and a part that
none does:

    e = p + u,    p = mean_e + (x - mean_x) A,    A = argmin ||e - p||^2 + strength ||A||^2.

p is the predictable part (the paper's linear error), u the unpredictable one (its nonlinear error). What is predicted
of e, or of any other number y of a token, is told on other texts than A was fitted on, text by text:

    share = 1 - sum over tokens |y - predicted y|^2 / sum over tokens |y - mean y of the fitted tokens|^2.

How A is fitted, and by which rule the ridge is chosen, stands in `common/regression.py`. Position 0 and outliers, which
no autoencoder here was trained on, are left out. Shapes: N texts of T positions, n tokens that count, d = d_model, k
numbers that are predicted of each token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import pyplot as plt
from scipy.stats import spearmanr
from torch import Tensor

from reproductions.common import sites as common
from reproductions.common.activations import layer_of
from reproductions.common.excerpts import Texts
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import Metric, mean_of, plain
from reproductions.common.model import Model
from reproductions.common.regression import LinearMap, Regression, ridge
from reproductions.common.sites import KINDS, Shown, before_of, collected, kind_of
from reproductions.common.substitution import Reading, at_distance, gaussian

AT_ONCE = 2048  # tokens that are encoded at once
PARTS = ("predictable", "unpredictable")
SHARES = {
    "vector": "the error vector",
    "norm": "its squared norm",
    "predictable": "squared norm, predictable part",
    "unpredictable": "squared norm, unpredictable part",
    "earlier": "unpredictable part, from a layer before",
}
MISSING = {
    "sae": "all of the error",
    "predictable": "its predictable part",
    "unpredictable": "its unpredictable part",
}


def squared(vectors: Tensor) -> Tensor:
    """Squared norms [n, 1] of vectors [n, d]."""
    return vectors.square().sum(-1, keepdim=True)


def dealt(n: int) -> Tensor:
    """A random order of n rows."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Rows:
    """Tokens that count: activations and errors, x and e [n, d], and which text each is of [n].

    before: what the layer before's reconstruction is at these tokens [n, d], where that is known.
    """

    x: Tensor
    e: Tensor
    text: Tensor
    before: Tensor | None = None

    def sums(self, values: Tensor) -> Tensor:
        """Sums over the tokens of each text [N, k] of values [n, k]."""
        found = values.new_zeros(int(self.text.max()) + 1, values.shape[1], dtype=torch.double)
        return found.index_add(0, self.text, values.double())

    def share(self, y: Tensor, predicted: Tensor, mean: Tensor) -> Tensor:
        """The share of numbers y [n, k] that is predicted, in each text [N]."""
        missed, spread = (self.sums((y - other).square()).sum(-1) for other in (predicted, mean))
        return 1 - missed / spread


@dataclass(frozen=True)
class Decomposition:
    """An autoencoder's errors in two parts: the map that gives p, and what is predicted of each text.

    shares: by `SHARES`, [N] each; `…_dealt`, by maps that were fitted to dealt rows; `…_published`, scored as by the
    authors; `earlier_own`, by the activation where `earlier` is by a reconstruction one layer before; `length`, of the
    error's squared norm, by the activation's alone.
    sizes: sums of squares over a text of both parts, [N] each. errors: squared norms of the error and of the
    activation [n, 2], and text: which text they are of [n]. missed: the share of the variance of x that is error.
    """

    site: str
    error: LinearMap
    shares: dict[str, Tensor]
    sizes: dict[str, Tensor]
    errors: Tensor
    text: Tensor
    missed: float


def decompose(fitted: Rows, held: Rows, site: str = "") -> Decomposition:
    """Fit on some texts, score on others; on the fitted ones, the parts are told by a map of their other half."""
    regression = Regression(fitted.x, fitted.text)
    error = regression.fit(fitted.e)
    parts = {"predictable": (regression.crossed(fitted.e), error(held.x))}
    parts["unpredictable"] = fitted.e - parts["predictable"][0], held.e - parts["predictable"][1]
    targets = {"vector": (fitted.e, held.e), "norm": (squared(fitted.e), squared(held.e))}
    targets |= {name: (squared(some), squared(others)) for name, (some, others) in parts.items()}
    shares = {f"{name}_published": as_published(fitted, targets[name][0]) for name in ("vector", "norm")}
    lengths = Regression(squared(fitted.x), fitted.text)
    shares["length"] = scored(lengths, targets["norm"][0], held, squared(held.x), targets["norm"][1])
    order = dealt(len(fitted.e))
    for name, (y, y_held) in targets.items():
        shares[name] = scored(regression, y, held, held.x, y_held)
        shares[f"{name}_dealt"] = scored(regression, y[order], held, held.x, y_held)
    if fitted.before is not None and held.before is not None:
        earlier, (u, u_held) = Regression(fitted.before, fitted.text), parts["unpredictable"]
        shares["earlier"] = scored(earlier, u, held, held.before, u_held)
        shares["earlier_dealt"] = scored(earlier, u[order], held, held.before, u_held)
        shares["earlier_own"] = scored(regression, u, held, held.x, u_held)
    return Decomposition(
        site=site,
        error=error,
        shares=shares,
        sizes={name: held.sums(squared(part))[:, 0] for name, (_, part) in parts.items()},
        errors=torch.cat([squared(held.e), squared(held.x)], dim=1),
        text=held.text,
        missed=float(squared(held.e).sum() / squared(held.x - error.mean_x).sum()),
    )


def scored(regression: Regression, y: Tensor, held: Rows, x: Tensor, y_held: Tensor) -> Tensor:
    """The share of numbers that is predicted in held-out texts [N], from x there, by a map fitted to y."""
    fitted = regression.fit(y)
    return held.share(y_held, fitted(x), fitted.mean_y)


def as_published(rows: Rows, y: Tensor) -> Tensor:
    """The share of y [n, k] that is predicted in each text [N] as the authors' `run_lstsq` has it.

    Tokens of all texts are dealt to what is fitted and what is scored; least squares without intercept; the mean over
    the k numbers of the share of each.
    """
    fitted, held = dealt(len(y)).chunk(2)
    x, some = rows.x[fitted].double(), y[fitted].double()
    A = ridge(x.mT @ x, x.mT @ some, 0.0)
    other, missed = Rows(rows.x[held], rows.e[held], rows.text[held]), y[held].double() - rows.x[held].double() @ A
    spread = y[held] - y[held].mean(0)
    return (1 - other.sums(missed.square()) / other.sums(spread.square())).mean(-1)


@torch.no_grad()
def study(
    model: Model, dictionaries: Sequence[Dictionary], fitted: Texts, held: Texts, before: Sequence[Dictionary] = ()
) -> list[Decomposition]:
    """The decomposition of each autoencoder's errors; before: autoencoders one layer before some of the sites.

    Tokens that are outliers for any autoencoder of a site, or one layer before it, are left out there.
    """
    everything = [*dictionaries, *before]
    sites = sorted({each.site for each in everything})
    known = [(collected(model, sites, texts.tokens), texts.excerpt) for texts in (fitted, held)]
    found = []
    for one in dictionaries:
        train, test = (rows_of(x, text, one, everything) for x, text in known)
        found.append(decompose(train, test, one.site))
    return found


def reconstructed(dictionary: Dictionary, values: Tensor) -> Tensor:
    """What an autoencoder makes of values [n, d], some at a time: all latents of all tokens would take much memory."""
    return torch.cat([dictionary.reconstructed(some) for some in values.split(AT_ONCE)])


def rows_of(x: Mapping[str, Tensor], text: Tensor, dictionary: Dictionary, all_of_them: Sequence[Dictionary]) -> Rows:
    """The tokens of activations [N, T, d] by site, where the text of each sequence [N] is known."""
    own = [each for each in all_of_them if each.site in (dictionary.site, before_of(dictionary.site))]
    kept = torch.stack([each.ordinary(x[each.site]) for each in own]).all(0)
    values = x[dictionary.site][kept]
    before = [reconstructed(each, x[each.site][kept]) for each in own if each.site != dictionary.site]
    error = values - reconstructed(dictionary, values)
    return Rows(values, error, text[:, None].expand_as(kept)[kept], before[0] if before else None)


@dataclass(frozen=True)
class Costs:
    """What it does to each text that something is missing: KL divergence and added loss, [N] by what is missing.

    By `MISSING`; with `_noise` and `_again`, two random vectors as long as the part; `other`, what is missing where the
    predictable part and another token's unpredictable one, brought to the length of the token's own, are put back.
    """

    kl: dict[str, Tensor]
    loss: dict[str, Tensor]


def without(x: Tensor, e: Tensor, p: Tensor) -> dict[str, Tensor]:
    """Activations [N, T, d] of which something is missing; e their errors, p the predictable part of these."""
    parts = {"predictable": p, "unpredictable": e - p}
    found = {"sae": x - e} | {name: x - part for name, part in parts.items()}
    for seed, suffix in enumerate(("noise", "again")):
        noise = gaussian(x, seed)
        found |= {f"{name}_{suffix}": at_distance(x, noise, part.norm(dim=-1)) for name, part in parts.items()}
    elsewhere = parts["unpredictable"].roll(x.shape[1] // 2, dims=1)
    return found | {"other": at_distance(x - e, elsewhere, parts["unpredictable"].norm(dim=-1))}


@torch.no_grad()
def intervene(model: Model, tokens: Tensor, dictionary: Dictionary, error: LinearMap) -> Costs:
    """Leave each part of the error out at a site; error: the map that gives its predictable part."""
    reading = Reading(model, tokens, dictionary.site)
    x, usual = reading.x, dictionary.ordinary(reading.x)[..., None]
    put = without(x, x - dictionary.reconstructed(x), error(x))
    found = reading.effects({name: torch.where(usual, some, x) for name, some in put.items()})
    return Costs(*({name: getattr(effect, what) for name, effect in found.items()} for what in ("kl", "loss")))


def world(seed: int, tokens: int, d: int, sparse: int, dense: int) -> tuple[Tensor, Tensor, Tensor]:
    """A planted world: the features left out, the false answers, and the activations, [tokens, d] each."""
    drawn = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(d, d, generator=drawn)).Q
    features = torch.randn(sparse, d - dense, generator=drawn) @ basis[dense:]
    features = features / features.norm(dim=-1, keepdim=True)
    chances, strengths = (torch.rand(2, tokens, sparse, generator=drawn) for _ in range(2))
    true, false = (chances < torch.tensor([1 / 15, 1 / 90])[:, None, None]) * (1 + strengths) @ features
    left_out = 1.5 * (torch.rand(tokens, dense, generator=drawn) < 0.5) @ basis[:dense]
    return left_out, false, true + left_out


def planted(worlds: int = 16, tokens: int = 5000, d: int = 32, sparse: int = 84, dense: int = 4) -> dict[str, Tensor]:
    """The positive control: worlds in which it is known what is predictable; values [worlds].

    Activations are sums of `sparse` features in d - dense dimensions, more than these hold without overlap, and of
    `dense` ones in the others, each on at half of the tokens. The autoencoder knows the sparse ones alone, and one
    latent in ninety answers to nothing. The features left out are a linear function of x, and so is the squared norm of
    their sum, since each is on or off; the false answers are independent of x. Shares are in units of what was planted.
    """
    found: dict[str, list[Tensor]] = {}
    text = torch.arange(tokens) // 50
    first = text < text[-1] * 0.8
    for seed in range(worlds):
        left_out, false, x = world(seed, tokens, d, sparse, dense)
        for suffix, e in (("", left_out + false), ("_nothing", false)):
            train, test = (Rows(x[some], e[some], text[some] - text[some][0]) for some in (first, ~first))
            shares = decompose(train, test).shares
            for name, parts in (("vector", (left_out, false)), ("norm", (squared(left_out), squared(false)))):
                known, rest = (part.var(0).sum() for part in parts)
                found.setdefault(f"planted_{name}{suffix}", []).append(shares[name].mean() * (known + rest) / known)
            if not suffix:
                found.setdefault("planted_parts", []).append((shares[PARTS[0]] - shares[PARTS[1]]).mean())
    return {name: torch.stack(values) for name, values in found.items()}


@dataclass(frozen=True)
class Site:
    """What was found at a site."""

    parts: Decomposition
    costs: Costs

    def less(self, name: str, other: str, suffix: str = "") -> Tensor:
        """How much larger one predicted share is than another, in each text [N]."""
        return self.parts.shares[name + suffix] - self.parts.shares[other + suffix]

    def doublings(self, name: str, over: str) -> Tensor:
        """log2 of the ratio of two KL divergences [N]."""
        return (self.costs.kl[name] / self.costs.kl[over]).log2()

    def dear(self, suffix: str = "") -> Tensor:
        """KL for its squared norm of the unpredictable part over that of the predictable one, in doublings [N]."""
        sizes = self.parts.sizes["unpredictable"] / self.parts.sizes["predictable"]
        return self.doublings("unpredictable" + suffix, "predictable" + suffix) - sizes.log2()

    def dear_in_loss(self) -> Tensor:
        """The same as a difference of losses, nats a token, as if each part had the squared norm of both [N]."""
        p, u = (self.costs.loss[part] / self.parts.sizes[part] for part in PARTS)
        return (u - p) * sum(self.parts.sizes[part] for part in PARTS)


COMPARED: Mapping[str, Callable[[Site], Tensor]] = {  # metrics of each kind of site, by name: values of each text [N]
    "vector_{}": lambda site: site.parts.shares["vector"],
    "vector_{}_dealt": lambda site: site.parts.shares["vector_dealt"],
    "vector_{}_published": lambda site: site.parts.shares["vector_published"],
    "norm_{}": lambda site: site.parts.shares["norm"],
    "norm_{}_dealt": lambda site: site.parts.shares["norm_dealt"],
    "norm_{}_published": lambda site: site.parts.shares["norm_published"],
    "length_{}": lambda site: site.parts.shares["length"],
    "gap_{}": lambda site: site.less("norm", "vector"),
    "gap_{}_dealt": lambda site: site.less("norm", "vector", "_dealt"),
    "parts_{}": lambda site: site.less("predictable", "unpredictable"),
    "parts_{}_dealt": lambda site: site.less("predictable", "unpredictable", "_dealt"),
    "dear_{}": lambda site: site.dear(),
    "dear_{}_noise": lambda site: site.dear("_noise"),
    "dear_loss_{}": lambda site: site.dear_in_loss(),
    "harm_predictable_{}": lambda site: site.doublings("predictable", "predictable_noise"),
    "harm_predictable_{}_noise": lambda site: site.doublings("predictable_again", "predictable_noise"),
    "harm_unpredictable_{}": lambda site: site.doublings("unpredictable", "unpredictable_noise"),
    "harm_unpredictable_{}_noise": lambda site: site.doublings("unpredictable_again", "unpredictable_noise"),
    "added_{}": lambda site: site.costs.loss["sae"],
    "back_predictable_{}": lambda site: site.costs.loss["sae"] - site.costs.loss["unpredictable"],
    "back_unpredictable_{}": lambda site: site.costs.loss["sae"] - site.costs.loss["predictable"],
    "back_unpredictable_{}_other": lambda site: site.costs.loss["sae"] - site.costs.loss["other"],
    "back_unpredictable_{}_kl": lambda site: site.costs.kl["sae"] - site.costs.kl["predictable"],
}


def metrics(sites: Sequence[Site]) -> list[Metric]:
    """Means over texts of the means over the sites of a kind, and the positive control."""
    units = planted()
    for kind in KINDS:
        own = [site for site in sites if kind_of(site.parts.site) == kind]
        units |= {name.format(kind): torch.stack([*map(of, own)]).mean(0) for name, of in COMPARED.items() if own}
    known = [site.parts.shares for site in sites if "earlier" in site.parts.shares]
    for name in ("earlier", "earlier_dealt", "earlier_own"):
        units |= {name: torch.stack([shares[name] for shares in known]).mean(0)} if known else {}
    found = [mean_of(name, values.tolist()) for name, values in units.items()]
    return [*found, plain("missed", sum(site.parts.missed for site in sites) / len(sites), len(sites))]


def sibling_metrics(usual: Decomposition, narrow: Decomposition, seed: Decomposition) -> list[Metric]:
    """A narrow autoencoder of a site against the usual, wide one; and a second seed of the usual against it."""
    mine, others, again, text = usual.errors, narrow.errors, seed.errors, usual.text
    anew = (text + torch.rand(len(text), generator=torch.Generator().manual_seed(0))).argsort()
    pairs = {
        "contexts": (others[:, 0], mine[:, 0]),
        "contexts_dealt": (others[anew, 0], mine[:, 0]),
        "contexts_seed": (again[:, 0], mine[:, 0]),
        "contexts_relative": (others[:, 0] / others[:, 1], mine[:, 0] / mine[:, 1]),
    }
    units = {name: agreement(*pair, text) for name, pair in pairs.items()}
    units |= {"width": shrunk(narrow, usual).tolist(), "width_seed": shrunk(seed, usual).tolist()}
    return [mean_of(name, values) for name, values in units.items()]


def agreement(a: Tensor, b: Tensor, text: Tensor) -> list[float]:
    """Spearman's rho of two numbers of each token [n], within each text."""
    return [float(spearmanr(a[text == one], b[text == one]).statistic) for one in text.unique()]


def shrunk(before: Decomposition, after: Decomposition) -> Tensor:
    """How many times more the predictable part halves than the unpredictable one, in each text [N]."""
    predictable, unpredictable = ((before.sizes[part] / after.sizes[part]).log2() for part in PARTS)
    return predictable - unpredictable


def draw(sites: Sequence[Site]) -> plt.Figure:
    """Predicted shares by site, beside those of dealt rows, and what it costs that a part is missing."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for place, (name, words) in enumerate(SHARES.items()):
        known = {x + (place - 2) / 8: s.parts.shares for x, s in enumerate(sites) if name in s.parts.shares}
        left.plot([*known], [shares[name].mean() for shares in known.values()], "o", color=f"C{place}", label=words)
        left.plot([*known], [shares[f"{name}_dealt"].mean() for shares in known.values()], "_", color=f"C{place}")
    for place, (name, words) in enumerate(MISSING.items()):
        for key, marker, label in ((name, "o", words), (f"{name}_noise", "x", "a random vector as long as that")):
            at = {x + (place - 1) / 8: s.costs.kl[key] for x, s in enumerate(sites) if key in s.costs.kl}
            if at:
                right.plot([*at], [kl.mean() for kl in at.values()], marker, color=f"C{place}", label=label)
    left.set_title("Share predicted, held out (dashes: dealt rows)")
    right.set(yscale="log", title="KL divergence where this is missing, nats a token")
    names = [f"{layer_of(site.parts.site)} {kind_of(site.parts.site)}" for site in sites]
    for axes in (left, right):
        axes.set_xticks(range(len(sites)), names, rotation=30, ha="right", fontsize=8)
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


def told(site: Site) -> dict[str, Shown]:
    """What the explorer tells of a site, in words, each beside its control: means over texts."""
    shares, kl = site.parts.shares, site.costs.kl
    pairs = {f"share predicted: {of}": (shares.get(name), shares.get(f"{name}_dealt")) for name, of in SHARES.items()}
    pairs |= {f"KL without {what}": (kl[name], kl.get(f"{name}_noise")) for name, what in MISSING.items()}
    means = {name: [None if some is None else some.mean().item() for some in pair] for name, pair in pairs.items()}
    return {name: (found, control) for name, (found, control) in means.items()}


def grid(sites: Sequence[Site]) -> dict[str, Any]:
    """The explorer's data: predicted shares and costs by layer and kind of site, each beside its control."""
    about = "Shares on held-out texts, and KL divergence in nats a token where something is missing."
    numbers = {site.parts.site: told(site) for site in sites}
    control = "by a map of dealt rows, or with a random vector as long"
    return common.grid("What is predictable of an autoencoder's errors", about, numbers, control)
