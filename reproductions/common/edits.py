"""Activations replaced while a model runs, and text that a model writes meanwhile.

Position 0 is left as it is: what stands there is the same in every text, and no autoencoder here was trained on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from reproductions.common.hooks import Hooked

Edit = Callable[[Tensor], Tensor]  # activations [batch, position, d] to what takes their place


class Edited(Hooked):
    """A context in which what passes the named hook points is edited; `past` tells how much text was read before."""

    def __init__(self, model: Any, edits: Mapping[str, Edit]) -> None:
        super().__init__(model)
        self.edits = edits
        self.past = 0

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One for each edit."""
        return [(name, self._hook(edit)) for name, edit in self.edits.items()]

    def _hook(self, edit: Edit) -> Callable[..., Tensor]:
        def replace(activation: Tensor, hook: Any) -> Tensor:
            first = 0 if self.past else 1
            return torch.cat([activation[:, :first], edit(activation[:, first:])], dim=1)

        return replace


@torch.no_grad()
def final_states(model: Any, tokens: Tensor, edits: Mapping[str, Edit] | None = None) -> Tensor:
    """What the unembedding reads [batch, position, d_model], after the final norm, for tokens [batch, position]."""
    with Edited(model, edits or {}):
        found: Tensor = model.original_model.base_model(tokens.to(model.W_E.device), use_cache=False).last_hidden_state
    return found


def unembed(model: Any, states: Tensor) -> Tensor:
    """Logits [..., vocabulary] of what the final norm gave [..., d_model]."""
    logits: Tensor = model.original_model.lm_head(states)
    return logits


@torch.no_grad()
def generate(
    model: Any,
    prompts: Tensor,
    n: int,
    generator: torch.Generator,
    edits: Mapping[str, Edit] | None = None,
    temperature: float = 0.75,
) -> Tensor:
    """n sampled tokens [batch, n] behind each prompt [batch, position], edited at every position but the first."""
    cache, tokens, written = DynamicCache(), prompts.to(model.W_E.device), []
    with Edited(model, edits or {}) as edited:
        for _ in range(n):
            logits = model.original_model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
            edited.past = cache.get_seq_length()
            tokens = _sampled(logits / temperature, generator)
            written.append(tokens)
    return torch.cat(written, dim=1)


def _sampled(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One token a row [batch, 1]: where the cumulative probability passes a uniform number."""
    cumulative = logits.float().softmax(-1).cumsum(-1)
    drawn = torch.rand(len(logits), 1, generator=generator).to(logits.device) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, drawn).clamp(max=logits.shape[-1] - 1)
