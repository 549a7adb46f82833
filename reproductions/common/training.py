"""Training a small network: the same to the last bit each time, and also where a run was killed and gone on with.

    def loss(model, generator):  # draws all that is random in a step from that step's generator
        x = torch.randn(64, 10, generator=generator)
        return (model(x) - x).square().mean()

    model = seeded(0, lambda: torch.nn.Linear(10, 10))
    recipe = Recipe(steps=2000, every=50, optimiser=partial(Adam, lr=1e-3))
    curve = train("plain_0", model, loss, recipe, seed=0, folder=report.folder)

Several trainings are steps of a report (`report.steps`): each has a process of its own, and gives back what it found.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor
from torch.optim import Optimizer

from reproductions.common.encoding import decode, encode
from reproductions.common.files import write_bytes
from reproductions.common.progress import counting
from reproductions.common.steps import MALFORMED, NAME, Run, StepError

REST_S = 10.0  # seconds between two checkpoints, at least; they change no number

Adjust = Callable[[Optimizer, int], None]
Measure = Callable[[Any], Mapping[str, Any]]
Made = TypeVar("Made")


class TrainingError(ArithmeticError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: for so many steps, measured before the first, after every so many, and after the last.

    adjust: called with the optimiser and the step before an update, to clip gradients or to change the rate.
    """

    steps: int
    every: int
    optimiser: Callable[[Iterable[Tensor]], Optimizer]
    adjust: Adjust | None = None


@dataclass(frozen=True)
class Curve:
    """What a training went through.

    loss: of each step's batch, before its update [steps]. at: after how many updates the rest was measured [T].
    measured: by name [T, ...].
    """

    loss: Tensor
    at: tuple[int, ...]
    measured: dict[str, Tensor]

    def first_below(self, name: str, level: float) -> float:
        """After how many updates a measured number was first below a level; NaN if never."""
        return next((float(at) for at, value in zip(self.at, self.measured[name], strict=True) if value < level), nan)


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """What is made, such as a network, with a start that depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def generator_of(seed: int, step: int) -> torch.Generator:
    """The source of chance of one step; going on with a training needs no other."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))


def train(
    name: str,
    model: torch.nn.Module,
    loss: Callable[[Any, torch.Generator], Tensor],
    recipe: Recipe,
    *,
    seed: int,
    measure: Measure | None = None,
    folder: Path | None = None,
) -> Curve:
    """Train a network in place, on one thread.

    Args:
        name: of this training, unlike any other's of the notebook.
        measure: numbers and tensors of the network, by name.
        folder: of the run (`report.folder`), where a run that is gone on with takes up the last checkpoint.

    Raises:
        TrainingError: the loss is NaN or infinite.
        StepError: the name cannot name a file, or stands for two trainings.
    """
    state = _State(model, recipe.optimiser(model.parameters()), torch.zeros(recipe.steps))
    kept = _Checkpoint.of(folder, name, f"seed {seed}, {recipe.steps} steps, measured every {recipe.every}")
    with _one_thread(), counting(name, recipe.steps, "steps") as advance:
        if not (kept and kept.restore(state)):
            state.look(0, measure)
        advance(state.done)
        marks = [*range(0, recipe.steps, recipe.every), recipe.steps]
        for start, end in pairwise(mark for mark in marks if mark >= state.done):
            for step in range(start, end):
                state.update(loss(model, generator_of(seed, step)), step, recipe.adjust)
            _refuse_nan(name, state.loss[:end])
            state.look(end, measure)
            advance(end - start)
            if kept:
                kept.keep(state, last=end == recipe.steps)
    return state.curve()


