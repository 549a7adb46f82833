"""Hooks that stay on a model for many passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self
from weakref import WeakKeyDictionary

from reproductions.common.model import Model

_points: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def hook_points(model: Model) -> dict[str, Any]:
    """A model's hook points by name; TransformerLens takes as long to list them as a pass of a few tokens takes."""
    if model not in _points:
        _points[model] = dict(model.hook_dict)
    return _points[model]


class Hooked:
    """A context in which its `hooks` are on the model; afterwards the model is as it was."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """Names of hook points, and what to call there."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        for name, hook in self.hooks():
            hook_points(self.model)[name].add_hook(hook, level=id(self))
        return self

    def __exit__(self, *error: Any) -> None:
        for name, _ in self.hooks():
            hook_points(self.model)[name].remove_hooks("fwd", level=id(self))
