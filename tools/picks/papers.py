"""The door to the papers: one YAML file each, named after the arXiv id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picks.errors import UserError
from picks.files import load_yaml


@dataclass(frozen=True)
class Paper:
    """A paper of the collection; `reproduction` names its folder, `not_reproduced` says why there is none."""

    id: str
    title: str
    authors: tuple[str, ...]
    reproduction: str | None
    not_reproduced: str | None


def paper_ids(root: Path) -> list[str]:
    """The arXiv ids of all papers."""
    return sorted(path.stem for path in (root / "papers").glob("[!_]*.yml"))


def load_paper(root: Path, paper_id: str) -> Paper:
    """One paper.

    Raises:
        UserError: its file is missing or not as it must be.
    """
    path = root / "papers" / f"{paper_id}.yml"
    fields = load_yaml(path)
    for key in ("title", "reproduction", "not_reproduced"):
        if not isinstance(fields.get(key, ""), str):
            raise UserError(f"{path}: `{key}` must be text")
    authors = fields.get("authors")
    if not isinstance(authors, list) or not fields.get("title"):
        raise UserError(f"{path}: needs `title` and a list of `authors`")
    names = tuple(str(author) for author in authors)
    return Paper(paper_id, fields["title"], names, fields.get("reproduction"), fields.get("not_reproduced"))


def load_papers(root: Path) -> dict[str, Paper]:
    """All papers by id."""
    return {paper_id: load_paper(root, paper_id) for paper_id in paper_ids(root)}
