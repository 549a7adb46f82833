"""Going on with a run that was interrupted: what its directory keeps for that, and when it may be used.

`plan.json`, written before the kernel starts, says what was asked, all that numbers depend on, and how often the run
was gone on with. `steps/` holds what expensive parts found (`reproductions.common.steps`). Neither outlives completion.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from picks.run import provenance
from picks.run.arguments import parse
from picks.run.dependence import changed, dependence, in_words
from picks.run.plan import Plan
from reproductions.common import dictionaries
from reproductions.common.catalogue import OWN
from reproductions.common.errors import UserError
from reproductions.common.files import write_json

PLAN, STEPS, RESULTS = "plan.json", "steps", "results.json"
KEYS = ("asked", "depends_on", "fingerprint", "commit", "changes", "started", "attempt")
OUTPUTS = ("reported.json", "figures", "data")  # of an interrupted attempt, made anew
NOT_CODE = ("results", "__pycache__")


@dataclass(frozen=True)
class Step:
    """A step that is kept: in which attempt it was computed, and what it took."""

    name: str
    attempt: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Attempt:
    """One try at a run: its directory, when the first one began, and how many came before it."""

    folder: Path
    started: str
    number: int
    fingerprint: str

    def kept(self) -> list[Step]:
        """The steps that are kept, in the order in which they were computed."""
        paths = sorted((self.folder / STEPS).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [step for path in paths if (step := _step(path, self.fingerprint))]

    def taken_over(self) -> list[Step]:
        """The steps that this attempt did not compute itself."""
        return [step for step in self.kept() if step.attempt < self.number]

    def clear(self) -> None:
        """The run is complete: what was kept to go on with it is of no more use."""
        shutil.rmtree(self.folder / STEPS, ignore_errors=True)
        (self.folder / PLAN).unlink(missing_ok=True)


def begin(plan: Plan, given: Mapping[str, str], folder: Path) -> Attempt:
    """Leave in a fresh run directory what is needed to go on with the run.

    Args:
        plan: what is run.
        given: parameters as the command line gave them.
        folder: the run directory.
    """
    depends_on = what_numbers_depend_on(plan)
    content: dict[str, Any] = {
        "asked": {
            "paper": plan.reproduction.name,
            "model": plan.model.name,
            "profile": plan.profile,
            "device": plan.device,
            "saes": [f"{OWN}{each.file}" for each in plan.autoencoders],
            "parameters": dict(given),
        },
        "depends_on": depends_on,
        "fingerprint": _hash(depends_on),
        "commit": provenance.commit(plan.root),
        "changes": provenance.changes(plan.root),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "attempt": 0,
    }
    dictionaries.leave(list(plan.autoencoders), folder)
    write_json(folder / PLAN, content)
    return Attempt(folder, content["started"], 0, content["fingerprint"])


def reopen(options: Namespace) -> Namespace:
    """The options of an interrupted run, with those that were given anew.

    Raises:
        UserError: the folder is no run directory, or the run is complete.
    """
    asked = _content(options.run)["asked"]
    parameters = [f"-p{name}={value}" for name, value in asked["parameters"].items()]
    first = [f"--{name}={asked[name]}" for name in ("model", "profile", "device")]
    first += [f"--sae={text}" for text in asked.get("saes", [])]
    again = parse([*first, *parameters, "--", asked["paper"]])
    kept = {name: getattr(options, name) for name in ("json", "record", "timeout")}
    return Namespace(**vars(again) | kept | {"run": options.run.resolve()})


def go_on(plan: Plan, folder: Path, *, record: bool) -> Attempt:
    """Take up an interrupted run once more.

    Raises:
        UserError: something that its numbers depend on has changed, or it is to be recorded and cannot be.
    """
    content = _content(folder)
    former, now = content["depends_on"], what_numbers_depend_on(plan)
    if parts := changed(former, now):
        raise UserError(f"{folder}: cannot be gone on with, because {in_words(parts)} changed; start it anew")
    if record and (content["changes"] != [] or content["commit"] != provenance.commit(plan.root)):
        raise UserError(f"{folder}: --record wants all of a run from one commit and a clean tree; start it anew")
    content["attempt"] += 1
    write_json(folder / PLAN, content)
    for name in OUTPUTS:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return Attempt(folder, content["started"], content["attempt"], content["fingerprint"])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else runs in this directory meanwhile; the lock ends with its process, however that ends.

    Raises:
        UserError: another process does.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def what_numbers_depend_on(plan: Plan) -> dict[str, Any]:
    """What must not have changed when a run goes on, each under the words that name it in a message."""
    from picks.run.launch import threads  # slow to import

    values = {name: parameter.value for name, parameter in plan.parameters.items()}
    return {
        **dependence(plan.reproduction, plan.model, values),
        "the packages": provenance.packages(),
        "the machine": [provenance.machine(), plan.device, os.environ.get("ATEN_CPU_CAPABILITY")],
        "the number of threads": threads(os.environ),
        "the autoencoders": [each.to_json() for each in plan.autoencoders],
    }


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{folder}: this run has not ended; stop it first") from None
    except OSError:
        pass  # a network's file system without locks


def _content(folder: Path) -> dict[str, Any]:
    if (folder / RESULTS).exists():
        raise UserError(f"{folder}: this run is complete; there is nothing to go on with")
    try:
        content = json.loads((folder / PLAN).read_text(encoding="utf8"))
        return {key: content[key] for key in KEYS}
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(f"{folder}: is no directory of an interrupted run; one holds a whole {PLAN}") from None


def _step(path: Path, fingerprint: str) -> Step | None:
    """A kept step as its file describes it; None if the file is damaged or another run's."""
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        step = Step(path.stem, content["attempt"], float(content["wall_s"]), float(content["cpu_s"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return step if content["fingerprint"] == fingerprint else None


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
