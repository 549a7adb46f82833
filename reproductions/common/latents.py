"""An autoencoder at the site that it was trained on: what its latents write, look for, and answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.autoencoders import ordinary


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The n latents of an autoencoder (any of sae-lens' form) at a hook point of width d_model."""

    site: str
    sae: Any

    @property
    def layer(self) -> int:
        """The layer that the site belongs to."""
        return layer_of(self.site)

    @property
    def n(self) -> int:
        """How many latents it has."""
        return len(self.sae.W_dec)

    @property
    def directions(self) -> Tensor:
        """What each latent writes, rows of the decoder: [n, d_model]."""
        rows: Tensor = self.sae.W_dec
        return rows

    @property
    def readers(self) -> Tensor:
        """What each latent looks for, columns of the encoder: [n, d_model]."""
        columns: Tensor = self.sae.W_enc.T
        return columns

    def ordinary(self, values: Tensor) -> Tensor:
        """Which of the values [..., d_model] are no outliers, on which the autoencoder was not trained: [...]."""
        return ordinary(self.sae, values)

    @torch.no_grad()
    def codes(self, values: Tensor) -> Tensor:
        """Values [..., d_model] to activations [..., n]; a latent is active if and only if the autoencoder says so."""
        codes: Tensor = self.sae.encode(values)
        return codes

    @torch.no_grad()
    def reconstructed(self, values: Tensor) -> Tensor:
        """What the autoencoder makes of values [..., d_model]; outliers pass as they are."""
        decoded = self.sae.decode(self.sae.encode(values))
        return torch.where(self.ordinary(values)[..., None], decoded, values)