@dataclass
class _State:
    """All that a training consists of between two updates."""

    model: torch.nn.Module
    optimiser: Optimizer
    loss: Tensor
    at: list[int] = field(default_factory=list)
    found: list[dict[str, Tensor]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.at[-1]

    def update(self, loss: Tensor, step: int, adjust: Adjust | None) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        if adjust:
            adjust(self.optimiser, step)
        self.optimiser.step()
        self.loss[step] = loss.detach()

    def look(self, step: int, measure: Measure | None) -> None:
        with torch.no_grad():
            found = measure(self.model) if measure else {}
        self.at.append(step)
        self.found.append({name: torch.as_tensor(value).detach().cpu().clone() for name, value in found.items()})

    def curve(self) -> Curve:
        measured = {name: torch.stack([found[name] for found in self.found]) for name in self.found[0]}
        return Curve(self.loss, tuple(self.at), measured)

    def content(self) -> list[Any]:
        return [dict(self.model.state_dict()), self.optimiser.state_dict(), self.loss, self.at, self.found]

    def take(self, content: list[Any]) -> None:
        weights, optimiser, self.loss, self.at, self.found = content
        self.model.load_state_dict(weights)
        self.optimiser.load_state_dict(optimiser)


def _refuse_nan(name: str, losses: Tensor) -> None:
    if len(bad := (~losses.isfinite()).nonzero()):
        raise TrainingError(f"{name}: the loss of step {int(bad[0])} is NaN or infinite; a lower rate may help")


@contextmanager
def _one_thread() -> Iterator[None]:
    """How many threads share a sum changes its last bits; a small network is no slower with one."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


class _Checkpoint:
    """A training's last state, beside the steps of its run; it ends with them when the run is complete."""

    def __init__(self, run: Run, name: str, settings: str) -> None:
        self.run, self.name, self.path = run, name, run.folder / f"{name}.checkpoint"
        self.origin = {"fingerprint": run.fingerprint, "settings": settings}
        self.written = time.monotonic()

    @classmethod
    def of(cls, folder: Path | None, name: str, settings: str) -> _Checkpoint | None:
        """None where no runner has left a plan: a script, or a notebook that is run by hand."""
        if not NAME.fullmatch(name):
            raise StepError(f"{name!r} cannot name a training: use small letters, digits, '_', '-' and '.'")
        run = Run.of(folder) if folder else None
        return cls(run, name, settings) if run else None

    def restore(self, state: _State) -> bool:
        """Take up the kept state; False if there is none."""
        if not self.path.exists():
            return False
        try:
            content = self._read()
        except (OSError, *MALFORMED) as error:
            print(f"{self.name}: trained anew, because its checkpoint is of no use: {error}")
            return False
        state.take(content)
        print(f"{self.name}: gone on with after {state.done:,} steps")
        return True

    def keep(self, state: _State, *, last: bool) -> None:
        """Write the state, if the last time is long enough ago; a full disk does not end the run."""
        if not last and time.monotonic() - self.written < REST_S:
            return
        skeleton, tensors = encode(state.content(), f"the state of {self.name}")
        about = self.origin | {"attempt": str(self.run.attempt), "value": json.dumps(skeleton)}
        try:
            self.run.folder.mkdir(exist_ok=True)
            content = safetensors.torch.save(tensors, about | {"sha256": _digest(about["value"], tensors)})
            write_bytes(self.path, content)
        except OSError as error:
            print(f"{self.name}: no checkpoint could be kept: {error}")
        self.written = time.monotonic()

    def _read(self) -> list[Any]:
        with safe_open(self.path, "pt") as file:
            about = file.metadata()
        tensors = safetensors.torch.load(self.path.read_bytes())
        if {key: about[key] for key in self.origin} != self.origin:
            raise ValueError("it is of another training")
        if about["sha256"] != _digest(about["value"], tensors):
            raise ValueError("other bytes than were written")
        if about["attempt"] == str(self.run.attempt):
            raise StepError(f"{self.name!r} stands for two trainings of this notebook; each needs a name of its own")
        return list(decode(json.loads(about["value"]), tensors))


def _digest(value: str, tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(value.encode() + safetensors.torch.save(tensors)).hexdigest()
