"""A model's blocks one by one, on any states: what comes before an edit need not be run again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model

BATCH = 8  # texts in a pass


class Blocks:
    """The blocks of a model for states [batch, T, d]; T is that of `tokens` [batch, T]."""

    def __init__(self, model: Model, tokens: Tensor) -> None:
        self.model = model
        self._calls: list[Any] = []  # what blocks are given: states, then masks and positions, which fit any batch
        hooks = [
            block.register_forward_pre_hook(lambda _, *given: self._calls.append(given), with_kwargs=True)
            for block in model.blocks
        ]
        with torch.no_grad():
            model.original_model.base_model(tokens[:1], use_cache=False)
        for hook in hooks:
            hook.remove()

    def __len__(self) -> int:
        return len(self._calls)

    @torch.no_grad()
    def run(self, block: int, x: Tensor) -> Tensor:
        """The states after a block, for those before it."""
        (args, kwargs), y = self._calls[block], torch.empty_like(x)
        for rows, place in zip(x.split(BATCH), y.split(BATCH), strict=True):
            found = self.model.blocks[block](rows, *args[1:], **kwargs)
            place.copy_(found[0] if isinstance(found, tuple) else found)
        return y

    @torch.no_grad()
    def states(self, tokens: Tensor) -> Iterator[Tensor]:
        """The states before the first block, and after each."""
        yield (x := self.model(tokens, stop_at_layer=0))
        for block in range(len(self)):
            yield (x := self.run(block, x))

    @torch.no_grad()
    def final(self, start: int, x: Tensor) -> Tensor:
        """What the unembedding reads, after the final norm, for the states before block `start`."""
        for block in range(start, len(self)):
            x = self.run(block, x)
        final: Tensor = self.model.ln_final(x)
        return final
