"""Keeping what the expensive parts of a run found, so that a run that was interrupted can go on.

The runner leaves `plan.json` in a run directory: `fingerprint`, a hash of all that numbers depend on, and `attempt`,
how often the run was gone on with. A step's result is kept beside it: its tensors as `steps/<name>.safetensors`, the
rest as `steps/<name>.json`, which is written last and holds the hash that makes the two valid.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from safetensors import SafetensorError

from reproductions.common.encoding import decode, encode
from reproductions.common.files import write_bytes, write_text
from reproductions.common.usage import cpu_seconds
from reproductions.common.workers import side_by_side

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,80}")
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError)

Found = TypeVar("Found")


class StepError(Exception):
    """A step is not named as it must be."""


class UnusableError(Exception):
    """What was kept of a step is of no use; the message says why."""


def step(folder: Path, name: str, compute: Callable[[], Found]) -> Found:
    """What `compute` finds, or what it found before this run was interrupted.

    Raises:
        StepError: the name cannot name a file, or stands for two steps.
        EncodingError: the result holds what cannot be kept.
    """
    if not NAME.fullmatch(name):
        raise StepError(f"{name!r} cannot name a step: use small letters, digits, '_', '-' and '.'")
    run = Run.of(folder)
    if run is None:
        return compute()
    if not run.has(name):
        return run.compute(name, compute)
    try:
        found: Found = run.take(name)
    except UnusableError as error:
        print(f"{name}: computed again, because what was kept is of no use: {error}")
        return run.compute(name, compute)
    print(f"{name}: taken over from before the interruption")
    return found


def steps(folder: Path, computations: Mapping[str, Callable[[], Found]]) -> list[Found]:
    """What several steps find that do not need each other, side by side where there are processors for it."""
    return side_by_side([partial(step, folder, name, compute) for name, compute in computations.items()])


@dataclass(frozen=True)
class Run:
    """A run directory whose steps are kept, in `folder`."""

    folder: Path
    fingerprint: str
    attempt: int

    @classmethod
    def of(cls, folder: Path) -> Run | None:
        """None where no runner has left a plan: the notebook is run by hand."""
        plan = folder / "plan.json"
        if not plan.is_file():
            return None
        content = json.loads(plan.read_text(encoding="utf8"))
        return cls(folder / "steps", content["fingerprint"], content["attempt"])

    def has(self, name: str) -> bool:
        """Whether anything is kept of a step."""
        return (self.folder / f"{name}.json").exists()

    def take(self, name: str) -> Any:
        """What is kept of a step.

        Raises:
            UnusableError: it is damaged, or another run's.
        """
        try:
            kept = json.loads((self.folder / f"{name}.json").read_text(encoding="utf8"))
            tensors = (self.folder / f"{name}.safetensors").read_bytes()
            self._check(name, kept, tensors)
            return decode(json.loads(kept["value"]), safetensors.torch.load(tensors))
        except (OSError, *MALFORMED) as error:
            raise UnusableError(f"its files are damaged ({type(error).__name__})") from error

    def compute(self, name: str, compute: Callable[[], Found]) -> Found:
        """Compute a step and keep what it found; a full disk does not end the run."""
        wall, cpu = time.monotonic(), cpu_seconds()
        found = compute()
        spent = {"wall_s": round(time.monotonic() - wall, 1), "cpu_s": round(cpu_seconds() - cpu, 1)}
        skeleton, tensors = encode(found, f"the result of {name}")
        try:
            self._write(name, json.dumps(skeleton), safetensors.torch.save(tensors), spent)
        except OSError as error:
            print(f"{name}: could not be kept, so that an interrupted run would compute it again: {error}")
        return found

    def _check(self, name: str, kept: dict[str, Any], tensors: bytes) -> None:
        if kept["fingerprint"] != self.fingerprint:
            raise UnusableError("it is of another run")
        if kept["attempt"] == self.attempt:
            raise StepError(f"{name!r} stands for two steps of this notebook; each needs a name of its own")
        if kept["sha256"] != _digest(kept["value"], tensors):
            raise UnusableError("its files are damaged (other bytes than were written)")

    def _write(self, name: str, value: str, tensors: bytes, spent: dict[str, float]) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        write_bytes(self.folder / f"{name}.safetensors", tensors)
        origin = {"step": name, "fingerprint": self.fingerprint, "attempt": self.attempt}
        content = origin | spent | {"sha256": _digest(value, tensors), "value": value}
        write_text(self.folder / f"{name}.json", json.dumps(content))


def _digest(value: str, tensors: bytes) -> str:
    return hashlib.sha256(value.encode() + tensors).hexdigest()
