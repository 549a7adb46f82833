"""The points of a sweep: each a run to be, why it is wanted, what it will need, and the folder that will hold it.

A folder is named after all that the numbers depend on: a point whose code has changed is another point.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

from picks.run.dependence import Parts, changed, dependence, hash_of, in_words
from picks.run.parameters import Parameter, load_schema, resolve
from picks.run.plan import Plan, make_plan
from picks.run.record import recorded
from picks.run.reproductions import Reproduction, find, load_all
from picks.run.staleness import why_stale
from reproductions.common.catalogue import ModelCard
from reproductions.common.errors import UserError
from reproductions.common.schema import load

UNDECLARED_MIB = 4096  # what README.md says is enough
MARGIN = 1.25  # over a recorded peak, which is that of one process

Why = Callable[["Point"], str]


@dataclass(frozen=True)
class Need:
    """What a run takes of a machine: memory, GPUs, and seconds as recorded, else its deadline."""

    memory_mib: int
    gpus: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Point:
    """A run to be: its plan, the parameters that were given, why it is wanted."""

    plan: Plan
    given: Mapping[str, str]
    why: str
    threads: int

    def __str__(self) -> str:
        """As it is called in a table."""
        given = [f"{name}={value}" for name, value in self.given.items()]
        return " ".join([self.plan.reproduction.name, self.plan.model.name, self.plan.profile, *given])

    @cached_property
    def parts(self) -> Parts:
        """What its numbers depend on."""
        return _parts(self.plan.reproduction, self.plan.model, self.plan.parameters)

    @property
    def depends_on(self) -> str:
        """The hash of that, as its record will have it."""
        return hash_of(self.parts)

    @cached_property
    def folder(self) -> str:
        """Where it is run, within the sweep's folder."""
        where = hash_of({"": self.depends_on, "device": self.plan.device, "threads": str(self.threads)})
        return f"{self.plan.reproduction.name}/{self.plan.model.name.replace('/', '--')}/{self.plan.profile}-{where}"

    @cached_property
    def need(self) -> Need:
        """What it will take."""
        return need(self.plan)

    @property
    def arguments(self) -> list[str]:
        """What follows `tools/repro`."""
        plan = self.plan
        options = {"model": plan.model.name, "profile": plan.profile, "device": plan.device}
        timeout = [f"--timeout={plan.seconds}"] * (plan.seconds == plan.end)
        named = [f"--{name}={value}" for name, value in options.items()]
        return [plan.reproduction.name, *named, *timeout, *(f"-p{name}={value}" for name, value in self.given.items())]

    def to_json(self) -> dict[str, Any]:
        """As it stands in `sweep.json`; `of` reads what of it was asked."""
        plan, wanted = self.plan, self.need
        return {
            "reproduction": plan.reproduction.name,
            "model": plan.model.name,
            "profile": plan.profile,
            "parameters": dict(self.given),
            "why": self.why,
            "folder": self.folder,
            "threads": self.threads,
            "memory_mib": wanted.memory_mib,
            "gpus": wanted.gpus,
            "minutes": round(plan.end / 60) + 1,
        }


def need(plan: Plan) -> Need:
    """Memory as recorded, else as declared; time as recorded, else the deadline."""
    reproduction = plan.reproduction
    declared = load(reproduction.file, "reproduction").content.get("cost", {})
    former = recorded(reproduction, plan.model.name, plan.profile)
    measured = former["provenance"]["peak_memory_mib"] if former else None
    memory = measured * MARGIN if measured else declared.get("memory_mib", {}).get(plan.profile, UNDECLARED_MIB)
    seconds = former["provenance"]["wall_s"] if former else plan.seconds
    return Need(round(memory), 1 if plan.device == "cuda" else declared.get("gpus", 0), seconds)


def select(root: Path, options: Namespace) -> list[Point]:
    """The points that a command line asks for.

    Raises:
        UserError, ClaimError, ModelError: something cannot be run; the message says why.
    """
    if options.since is None:
        return _wanted(root, options, _why_stale if options.stale else lambda _: "asked for")
    with _as_of(root, options.since) as then:
        return _wanted(root, options, lambda point: _why_changed(point, then, options.since))


def of(root: Path, options: Namespace, fields: Mapping[str, Any]) -> Point:
    """The point that `sweep.json` tells of, for today's code."""
    asked = {"paper": fields["reproduction"], "model": fields["model"], "profile": fields["profile"]}
    rest = {"parameters": fields["parameters"], "device": options.device, "timeout": options.timeout, "saes": []}
    return Point(make_plan(root, Namespace(**asked, **rest)), fields["parameters"], fields["why"], options.threads)


def _wanted(root: Path, options: Namespace, why: Why) -> list[Point]:
    """Every combination for which there is a reason."""
    found = []
    for reproduction in [find(root, name) for name in dict.fromkeys(options.ids)] or load_all(root):
        for model, profile, given in product(_models(reproduction, options), options.profiles, _grid(options)):
            asked = {"reproduction": reproduction.name, "model": model, "profile": profile, "parameters": given}
            point = of(root, options, asked | {"why": ""})
            if reason := why(point):
                found.append(replace(point, why=reason))
    return list({point.folder: point for point in found}.values())


def _models(reproduction: Reproduction, options: Namespace) -> Sequence[str]:
    """Those asked for, of which an unnamed reproduction takes the ones that it declares; else all it declares."""
    declared = load_schema(reproduction.file).models
    if not options.models:
        return declared
    return [model for model in dict.fromkeys(options.models) if options.ids or model in declared]


def _grid(options: Namespace) -> list[dict[str, str]]:
    """Every combination of the values that parameters were given."""
    values: dict[str, list[str]] = {}
    for name, value in options.parameters:
        values.setdefault(name, []).append(value)
    return [dict(zip(values, combined, strict=True)) for combined in product(*values.values())]


# Reasons


def _why_stale(point: Point) -> str:
    plan = point.plan
    former = recorded(plan.reproduction, plan.model.name, plan.profile)
    return "never recorded" if former is None else why_stale(plan.reproduction, former)


def _why_changed(point: Point, then: Path, revision: str) -> str:
    plan = point.plan
    try:
        former = find(then, plan.reproduction.name)
        values = resolve(load_schema(former.file), plan.profile, point.given, former.name)
        parts = changed(_parts(former, plan.model, values), point.parts)
    except (UserError, OSError, SyntaxError, ValueError):
        return f"not there as of {revision}, or not to be read"
    return f"{in_words(parts)} changed since {revision}" if parts else ""


@contextmanager
def _as_of(root: Path, revision: str) -> Iterator[Path]:
    """The tree of a commit, in a temporary folder.

    Raises:
        UserError: there is no such commit.
    """
    git = ["git", "-C", str(root)]
    named = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if named.returncode:
        raise UserError(f"--changed-since {revision[:80]}: is no commit here; `git log` shows which there are")
    tree = subprocess.run([*git, "archive", named.stdout.strip()], capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="picks-") as folder, tarfile.open(fileobj=BytesIO(tree)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def _parts(reproduction: Reproduction, model: ModelCard, values: Mapping[str, Parameter]) -> Parts:
    return dependence(reproduction, model, {name: parameter.value for name, parameter in values.items()})
