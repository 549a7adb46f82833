"""Finding what can be run: a folder under `reproductions/` that has a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picks.files import load_yaml
from picks.ids import is_paper_id
from picks.papers import Paper, load_paper, paper_ids
from reproductions.common.errors import UserError
from reproductions.common.suggest import did_you_mean

FILE = "reproduction.yml"
ONE_DIGIT_OFF = 0.85  # of an id's ten characters; two ids share half of them by chance


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
    """The reproduction of a paper's id, or of that name.

    Raises:
        UserError: there is none; the message says why, or what is closest.
    """
    return _by_paper(root, text) if is_paper_id(text) else _by_name(root, text)


def _by_paper(root: Path, paper_id: str) -> Reproduction:
    known = paper_ids(root)
    if paper_id not in known:
        raise UserError(
            f"{paper_id} is not among the papers here{did_you_mean(paper_id, known, ONE_DIGIT_OFF)}{_choices(root)}"
        )
    paper = load_paper(root, paper_id)
    if paper.reproduction is None:
        raise UserError(f"{paper_id} ({paper.title}) has no reproduction: {paper.not_reproduced}{_choices(root)}")
    if paper.reproduction not in names(root):
        raise UserError(f"papers/{paper_id}.yml names the reproduction {paper.reproduction}, which does not exist")
    return _by_name(root, paper.reproduction)


def _by_name(root: Path, name: str) -> Reproduction:
    known = names(root)
    if name not in known:
        raise UserError(f"there is no reproduction {name}{did_you_mean(name, known)}{_choices(root)}")
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
