"""The toy: four features, of which one implies another, and autoencoders with a latent for each of them.

Features f_0 (the parent), f_1 (the child), f_2, f_3 are orthonormal directions [d] and are there or not. What is there
is summed up, x = sum of f_i, and an autoencoder with k latents minimises, over what comes,

    |x^ - x|^2 + l1 sum_j z_j,    z = relu((x - b_dec) W_enc + b_enc),    x^ = z W_dec + b_dec,

with rows of W_dec of norm 1. (Section on toy models; the weight of the sparsity term is ours.)

With four features there are 16 cases in all. A batch is therefore drawn as how often each of them comes, and the loss
that counts in the end is the expectation over the cases, with nothing sampled.

Why absorbing pays: where parent and child are both there, a latent each costs z_0 + z_1 = 1 + 1. One latent that
writes (f_0 + f_1) / sqrt(2) rebuilds the same with z = sqrt(2), if the parent's latent is silent there. Nothing is
lost as long as the child never comes alone.

Shapes: N autoencoders that are trained side by side, C = 16 cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from matplotlib import pyplot as plt
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from reproductions.common.metrics import Metric, mean_of, plain

D, FEATURES, PARENT_RATE, OTHER_RATE = 50, 4, 0.25, 0.05
L1, RATE, BATCH, STEPS, STARTS = 0.05, 3e-3, 1024, 2000, 5
CASES = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * FEATURES)  # [C, 4]
ALONE, JOINT = 8, 12  # the cases of the parent alone, and of parent and child


@dataclass(frozen=True)
class World:
    """How parent and child come together; the parent has the paper's rate of 1/4."""

    child_given_parent: float
    parent_given_child: float

    def probabilities(self) -> Tensor:
        """Of each case [C]; the other two features come by themselves."""
        joint = PARENT_RATE * self.child_given_parent
        child = joint / self.parent_given_child
        pair = torch.tensor([[1 - PARENT_RATE - child + joint, child - joint], [PARENT_RATE - joint, joint]])
        other = torch.tensor([1 - OTHER_RATE, OTHER_RATE])
        return torch.einsum("pc,a,b->pcab", pair, other, other).flatten()


INDEPENDENT, HIERARCHICAL = World(0.05, 0.25), World(0.2, 1.0)  # the child comes one time in twenty in both
DENSER = [World(p, 1.0) for p in (0.05, 0.1, 0.4, 0.6, 0.8)]
LOOSER = [World(0.2 * p, p) for p in (0.5, 0.75, 0.9, 0.95)]
WORLDS = [INDEPENDENT, HIERARCHICAL, *DENSER, *LOOSER]
CURVES = [  # label, worlds, and what stands along the axis
    ("by P(child given parent); no child alone", [HIERARCHICAL, *DENSER], "child_given_parent"),
    ("by P(parent given child); 1 child in 20", [INDEPENDENT, HIERARCHICAL, *LOOSER], "parent_given_child"),
]


@dataclass(frozen=True)
class Autoencoders:
    """N autoencoders: W_enc [N, d, k], b_enc [N, 1, k], W_dec [N, k, d], b_dec [N, 1, d]."""

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor

    def codes(self, x: Tensor) -> Tensor:
        """Activations [N, C, k] on points [N, C, d]."""
        return ((x - self.b_dec) @ self.W_enc + self.b_enc).relu()

    def losses(self, x: Tensor, weights: Tensor, l1: float = L1) -> Tensor:
        """Squared error and what sparsity costs [N], over points [N, C, d] of such weights [N, C]."""
        z = self.codes(x)
        error = (z @ normalize(self.W_dec, dim=-1) + self.b_dec - x).square().sum(-1)
        return (weights * (error + l1 * z.sum(-1))).sum(-1)

    def at(self, places: Tensor) -> Autoencoders:
        """Some of them."""
        return Autoencoders(*(part[places] for part in vars(self).values()))


@dataclass(frozen=True)
class Trained:
    """What was trained on a world, an autoencoder for each set of features [N, 4, d], with its expected loss [N]."""

    features: Tensor
    autoencoders: Autoencoders
    losses: Tensor

    @property
    def points(self) -> Tensor:
        """All cases as points [N, C, d]."""
        return CASES @ self.features

    def cosines(self) -> tuple[Tensor, Tensor]:
        """Of encoder and decoder with the features, [N, k, 4] each; latents stand in the order of their features."""
        own = self.autoencoders
        sides = (normalize(side, dim=-1) @ self.features.mT for side in (own.W_enc.mT, own.W_dec))
        encoder, decoder = (side.gather(1, self.matched()[..., None].expand_as(side)) for side in sides)
        return encoder, decoder

    def matched(self) -> Tensor:
        """Latents [N, k]: those that decoders give to the four features one by one, then those to spare."""
        found = []
        for cosines in (normalize(self.autoencoders.W_dec, dim=-1) @ self.features.mT).numpy():
            latents, features = linear_sum_assignment(-cosines)
            own = [int(latent) for _, latent in sorted(zip(features, latents, strict=True))]
            found.append(own + [spare for spare in range(len(cosines)) if spare not in own])
        return torch.tensor(found)

    def parent(self, case: int) -> Tensor:
        """The activation of the parent's latent in a case, [N]."""
        z = self.autoencoders.codes(self.points)[:, case]
        return z.gather(1, self.matched()[:, :1])[:, 0]

    def hole(self) -> Tensor:
        """How much less active the parent's latent is with the child there than alone, [N]."""
        return self.parent(ALONE) - self.parent(JOINT)

    def worst(self, features: Tensor) -> Tensor:
        """The cosine of the decoder's best latent for the feature [N, 4, d] that it knows least, [N]."""
        return (normalize(self.autoencoders.W_dec, dim=-1) @ features.mT).amax(1).amin(-1)


