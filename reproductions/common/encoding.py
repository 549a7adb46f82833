"""A value as JSON and tensors, and back: for results that are kept in files. Nothing of such a file is ever executed.

A JSON array is always [kind, ...]; whatever holds nothing stands for itself. A file can name no class but a frozen
dataclass of this project, which is filled without its constructor.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

CLASS = re.compile(r"(reproductions(?:\.[a-z_][a-z0-9_]*)+):([A-Za-z_]\w*)")
KEPT = "tensors, arrays, numbers, text, None, lists, tuples, dicts and frozen dataclasses of this project's modules"

Tensors = dict[str, torch.Tensor]


class EncodingError(ValueError):
    """A value cannot be kept, or what was kept cannot be read; the message says why."""


def encode(value: Any, what: str = "the value") -> tuple[Any, Tensors]:
    """A value as JSON, and the tensors that it refers to by number; `what` names it in messages.

    Raises:
        EncodingError: it holds something that cannot be kept.
    """
    encoder = _Encoder()
    return encoder.encode(value, what), encoder.tensors


def decode(node: Any, tensors: Tensors) -> Any:
    """The inverse of `encode`.

    Raises:
        EncodingError: it is not what `encode` makes.
    """
    try:
        return _Decoder(tensors).decode(node)
    except (LookupError, TypeError, ValueError, AttributeError, ImportError, RuntimeError) as error:
        raise EncodingError(f"not what was kept: {error}") from error


class _Encoder:
    def __init__(self) -> None:
        self.tensors: Tensors = {}

    def encode(self, value: Any, what: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind in (list, tuple):
            return [kind.__name__, *(self.encode(item, f"{what}[{index}]") for index, item in enumerate(value))]
        if kind is dict:
            return ["dict", *([self.encode(key, what), self.encode(value[key], f"{what}[{key!r}]")] for key in value)]
        if isinstance(value, torch.Tensor):
            return ["tensor", self._store(value.detach()), str(value.device)]
        if isinstance(value, np.ndarray | np.generic):
            return ["array" if kind is np.ndarray else "number", self._store(_as_tensor(value, what))]
        fields = {name: self.encode(part, f"{what}.{name}") for name, part in _fields(value, what).items()}
        return ["object", _name(kind), fields]

    def _store(self, tensor: torch.Tensor) -> str:
        number = str(len(self.tensors))
        self.tensors[number] = tensor.cpu().clone(memory_format=torch.contiguous_format)
        return number


class _Decoder:
    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    def decode(self, node: Any) -> Any:
        if node is None or isinstance(node, bool | int | float | str):
            return node
        kind, *parts = node
        if kind not in self.READERS:
            raise EncodingError(f"there is no kind {kind!r}")
        return self.READERS[kind](self, *parts)

    def _list(self, *items: Any) -> list[Any]:
        return [self.decode(item) for item in items]

    def _tuple(self, *items: Any) -> tuple[Any, ...]:
        return tuple(self._list(*items))

    def _dict(self, *pairs: Any) -> dict[Any, Any]:
        return {self.decode(key): self.decode(value) for key, value in pairs}

    def _tensor(self, number: str, device: str) -> torch.Tensor:
        return self.tensors[number].to(device)

    def _array(self, number: str) -> np.ndarray:
        return self.tensors[number].numpy()

    def _number(self, number: str) -> Any:
        return self._array(number)[()]

    def _object(self, name: str, parts: dict[str, Any]) -> Any:
        """A frozen dataclass with its fields as they were, whatever its constructor would make of them."""
        kind = _class(name)
        if parts.keys() != {part.name for part in dataclasses.fields(kind)}:
            raise EncodingError(f"{name} has other fields now")
        made: Any = object.__new__(kind)
        for key, part in parts.items():
            object.__setattr__(made, key, self.decode(part))
        return made

    READERS: ClassVar[dict[str, Callable[..., Any]]] = {
        "list": _list,
        "tuple": _tuple,
        "dict": _dict,
        "tensor": _tensor,
        "array": _array,
        "number": _number,
        "object": _object,
    }


def _as_tensor(value: Any, what: str) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError):
        raise EncodingError(f"{what} is an array of {value.dtype}, which cannot be kept") from None


def _fields(value: Any, what: str) -> dict[str, Any]:
    kind = type(value)
    if not _is_ours(kind, _name(kind)):
        raise EncodingError(f"{what} is a {kind.__module__}.{kind.__qualname__}, which cannot be kept: use {KEPT}")
    return {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str) -> Any:
    match = CLASS.fullmatch(name)
    kind = getattr(importlib.import_module(match[1]), match[2], None) if match else None
    if not _is_ours(kind, name):
        raise EncodingError(f"{name!r} is no frozen dataclass of this project")
    return kind


def _is_ours(kind: Any, name: str) -> bool:
    """Whether a class is a frozen dataclass of this project that goes by this name."""
    if not isinstance(kind, type) or "__dataclass_params__" not in vars(kind):
        return False
    return CLASS.fullmatch(name) is not None and name == _name(kind) and vars(kind)["__dataclass_params__"].frozen
