"""A reproduction's first files, from the skeleton beside this module, and the line of its paper that names it."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from picks.papers import load_paper, paper_ids
from picks.run.reproductions import names
from reproductions.common.documents import read_document
from reproductions.common.errors import UserError
from reproductions.common.files import write_text
from reproductions.common.suggest import did_you_mean

SKELETON = Path(__file__).with_name("skeleton")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
SUFFIX = ".txt"  # of the skeleton's files, which are no code of ours until they are filled in


def start(root: Path, name: str, paper: str) -> list[Path]:
    """Write the files of a reproduction and name it in its paper's entry; returns what was written.

    Raises:
        UserError: the name cannot be one or is taken, or the paper is not here or has a reproduction.
    """
    _check_name(root, name)
    _check_paper(root, paper)
    title = load_paper(root, paper).title
    folders = {"reproduction": root / "reproductions" / name, "tests": root / "tests" / name}
    written = []
    for part, folder in folders.items():
        for source in sorted((SKELETON / part).iterdir()):
            path = folder / source.name.removesuffix(SUFFIX)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, _filled(source.read_text(encoding="utf8"), name, paper, title))
            written.append(path)
    return [*written, _named_in_entry(root / "papers" / f"{paper}.yml", name)]


def _check_name(root: Path, name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name[:80]!r} cannot name a reproduction: words in small letters, joined by _")
    if name in names(root) or (root / "reproductions" / name).exists() or (root / "tests" / name).exists():
        raise UserError(f"{name} is there already")


def _check_paper(root: Path, paper: str) -> None:
    known = paper_ids(root)
    if paper not in known:
        raise UserError(f"{paper[:80]} is not among the papers here{did_you_mean(paper, known)}; tools/add starts it")
    if there := load_paper(root, paper).reproduction:
        raise UserError(f"{paper} has a reproduction, {there}")


def _filled(text: str, name: str, paper: str, title: str) -> str:
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    return text.replace("@NAME@", name).replace("@PAPER@", paper).replace("@TITLE@", quoted)


def _named_in_entry(path: Path, name: str) -> Path:
    """The entry with `reproduction` in place of `not_reproduced`, whatever its lines are."""
    document, lines = read_document(path), path.read_text(encoding="utf8").splitlines(keepends=True)
    first = document.position("not_reproduced").line - 1
    last = next((n for n in range(first + 1, len(lines)) if lines[n][:1].strip()), len(lines))
    write_text(path, "".join([*lines[:first], f"reproduction: {name}\n", *lines[last:]]))
    return path
