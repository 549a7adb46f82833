"""Training one autoencoder on collected activations, with SAELens' trainer and its TopK architecture.

TopK, and not BatchTopK or JumpReLU: a token has the same number of active latents at any site, in any text and after
rounding to 8 bits, so that autoencoders and their baselines are compared at exactly equal sparsity, and whether a
latent fires depends on no threshold that was averaged over training batches.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reproductions.common.activation_files import chunks
from reproductions.common.autoencoders.shipped import Weights

if TYPE_CHECKING:
    from sae_lens import TopKTrainingSAE


@dataclass(frozen=True)
class Recipe:
    """How an autoencoder is trained; latents without a firing in `dead_after` tokens are trained on what is left."""

    k: int = 32
    expansion: int = 4  # latents a dimension
    epochs: int = 1
    batch: int = 1024
    learning_rate: float = 2e-3
    warm_up: float = 0.05  # share of the steps in which the rate grows
    decay: float = 0.3  # share of the steps, the last ones, in which it falls to zero
    dead_after: int = 100_000

    @property
    def variant(self) -> str:
        """What it does otherwise than the usual recipe, such as k8 or k8.x2; empty where that is nothing."""
        names = {f"k{self.k}": self.k != Recipe.k, f"x{self.expansion}": self.expansion != Recipe.expansion}
        return ".".join(name for name, differs in names.items() if differs)

    def steps(self, rows: int) -> int:
        """Steps of training on so many rows; rows that do not fill a batch are left out of each epoch."""
        return self.epochs * (rows // self.batch)


@dataclass(frozen=True)
class Scaling:
    """Rows are centred, and scaled to a mean squared norm of d; both are folded into the trained weights."""

    mean: Tensor  # [d]
    factor: float

    @classmethod
    def of(cls, rows: Tensor, device: str) -> Scaling:
        """The scaling of rows [n, d], summed in float64."""
        total, squares = torch.zeros(rows.shape[1], dtype=torch.float64, device=device), 0.0
        for chunk in chunks(rows, device):
            total += chunk.double().sum(0)
            squares += chunk.double().square().sum().item()
        mean = total / len(rows)
        variance = squares / len(rows) - mean.square().sum().item()
        return cls(mean.float(), (rows.shape[1] / variance) ** 0.5)


def train(rows: Tensor, recipe: Recipe, name: str, seed: int, device: str) -> Weights:
    """An autoencoder of rows [n, d]; its start and the order of the rows depend on its name and seed.

    Two sites, or recipes, never share a start: autoencoders that do match each other better than their data warrants.
    """
    number = zlib.crc32(f"{name} {seed}".encode())
    scaling = Scaling.of(rows, device)
    with torch.random.fork_rng():
        torch.manual_seed(number)
        sae = _fit(_batches(rows, scaling, recipe, number, device), rows.shape, recipe, device)
    return _folded(sae, scaling)


def _fit(batches: Iterator[Tensor], shape: tuple[int, ...], recipe: Recipe, device: str) -> TopKTrainingSAE:
    from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig

    steps, d_in = recipe.steps(shape[0]), shape[1]
    config = SAETrainerConfig(
        total_training_samples=steps * recipe.batch,
        train_batch_size_samples=recipe.batch,
        lr=recipe.learning_rate,
        lr_end=recipe.learning_rate,
        lr_warm_up_steps=max(2, round(recipe.warm_up * steps)),
        lr_decay_steps=round(recipe.decay * steps),
        dead_feature_window=max(1, recipe.dead_after // recipe.batch),
        device=device,
    )
    d_sae = recipe.expansion * d_in
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d_in, d_sae=d_sae, k=recipe.k, device=device))
    return SAETrainer(config, sae, batches).fit()


def _batches(rows: Tensor, scaling: Scaling, recipe: Recipe, seed: int, device: str) -> Iterator[Tensor]:
    """Full batches of scaled rows, in a new random order in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.randperm(len(rows), generator=generator).split(recipe.batch):
            if len(chosen) == recipe.batch:
                yield (rows[chosen.to(rows.device)].to(device).float() - scaling.mean) * scaling.factor


@torch.no_grad()
def _folded(sae: TopKTrainingSAE, scaling: Scaling) -> Weights:
    """The weights for rows as they are, with decoder rows of norm 1."""
    sae.fold_activation_norm_scaling_factor(scaling.factor)
    sae.fold_W_dec_norm()
    return Weights(sae.W_enc.data, sae.b_enc.data, sae.W_dec.data, sae.b_dec.data + scaling.mean)
