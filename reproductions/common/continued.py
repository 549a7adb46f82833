"""A model's blocks for texts that all begin alike: the beginning is run once, and then only what follows it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from reproductions.common.model import Model


class Continued:
    """The blocks of a model for states [n, T, d] of what follows `shared` [P]; T is that of `follows` [1, T].

    Gradients pass through; what stands in `shared` is fixed.
    """

    def __init__(self, model: Model, shared: Tensor, follows: Tensor) -> None:
        self.model = model
        self._calls: list[Any] = []  # what blocks are given: states, then what fits any batch, and the cache
        self._shared: list[Any] = []  # keys and values, a pair for each block
        self._read(shared, follows)
        self._placed = self._calls[0][0][0] - model(follows, stop_at_layer=0)  # where positions are added to words

    @torch.no_grad()
    def _read(self, shared: Tensor, follows: Tensor) -> None:
        base, cache = self.model.original_model.base_model, DynamicCache()
        base(shared[None], past_key_values=cache, use_cache=True)
        self._shared += [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[union-attr]
        hooks = [
            block.register_forward_pre_hook(lambda _, *given: self._calls.append(given), with_kwargs=True)
            for block in self.model.blocks
        ]
        base(follows, past_key_values=cache, use_cache=True)
        for hook in hooks:
            hook.remove()

    def __len__(self) -> int:
        return len(self._calls)

    @torch.no_grad()
    def embedded(self, tokens: Tensor) -> Tensor:
        """The states before the first block [n, T, d] for tokens [n, T]."""
        found: Tensor = self.model(tokens, stop_at_layer=0) + self._placed
        return found

    def run(self, x: Tensor, first: int, after: int) -> Tensor:
        """The states before block `after`, for those before block `first`."""
        for block in range(first, after):
            (_, *args), kwargs = self._calls[block]
            cache = self._cache(block, len(x))
            args = [cache if isinstance(given, Cache) else given for given in args]
            named = {name: cache if isinstance(given, Cache) else given for name, given in kwargs.items()}
            found = self.model.blocks[block](x, *args, **named)
            x = found[0] if isinstance(found, tuple) else found
        return x

    def _cache(self, block: int, n: int) -> DynamicCache:
        """What a block made of the beginning, for n texts."""
        cache = DynamicCache()
        keys, values = (part.expand(n, -1, -1, -1) for part in self._shared[block])
        cache.update(keys, values, block)
        return cache
