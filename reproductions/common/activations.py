"""Activations at named sites of a model, read while text runs through it; what comes after the last site is not run.

A site is what a block leaves in the residual stream (`blocks.7.hook_resid_post`), or what its attention
(`blocks.7.hook_attn_out`) or its MLP (`blocks.7.hook_mlp_out`) adds to it: after a norm of their own where a model has
one, so that the residual stream after a block is that before it plus the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.common.model import Model

SITE = re.compile(r"blocks\.(\d+)\.hook_(?:resid_post|attn_out|mlp_out)")
BATCH = 32  # sequences in one pass
# A token whose norm is above this many times the site's median is an outlier. Nearly all tokens lie below twice the
# median; attention sinks, in early layers of SmolLM2 one token in forty, lie at three to nine times and would hold half
# of the variance, in a single dimension.
OUTLIER = 3.0


class SiteError(Exception):
    """A site that the model does not have; the message names what there is."""


def layer_of(site: str) -> int:
    """The layer of a site.

    Raises:
        SiteError: it is not the name of one.
    """
    found = SITE.fullmatch(site)
    if not found:
        raise SiteError(f"{site!r} is no site: write blocks.7.hook_resid_post, blocks.7.hook_mlp_out or …hook_attn_out")
    return int(found[1])


class Reader(Hooked):
    """Reads the sites in each pass; a context, in which the hooks stay on the model.

    Raises:
        SiteError: the model has no such site.
    """

    def __init__(self, model: Model, sites: Sequence[str]) -> None:
        super().__init__(model)
        self.sites = tuple(sites)
        self._after = max(map(layer_of, sites)) + 1
        if self._after > model.cfg.n_layers:
            raise SiteError(f"the model has layers 0 to {model.cfg.n_layers - 1}, none for {', '.join(sites)}")
        self._read: dict[str, Tensor] = {}

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on each site."""
        return [(site, self._hook(site)) for site in self.sites]

    @torch.no_grad()
    def read(self, tokens: Tensor) -> dict[str, Tensor]:
        """The activations [batch, position, d] of each site for tokens [batch, position]."""
        tokens = tokens.to(self.model.W_E.device)
        if self._after < self.model.cfg.n_layers:
            self.model(tokens, stop_at_layer=self._after)
        else:
            self.model.original_model.base_model(tokens, use_cache=False)  # all but the unembedding
        return self._read

    def _hook(self, site: str) -> Callable[..., None]:
        def keep(activation: Tensor, hook: Any) -> None:
            self._read[site] = activation

        return keep


def activations(model: Model, sites: Sequence[str], tokens: Tensor, batch: int = BATCH) -> Iterator[dict[str, Tensor]]:
    """For one batch of sequences after the other, the activations [sequences, positions - 1, d] of each site.

    Position 0 is left out: what stands there is the same in every text, and many times larger than anything else.
    """
    with Reader(model, sites) as reader:
        for rows in tokens.split(batch):
            yield {site: found[:, 1:] for site, found in reader.read(rows).items()}


def norm_limit(rows: Tensor) -> float:
    """The norm above which a token is an outlier, told from a sample of rows [n, d]."""
    return OUTLIER * rows.float().norm(dim=-1).median().item()
