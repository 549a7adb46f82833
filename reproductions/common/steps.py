"""Keeping what the expensive parts of a run found, so that a run that was interrupted can go on.

The runner leaves `plan.json` in a run directory: `fingerprint`, a hash of all that numbers hang on, and `attempt`, how
often the run has been gone on with. A step's result is kept beside it as `steps/<name>.safetensors`, the tensors, and
`steps/<name>.json`, everything else; the second is written last, and holds the hash that makes the two valid. Nothing
of a file is ever executed: it can name no class but a frozen dataclass of this project.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
import torch

from reproductions.common.files import write_bytes, write_text

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,80}")
CLASS = re.compile(r"(reproductions(?:\.[a-z_][a-z0-9_]*)+):([A-Za-z_]\w*)")
FAULTS = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError)

Found = TypeVar("Found")
Tensors = dict[str, torch.Tensor]


class StepError(ValueError):
    """A result cannot be kept, or what was kept cannot be used; the message says why."""


def step(folder: Path, name: str, compute: Callable[[], Found]) -> Found:
    """What `compute` finds, or what it found in this run before an interruption.

    Raises:
        StepError: the name cannot name a file or was used before, or the result holds what cannot be kept.
    """
    if not NAME.fullmatch(name):
        raise StepError(f"{name!r} cannot name a step: use small letters, digits, '_', '-' and '.'")
    run = _Run.of(folder)
    if run is None:
        return compute()
    try:
        found = run.take(name)
    except FAULTS as error:
        print(f"step {name}: what was kept is of no use and is computed again ({_first_line(error)})")
        return run.compute(name, compute)
    return run.compute(name, compute) if found is None else found.value


@dataclass(frozen=True)
class _Kept:
    value: Any


@dataclass(frozen=True)
class _Run:
    """A run directory that steps are kept in."""

    folder: Path
    fingerprint: str
    attempt: int

    @classmethod
    def of(cls, folder: Path) -> _Run | None:
        """None where no runner has left a plan: a notebook run by hand."""
        plan = folder / "plan.json"
        if not plan.is_file():
            return None
        content = json.loads(plan.read_text(encoding="utf8"))
        return cls(folder / "steps", content["fingerprint"], content["attempt"])

    def take(self, name: str) -> _Kept | None:
        """A step's result, if one is kept."""
        described = self.folder / f"{name}.json"
        if not described.exists():
            return None
        content = json.loads(described.read_text(encoding="utf8"))
        if content["fingerprint"] != self.fingerprint:
            raise StepError("it is another run's")
        if content["attempt"] == self.attempt:
            raise DuplicateError(f"two steps of this notebook are called {name!r}; each needs a name of its own")
        body = (self.folder / f"{name}.safetensors").read_bytes()
        if _digest(content["value"], body) != content["sha256"]:
            raise StepError("the files are damaged")
        value = decode(json.loads(content["value"]), safetensors.torch.load(body))
        print(f"step {name}: taken over from before the interruption")
        return _Kept(value)

    def compute(self, name: str, compute: Callable[[], Found]) -> Found:
        """Compute a step, and keep what it found."""
        wall, cpu = time.monotonic(), time.process_time()
        found = compute()
        spent = {"wall_s": round(time.monotonic() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
        skeleton, tensors = encode(found, f"the result of step {name!r}")
        try:
            self._write(name, json.dumps(skeleton), safetensors.torch.save(tensors), spent)
        except OSError as error:
            print(f"step {name}: could not be kept ({error}); the run goes on")
        return found

    def _write(self, name: str, value: str, body: bytes, spent: dict[str, float]) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        write_bytes(self.folder / f"{name}.safetensors", body)
        origin = {"step": name, "fingerprint": self.fingerprint, "attempt": self.attempt}
        content = origin | spent | {"sha256": _digest(value, body), "value": value}
        write_text(self.folder / f"{name}.json", json.dumps(content))


def _digest(value: str, body: bytes) -> str:
    return hashlib.sha256(value.encode() + body).hexdigest()


# Values as JSON. A JSON array is always [kind, ...]; whatever is no container stands for itself.


def encode(value: Any, what: str = "the value") -> tuple[Any, Tensors]:
    """A value as JSON, and the tensors that it refers to by number; `what` names it in messages.

    Raises:
        StepError: it holds something other than tensors, arrays, numbers, text, None, lists, tuples, dicts and frozen
            dataclasses of this project.
    """
    encoder = _Encoder()
    return encoder.encode(value, what), encoder.tensors


@dataclass
class _Encoder:
    tensors: Tensors = field(default_factory=dict)

    def encode(self, value: Any, what: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind in (list, tuple):
            return [kind.__name__, *(self.encode(item, f"{what}[{index}]") for index, item in enumerate(value))]
        if kind is dict:
            pairs = [
                [self.encode(key, f"a key of {what}"), self.encode(value[key], f"{what}[{key!r}]")] for key in value
            ]
            return ["dict", *pairs]
        if isinstance(value, torch.Tensor):
            return ["tensor", self._store(value.detach()), str(value.device)]
        if isinstance(value, np.ndarray | np.generic):
            return ["array" if kind is np.ndarray else "number", self._store(_as_tensor(value, what))]
        fields = {name: self.encode(part, f"{what}.{name}") for name, part in _fields(value, what).items()}
        return ["object", f"{kind.__module__}:{kind.__qualname__}", fields]

    def _store(self, tensor: torch.Tensor) -> str:
        number = str(len(self.tensors))
        self.tensors[number] = tensor.cpu().clone(memory_format=torch.contiguous_format)
        return number


def _as_tensor(value: Any, what: str) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(value, order="C"))
    except TypeError:
        raise StepError(f"{what} is an array of {value.dtype}, which cannot be kept") from None


def _fields(value: Any, what: str) -> dict[str, Any]:
    """The fields of a frozen dataclass of this project."""
    kind = type(value)
    if not _is_ours(kind, f"{kind.__module__}:{kind.__qualname__}"):
        raise StepError(
            f"{what} is a {kind.__module__}.{kind.__qualname__}, which cannot be kept: return tensors, arrays, numbers, "
            "text, lists, tuples, dicts and frozen dataclasses of a module of this project"
        )
    return {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}


def _is_ours(kind: Any, name: str) -> bool:
    """Whether a class is a frozen dataclass of this project that goes by this name."""
    return bool(
        CLASS.fullmatch(name)
        and isinstance(kind, type)
        and dataclasses.is_dataclass(kind)
        and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        and name == f"{kind.__module__}:{kind.__qualname__}"
    )


def decode(node: Any, tensors: Tensors) -> Any:
    """The inverse of `encode`.

    Raises:
        StepError, and the usual errors of a lookup or conversion: it is not what `encode` makes.
    """
    if not isinstance(node, list):
        if node is None or type(node) in (bool, int, float, str):
            return node
        raise StepError(f"{type(node).__name__} stands where a value should")
    match node:
        case ["list", *items]:
            return [decode(item, tensors) for item in items]
        case ["tuple", *items]:
            return tuple(decode(item, tensors) for item in items)
        case ["dict", *pairs]:
            return {decode(key, tensors): decode(value, tensors) for key, value in pairs}
        case ["tensor", str(number), str(device)]:
            return tensors[number].to(device)
        case ["array", str(number)]:
            return tensors[number].numpy()
        case ["number", str(number)]:
            return tensors[number].numpy()[()]
        case ["object", str(name), dict(parts)]:
            return _object(name, {key: decode(part, tensors) for key, part in parts.items()})
    raise StepError(f"{node[:1]} is no kind of value")


def _object(name: str, parts: dict[str, Any]) -> Any:
    """A frozen dataclass from its fields as they were, whatever its constructor would make of them."""
    found = CLASS.fullmatch(name)
    kind = getattr(importlib.import_module(found[1]), found[2], None) if found else None
    if not _is_ours(kind, name):
        raise StepError(f"{name!r} is no frozen dataclass of this project")
    if parts.keys() != {part.name for part in dataclasses.fields(kind)}:  # type: ignore[arg-type]
        raise StepError(f"{name} has other fields now")
    made = object.__new__(kind)  # type: ignore[arg-type]
    for key, value in parts.items():
        object.__setattr__(made, key, value)
    return made


class DuplicateError(Exception):
    """A name stands for two steps: a fault of the notebook."""


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
