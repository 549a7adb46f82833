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
from reproductions.common.model import Model

Edit = Callable[[Tensor], Tensor]  # activations [batch, position, d] to what takes their place


class Edited(Hooked):
    """A context in which what passes the named hook points is edited; `past` tells how much text was read before."""

    def __init__(self, model: Model, edits: Mapping[str, Edit]) -> None:
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
def final_states(model: Model, tokens: Tensor, edits: Mapping[str, Edit] | None = None) -> Tensor:
    """What the unembedding reads [batch, position, d_model], after the final norm, for tokens [batch, position]."""
    with Edited(model, edits or {}):
        found: Tensor = model.original_model.base_model(tokens.to(model.W_E.device), use_cache=False).last_hidden_state
    return found


def unembed(model: Model, states: Tensor) -> Tensor:
    """Logits [..., vocabulary] of what the final norm gave [..., d_model]."""
    logits: Tensor = model.original_model.lm_head(states)
    return logits


def logit_lens(model: Model, states: Tensor) -> Tensor:
    """Logits [..., vocabulary] of states of the residual stream, or of directions in it, [..., d_model]."""
    return unembed(model, model.ln_final(states))


@torch.no_grad()
def generate(
    model: Model,
    prompts: Tensor,
    uniform: Tensor,
    edits: Mapping[str, Edit] | None = None,
    temperature: float = 0.75,
) -> Tensor:
    """Sampled tokens [batch, n] behind each prompt [batch, position], edited at every position but the first.

    uniform: numbers of [0, 1), [batch, n], each of which draws a token; a text does not depend on its neighbours.
    """
    cache, tokens, written = DynamicCache(), prompts.to(model.W_E.device), []
    with Edited(model, edits or {}) as edited:
        for drawn in uniform.to(model.W_E.device).split(1, dim=1):
            logits = model.original_model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
            edited.past = cache.get_seq_length()
            tokens = _sampled(logits / temperature, drawn)
            written.append(tokens)
    return torch.cat(written, dim=1)


def _sampled(logits: Tensor, uniform: Tensor) -> Tensor:
    """One token a row [batch, 1]: where the cumulative probability passes a uniform number [batch, 1]."""
    cumulative = logits.float().softmax(-1).cumsum(-1)
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:]).clamp(max=logits.shape[-1] - 1)
