"""A tiny model with small random autoencoders on it."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import Weights
from reproductions.common.latents import Dictionary
from reproductions.output_centric.features import MLP, RESIDUAL, SITES, Latents
from tests.common.tiny_bridge import WIDTH, tiny_llama

LATENTS, ACTIVE = 40, 4

__all__ = ["LATENTS", "WIDTH", "latents_of", "random_weights", "tiny_latents", "tiny_llama", "tiny_model"]


def tiny_model(folder: Path) -> Any:
    """Three layers of a random Llama with 51 tokens, of which the first opens every text."""
    return tiny_llama(folder)


def random_weights(n: int = LATENTS, d: int = WIDTH, seed: int = 0) -> Weights:
    """Latents that read along what they write, in random directions of norm 1."""
    drawn = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    directions: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return Weights(directions.T.contiguous(), torch.zeros(n), directions, torch.zeros(d))


def latents_of(weights: Weights, site: str, k: int = ACTIVE, outlier_norm: float = math.inf) -> Latents:
    """An autoencoder of a site of the tiny model, as `features.sources` would give it."""
    sae = as_topk(weights, k, "tiny/model", site, "cpu")
    sae.cfg.metadata.outlier_norm = outlier_norm
    return Latents(Dictionary(site, sae), RESIDUAL if site.endswith(SITES[RESIDUAL]) else MLP)


def tiny_latents(
    site: str = "blocks.1.hook_resid_post", n: int = LATENTS, k: int = ACTIVE, seed: int = 0, limit: float = math.inf
) -> Latents:
    """A random autoencoder of a site; tokens with a norm above `limit` excite nothing."""
    return latents_of(random_weights(n, seed=seed), site, k, limit)