def started(n: int, width: int, generator: torch.Generator) -> Autoencoders:
    """Autoencoders before training: random directions, the encoder the decoder's transpose, no biases."""
    directions = normalize(torch.randn(n, width, D, generator=generator), dim=-1)
    return Autoencoders(directions.mT.clone(), torch.zeros(n, 1, width), directions, torch.zeros(n, 1, D))


def train(worlds: Sequence[World], seed: int, n: int, width: int = FEATURES) -> list[Trained]:
    """n autoencoders on each world, each the best of several starts by its expected loss."""
    generator, rows = torch.Generator().manual_seed(seed), len(worlds) * n
    features = torch.linalg.qr(torch.randn(rows, D, FEATURES, generator=generator)).Q.mT.repeat_interleave(STARTS, 0)
    likely = torch.stack([world.probabilities() for world in worlds]).repeat_interleave(n * STARTS, 0)
    found, points = started(rows * STARTS, width, generator), CASES @ features
    parts = [part.requires_grad_() for part in vars(found).values()]
    adam = torch.optim.Adam(parts, lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        found.losses(points, torch.poisson(BATCH * likely, generator) / BATCH).sum().backward()
        adam.step()
    found = Autoencoders(*(part.detach() for part in parts))
    losses = found.losses(points, likely)
    best = losses.view(-1, STARTS).argmin(1) + STARTS * torch.arange(rows)
    return [Trained(features[own], found.at(own), losses[own]) for own in best.split(n)]


def by_hand(features: Tensor, absorbing: bool, noise: float = 0.0) -> Trained:
    """A latent for each feature; or with the child's written as parent and child, and the parent's silent there.

    Each latent falls short of what it stands for by L1 / 2, where error and sparsity balance.
    """
    writes, reads, n = features.clone(), features.clone(), len(features)
    if absorbing:
        writes[:, 1] = (features[:, 0] + features[:, 1]) / 2**0.5
        reads[:, 0], reads[:, 1] = features[:, 0] - features[:, 1], 2**0.5 * features[:, 1]
    parts = reads.mT, torch.full((n, 1, FEATURES), -L1 / 2), writes, torch.zeros(n, 1, D)
    drawn = torch.Generator().manual_seed(0)
    shaken = (part + noise * torch.randn(part.shape, generator=drawn) for part in parts)
    return Trained(features, Autoencoders(*shaken), torch.empty(0))


def dearer(found: Trained, world: World) -> Tensor:
    """The loss of what was trained less that of a latent for each feature, [N]."""
    faithful = by_hand(found.features, absorbing=False)
    return found.losses - faithful.autoencoders.losses(faithful.points, world.probabilities())


def metrics(found: Sequence[Trained], spare: Trained | None = None) -> list[Metric]:
    """All numbers of the toy, of autoencoders of all `WORLDS` and perhaps of some with latents to spare."""
    independent, hierarchical = found[:2]
    features, other = independent.features, independent.features.roll(1, 0)
    of = {"": hierarchical, "_independent": independent, "_planted": by_hand(features, absorbing=True, noise=0.01)}
    untrained = Trained(features, started(len(features), FEATURES, torch.Generator().manual_seed(1)), torch.empty(0))
    units = {f"hole{suffix}": one.hole() for suffix, one in of.items()}
    units |= {f"child{suffix}": one.cosines()[1][:, 1, 0] for suffix, one in of.items()}
    units |= {"hole_spare": spare.hole()} if spare else {}
    units["recovered"] = independent.worst(features) - independent.worst(other)
    units["recovered_untrained"] = untrained.worst(features) - untrained.worst(other)
    units |= {"dearer": dearer(hierarchical, HIERARCHICAL), "dearer_independent": dearer(independent, INDEPENDENT)}
    return [*(mean_of(name, values.tolist()) for name, values in units.items()), plain("saving", 2 - 2**0.5, 1)]


def draw(found: Sequence[Trained]) -> plt.Figure:
    """Cosines of one autoencoder of either world with the features, and when the parent's latent falls silent."""
    figure = plt.figure(figsize=(11, 4.8), layout="constrained")
    axes = figure.subplot_mosaic([["a", "b", "e"], ["c", "d", "e"]], width_ratios=(1, 1, 1.8))
    sides = [side[0] for one in found[:2] for side in one.cosines()]
    for (row, column), place, side in zip(
        product(("independent", "hierarchy"), ("encoder", "decoder")), "abcd", sides, strict=True
    ):
        axes[place].imshow(side, cmap="RdBu_r", vmin=-1, vmax=1)
        for (latent, feature), value in zip(product(range(FEATURES), repeat=2), side.flatten().tolist(), strict=True):
            ink = "white" if abs(value) > 0.7 else "black"
            axes[place].text(feature, latent, f"{value:z.2f}", ha="center", va="center", color=ink, fontsize=8)
        axes[place].set(title=f"{row}: {column}", xlabel="feature", ylabel="latent", xticks=range(4), yticks=range(4))
    known = dict(zip(WORLDS, found, strict=True))
    for label, worlds, key in CURVES:
        points = sorted((getattr(world, key), known[world].parent(JOINT).mean().item()) for world in worlds)
        axes["e"].plot(*zip(*points, strict=True), "o-", label=label)
    axes["e"].set(
        title="The parent's latent where the child is there",
        xlabel="probability",
        ylabel="activation",
        ylim=(-0.05, 1.05),
    )
    axes["e"].legend(fontsize=8, loc="center left")
    return figure
