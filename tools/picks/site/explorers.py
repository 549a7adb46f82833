"""What can be explored: data files of records that say of which kind they are. Nothing else lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picks.site.results import Reproduced, Run
from reproductions.common.errors import UserError
from reproductions.common.explorers import KINDS

FOLDER = "assets/js/explorers"
SHARED = ("explorer", "sheet", "list")  # before the kind's own
STYLES = ["assets/css/explorers.css"]


@dataclass(frozen=True)
class Explorer:
    """A page on which data of one name are explored, in every run that has them; the first run's say what it is."""

    name: str
    kind: str
    title: str
    about: str
    runs: tuple[Run, ...]

    @property
    def page(self) -> str:
        """The source of its page."""
        return f"explore/{self.runs[0].reproduction}/{self.name}.md"

    @property
    def scripts(self) -> list[str]:
        """What its page runs, in order."""
        return [f"{FOLDER}/{name}.js" for name in (*SHARED, self.kind)]

    def script(self, run: Run) -> str:
        """Where the data of a run lie on the site, as a script."""
        return f"assets/data/{run.reproduction}/{run.key}.{self.name}.js"

    def file(self, run: Run) -> str:
        """Where they lie as a file."""
        return f"results/{run.reproduction}/{run.data[self.name].name}"


def explorers_of(reproduced: Reproduced) -> list[Explorer]:
    """What can be explored in a reproduction, in the order of its records.

    Raises:
        UserError: a data file is not JSON, or of a kind that there is not.
    """
    found: dict[str, list[tuple[Run, dict[str, Any]]]] = {}
    for run in reproduced.runs:
        for name, path in run.data.items():
            if (content := _read(path)).get("kind"):
                found.setdefault(name, []).append((run, content))
    return [_explorer(name, runs) for name, runs in found.items()]


def _explorer(name: str, runs: list[tuple[Run, dict[str, Any]]]) -> Explorer:
    (_, first), kinds = runs[0], {content["kind"] for _, content in runs}
    if len(kinds) > 1 or not kinds <= {*KINDS}:
        where = ", ".join(str(run.data[name]) for run, _ in runs)
        raise UserError(
            f"{where}: of the kind {', '.join(sorted(kinds))}, but all have to be of one of {', '.join(KINDS)}"
        )
    return Explorer(name, first["kind"], first["title"], first["about"], tuple(run for run, _ in runs))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; record the run anew") from None
    return content if isinstance(content, dict) else {}
