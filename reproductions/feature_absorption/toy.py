"""The toy: four features, of which one implies another, and autoencoders with a latent for each of them.

Features f_0 (the parent), f_1 (the child), f_2, f_3 and the autoencoders are those of `planted_autoencoders`. (Section
on toy models; the weight of the sparsity term is ours.)

Why absorbing pays: where parent and child are both there, a latent each costs z_0 + z_1 = 1 + 1. One latent that
writes (f_0 + f_1) / sqrt(2) rebuilds the same with z = sqrt(2), if the parent's latent is silent there. Nothing is
lost as long as the child never comes alone.

Shapes: N autoencoders that are trained side by side, C = 16 cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common import planted_autoencoders
from reproductions.common.heatmaps import heatmap
from reproductions.common.metrics import Metric, mean_of, plain
from reproductions.common.planted_autoencoders import L1, Autoencoders, D, Planted, started

FEATURES, PARENT_RATE, OTHER_RATE = 4, 0.25, 0.05
PARENT, CHILD = 0, 1
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


def train(worlds: Sequence[World], seed: int, n: int, width: int = FEATURES) -> list[Planted]:
    """n autoencoders on each world."""
    return planted_autoencoders.train([world.probabilities() for world in worlds], n, width, seed)


def by_hand(features: Tensor, absorbing: bool, noise: float = 0.0) -> Planted:
    """A latent for each feature; or with the child's written as parent and child, and the parent's silent there.

    Each latent falls short of what it stands for by L1 / 2, where error and sparsity balance.
    """
    writes, reads, n = features.clone(), features.clone(), len(features)
    if absorbing:
        writes[:, CHILD] = (features[:, PARENT] + features[:, CHILD]) / 2**0.5
        reads[:, PARENT] = features[:, PARENT] - features[:, CHILD]
        reads[:, CHILD] = 2**0.5 * features[:, CHILD]
    parts = reads.mT, torch.full((n, 1, FEATURES), -L1 / 2), writes, torch.zeros(n, 1, D)
    drawn = torch.Generator().manual_seed(0)
    return Planted(features, Autoencoders(*(part + noise * torch.randn(part.shape, generator=drawn) for part in parts)))


def hole(found: Planted) -> Tensor:
    """How much less active the parent's latent is with the child there than alone, [N]."""
    return found.activation(PARENT, ALONE) - found.activation(PARENT, JOINT)


def child(found: Planted) -> Tensor:
    """The cosine of what the child's latent writes with the parent, [N]."""
    return found.cosines()[1][:, CHILD, PARENT]


def recovered(found: Planted) -> Tensor:
    """The cosine of the worst known feature with its best latent less that of another's features, [N]."""
    return found.worst(found.features) - found.worst(found.features.roll(1, 0))


def dearer(found: Planted, world: World) -> Tensor:
    """The loss of what was trained less that of a latent for each feature, [N]."""
    likely = world.probabilities()
    return found.losses(likely) - by_hand(found.features, absorbing=False).losses(likely)


def metrics(found: Sequence[Planted], spare: Planted | None = None) -> list[Metric]:
    """All numbers of the toy, of autoencoders of all `WORLDS` and perhaps of some with latents to spare."""
    independent, hierarchical = found[:2]
    features = independent.features
    untrained = Planted(features, started(len(features), FEATURES, torch.Generator().manual_seed(1)))
    of = {"": hierarchical, "_independent": independent, "_planted": by_hand(features, absorbing=True, noise=0.01)}
    units = {f"hole{suffix}": hole(one) for suffix, one in of.items()}
    units |= {f"child{suffix}": child(one) for suffix, one in of.items()}
    units |= {"hole_spare": hole(spare)} if spare else {}
    units |= {"recovered": recovered(independent), "recovered_untrained": recovered(untrained)}
    units |= {"dearer": dearer(hierarchical, HIERARCHICAL), "dearer_independent": dearer(independent, INDEPENDENT)}
    return [*(mean_of(name, values.tolist()) for name, values in units.items()), plain("saving", 2 - 2**0.5, 1)]


def draw(found: Sequence[Planted]) -> plt.Figure:
    """Cosines of one autoencoder of either world with the features, and when the parent's latent falls silent."""
    figure = plt.figure(figsize=(11, 4.8), layout="constrained")
    axes = figure.subplot_mosaic([["a", "b", "e"], ["c", "d", "e"]], width_ratios=(1, 1, 1.8))
    titles = ("independent: encoder", "independent: decoder", "hierarchy: encoder", "hierarchy: decoder")
    sides = [side[0] for one in found[:2] for side in one.cosines()]
    for place, title, side in zip("abcd", titles, sides, strict=True):
        heatmap(axes[place], side)
        axes[place].set(title=title, xlabel="feature", ylabel="latent")
    silence(axes["e"], dict(zip(WORLDS, found, strict=True)))
    return figure


def silence(axes: plt.Axes, found: dict[World, Planted]) -> None:
    """How active the parent's latent is where the child is there, by how both come."""
    for label, worlds, key in CURVES:
        active = {getattr(world, key): found[world].activation(PARENT, JOINT).mean().item() for world in worlds}
        axes.plot(*zip(*sorted(active.items()), strict=True), "o-", label=label)
    axes.set(title="The parent's latent where the child is there", xlabel="probability", ylabel="activation")
    axes.set_ylim(-0.05, 1.05)
    axes.legend(fontsize=8, loc="center left")
