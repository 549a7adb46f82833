"""Small autoencoders trained on planted features, many side by side, and what became of each feature in them.

Features f_i are orthonormal directions [d] and are there or not. What is there is summed up, x = sum of f_i, and an
autoencoder with k latents minimises, over what comes,

    |x^ - x|^2 + L1 sum_j z_j,    z = relu((x - b_dec) W_enc + b_enc),    x^ = z W_dec + b_dec,

with rows of W_dec of norm 1. With F features there are 2^F cases in all. A batch is therefore drawn as how often each
of them comes, and the loss that counts in the end is the expectation over the cases, with nothing sampled. Some starts
leave a latent that is never active, so that of several starts the one with the lowest loss counts.

Shapes: N autoencoders, F features, C = 2^F cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

D, L1, RATE, BATCH, STEPS, STARTS = 50, 0.05, 3e-3, 1024, 2000, 5


def cases(features: int) -> Tensor:
    """All cases of so many features, [C, F] of 0 and 1; the last feature changes from one case to the next."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * features)


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

    def losses(self, x: Tensor, weights: Tensor) -> Tensor:
        """Squared error and what sparsity costs [N], over points [N, C, d] of such weights [N, C]."""
        z = self.codes(x)
        error = (z @ normalize(self.W_dec, dim=-1) + self.b_dec - x).square().sum(-1)
        return (weights * (error + L1 * z.sum(-1))).sum(-1)

    def at(self, places: Tensor) -> Autoencoders:
        """Some of them."""
        return Autoencoders(*(part[places] for part in vars(self).values()))


@dataclass(frozen=True)
class Planted:
    """Autoencoders, and the features [N, F, d] that are planted in what each of them reads."""

    features: Tensor
    autoencoders: Autoencoders

    @property
    def points(self) -> Tensor:
        """All cases as points [N, C, d]."""
        return cases(self.features.shape[1]) @ self.features

    def losses(self, probabilities: Tensor) -> Tensor:
        """Expected losses [N] where cases have such probabilities [C] or [N, C]."""
        return self.autoencoders.losses(self.points, probabilities)

    def matched(self) -> Tensor:
        """Latents [N, k]: those that decoders give to the features one by one, then those to spare."""
        found = []
        for cosines in (normalize(self.autoencoders.W_dec, dim=-1) @ self.features.mT).numpy():
            latents, features = linear_sum_assignment(-cosines)
            own = [int(latent) for _, latent in sorted(zip(features, latents, strict=True))]
            found.append(own + [spare for spare in range(len(cosines)) if spare not in own])
        return torch.tensor(found)

    def cosines(self) -> tuple[Tensor, Tensor]:
        """Of encoder and decoder with the features, [N, k, F] each; latents stand in the order of their features."""
        own = self.autoencoders
        sides = (normalize(side, dim=-1) @ self.features.mT for side in (own.W_enc.mT, own.W_dec))
        encoder, decoder = (side.gather(1, self.matched()[..., None].expand_as(side)) for side in sides)
        return encoder, decoder

    def activation(self, feature: int, case: int) -> Tensor:
        """How active a feature's latent is in a case, [N]."""
        z = self.autoencoders.codes(self.points)[:, case]
        return z.gather(1, self.matched()[:, feature, None])[:, 0]

    def worst(self, directions: Tensor) -> Tensor:
        """The cosine of the decoder's best latent for that of the directions [N, F, d] that it knows least, [N]."""
        return (normalize(self.autoencoders.W_dec, dim=-1) @ directions.mT).amax(1).amin(-1)


def started(n: int, width: int, generator: torch.Generator) -> Autoencoders:
    """Autoencoders before training: random directions, the encoder the decoder's transpose, no biases."""
    directions = normalize(torch.randn(n, width, D, generator=generator), dim=-1)
    return Autoencoders(directions.mT.clone(), torch.zeros(n, 1, width), directions, torch.zeros(n, 1, D))


def train(worlds: Sequence[Tensor], n: int, width: int, seed: int) -> list[Planted]:
    """n autoencoders of a width for each world, which is the probabilities [C] of cases; the best of several starts."""
    generator, rows, known = torch.Generator().manual_seed(seed), len(worlds) * n, int(log2(len(worlds[0])))
    features = torch.linalg.qr(torch.randn(rows, D, known, generator=generator)).Q.mT.repeat_interleave(STARTS, 0)
    likely = torch.stack(list(worlds)).repeat_interleave(n * STARTS, 0)
    found = Planted(features, _descended(started(rows * STARTS, width, generator), features, likely, generator))
    best = found.losses(likely).view(-1, STARTS).argmin(1) + STARTS * torch.arange(rows)
    return [Planted(features[own], found.autoencoders.at(own)) for own in best.split(n)]


def _descended(found: Autoencoders, features: Tensor, likely: Tensor, generator: torch.Generator) -> Autoencoders:
    """Autoencoders after training by Adam on batches of cases that come with such probabilities [N, C]."""
    points = Planted(features, found).points
    parts = [part.requires_grad_() for part in vars(found).values()]
    adam = torch.optim.Adam(parts, lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        found.losses(points, torch.poisson(BATCH * likely, generator) / BATCH).sum().backward()
        adam.step()
    return Autoencoders(*(part.detach() for part in parts))
