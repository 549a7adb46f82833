"""What a method may ask of a model: the members of TransformerLens' `TransformerBridge` that are in use here.

Shapes: d = d_model, h = d_head, V tokens in the vocabulary, n texts of T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

Hook = Callable[..., Any]  # takes what passes a point, and the point; gives back what goes on, or None for the same


class Config(Protocol):
    """A model's shape."""

    n_layers: int
    n_heads: int
    n_ctx: int
    d_model: int
    model_name: str


class Model(Protocol):
    """A model with hooks on it, its raw weights and its tokenizer.

    W_E and W_U embed and unembed, [V, d] and [d, V]; W_V and W_O are those of every layer, grouped heads not repeated.
    `blocks` follow each other, `hook_dict` has every point by its name; `original_model` is the one of the transformers
    library underneath.
    """

    cfg: Config
    tokenizer: Any
    blocks: Sequence[Any]
    original_model: Any
    ln_final: Any
    unembed: Any
    hook_dict: Mapping[str, Any]
    W_E: Tensor
    W_U: Tensor
    W_V: Tensor
    W_O: Tensor

    def __call__(self, tokens: Tensor, **options: Any) -> Any:
        """Logits [n, T, V] of tokens [n, T]."""

    def to_tokens(self, text: str | list[str], **options: Any) -> Tensor:
        """A text's tokens [1, T], opened by the tokenizer's first special token."""

    def to_string(self, tokens: Any) -> Any:
        """Tokens as text."""

    def run_with_cache(self, tokens: Tensor, **options: Any) -> tuple[Any, Any]:
        """What the model puts out, and what passed the points that were asked for, by their names."""

    def hooks(self, fwd_hooks: Iterable[tuple[str, Hook]]) -> AbstractContextManager[Any]:
        """While it lasts, each hook is called with what passes its point."""
