"""Finding what can be run: a folder under `reproductions/` that has a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picks.files import load_yaml
from picks.lookup import find_paper
from picks.papers import Paper, load_paper, paper_ids
from reproductions.common.errors import UserError

FILE = "reproduction.yml"


@dataclass(frozen=True)
class Reproduction:
    """A folder that reproduces a paper."""

    name: str
    folder: Path
    paper: Paper

    @property
    def notebook(self) -> Path:
        """What is run."""
        return self.folder / "notebook.ipynb"

    @property
    def file(self) -> Path:
        """What the paper says, what a run would have to show, and what can be varied."""
        return self.folder / FILE

    @property
    def results(self) -> Path:
        """The recorded runs."""
        return self.folder / "results"


def names(root: Path) -> list[str]:
    """The names of all reproductions."""
    return sorted(path.parent.name for path in (root / "reproductions").glob("*/notebook.ipynb"))


def load_all(root: Path) -> list[Reproduction]:
    """Every reproduction."""
    return [_by_name(root, name) for name in names(root)]


def find(root: Path, text: str) -> Reproduction:
    """The reproduction of that name, or of the paper that a text means.

    Raises:
        UserError: there is none; the message says why, or what is closest.
    """
    if (name := text.lower().replace("-", "_")) in names(root):
        return _by_name(root, name)
    try:
        return _of(root, find_paper(root, text))
    except UserError as error:
        raise UserError(f"{error}{_choices(root)}") from None


def _of(root: Path, paper: Paper) -> Reproduction:
    if paper.reproduction is None:
        raise UserError(f"{paper.id} ({paper.title}) has no reproduction: {paper.not_reproduced}")
    if paper.reproduction not in names(root):
        raise UserError(f"papers/{paper.id}.yml names the reproduction {paper.reproduction}, which does not exist")
    return _by_name(root, paper.reproduction)


def _by_name(root: Path, name: str) -> Reproduction:
    folder = root / "reproductions" / name
    paper_id = load_yaml(folder / FILE).get("paper")
    if paper_id not in paper_ids(root):
        raise UserError(f"{folder / FILE}: its paper {paper_id!r} is not among the papers here")
    paper = load_paper(root, paper_id)
    if paper.reproduction != name:
        raise UserError(f"{folder / FILE}: papers/{paper_id}.yml does not say `reproduction: {name}`")
    return Reproduction(name, folder, paper)


def _choices(root: Path) -> str:
    listed = ", ".join(names(root)) or "nothing yet"
    return f"\ncan be run: {listed}\n(tools/repro --list tells more)"
