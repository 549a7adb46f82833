"""Hooks that stay on a model for many passes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Self


class Hooked:
    """A context in which its `hooks` are on the model; afterwards the model is as it was.

    TransformerLens finds hooks by their names each time they are put on, which costs more than a pass of a few tokens.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """Names of hook points, and what to call there."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        hooks = self.hooks()
        self._context = self.model.hooks(fwd_hooks=hooks) if hooks else nullcontext()
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)
