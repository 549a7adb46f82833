"""Random TopK autoencoders around a layer of a tiny random model, and texts for it to read."""

from typing import Any

import torch

from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import Weights
from reproductions.common.latents import Dictionary
from reproductions.feature_flow.groups import Texts
from reproductions.feature_flow.method import MODULES, Matches, Predecessors
from reproductions.feature_flow.windows import Window, window_sites

LATENTS, K, LENGTH = 40, 6, 12


def tiny_window(model: Any, layer: int = 1, outlier_norm: float | None = None) -> Window:
    """Around a layer: 40 latents each, 6 of them active at a time."""
    sites = window_sites(layer)
    return Window(*(_dictionary(site, model.cfg.d_model, seed, outlier_norm) for seed, site in enumerate(sites)))


def _dictionary(site: str, width: int, seed: int, outlier_norm: float | None) -> Dictionary:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(LATENTS, width, generator=generator))
    weights = Weights(rows.T.contiguous(), torch.zeros(LATENTS), rows, 0.1 * torch.ones(width))
    sae = as_topk(weights, K, "tiny/model", site, "cpu")
    sae.cfg.metadata.outlier_norm = outlier_norm
    return Dictionary(site, sae)


def tiny_texts(n: int = 4, words: int = 50, kinds: tuple[str, ...] = ("prose", "technical")) -> Texts:
    """Random texts, half of each kind, opened by token 0."""
    tokens = torch.randint(1, words, (n, LENGTH), generator=torch.Generator().manual_seed(5))
    tokens[:, 0] = 0
    return Texts(tokens, tuple(kinds[number * len(kinds) // n] for number in range(n)))


def random_predecessors(k: int = 1, seed: int = 0) -> Predecessors:
    """k random matches, all different, of each latent in each module."""
    generator = torch.Generator().manual_seed(seed)

    def matches() -> Matches:
        scores = torch.rand(LATENTS, k, generator=generator).sort(descending=True).values
        return Matches(scores, torch.rand(LATENTS, LATENTS, generator=generator).argsort(1)[:, :k], LATENTS)

    return Predecessors(*(matches() for _ in MODULES))
