"""Where a number comes from: commit, notebook, packages, machine. Nothing here imports what it asks about."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

from reproductions.common.files import sha256

PACKAGES = ("torch", "transformer_lens", "transformers", "numpy")
NOT_RESULTS = ":(exclude,glob)reproductions/*/results/**"


def commit(root: Path) -> str | None:
    """The commit checked out; None without git, or before the first commit."""
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return head.strip() if head else None


def changes(root: Path) -> list[str] | None:
    """Files that differ from the commit, recorded results aside; None without git."""
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".", NOT_RESULTS)
    return None if status is None else [entry[3:] for entry in status.split("\0") if entry]


def notebook_sha256(path: Path) -> str:
    """The hash of what a notebook computes: the sources of its code cells, neither text nor outputs."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def lock_sha256(root: Path) -> str | None:
    """The hash of the lock file, if there is one."""
    lock = root / "requirements.lock"
    return sha256(lock) if lock.exists() else None


def packages() -> dict[str, str | None]:
    """The versions that numbers depend on."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    return versions | {name: _version(name) for name in PACKAGES}


def machine() -> str:
    """The class of machine, not its name."""
    return f"{platform.system()} {platform.machine()}"


def own_version() -> str:
    """The version of this project."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return str(project["version"])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, encoding="utf8", errors="replace")
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
