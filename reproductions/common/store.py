"""The user's cache of converted models: whole folders only, each with a manifest of what it holds.

A folder is built elsewhere, sealed with a manifest and renamed into place, so that half a model is never seen.
At each load sizes and times are compared, which takes a millisecond; where a time differs (a cache that was copied,
or a file that was altered) the sha256 decides.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from reproductions.common.catalogue import ModelCard
from reproductions.common.files import write_json
from reproductions.common.progress import say

MANIFEST = "manifest.json"
CONVERSION = 1  # to be raised when the conversion changes, so that older folders are left alone


def root() -> Path:
    """The cache folder: $DAILY_PICKS_CACHE, or the platform's own place."""
    return Path(os.environ.get("DAILY_PICKS_CACHE") or user_cache_dir("daily-picks"))


def folder(card: ModelCard) -> Path:
    """Where the converted model lies, once it is there."""
    return root() / f"{card.name}-{str(card.sha256)[:12]}-v{CONVERSION}"


def is_whole(path: Path) -> bool:
    """Whether the folder holds every file of its manifest, unaltered."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        return bool(files) and all(_is_unaltered(path / name, entry) for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def seal(path: Path, card: ModelCard) -> None:
    """Write the manifest of a finished folder; its files are opened to all who may enter the cache."""
    for file in path.iterdir():
        file.chmod(0o644)  # safetensors writes 0600
    files = {file.name: _entry(file) for file in sorted(path.iterdir())}
    manifest = {"schema": 1, "model": card.name, "title": card.title, "gguf_sha256": card.sha256, "files": files}
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A fresh folder beside the target, gone afterwards; what a killed run left behind is cleared first."""
    for stale in target.parent.glob(f"{target.name}.part-*"):
        shutil.rmtree(stale, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lock(target: Path) -> Iterator[None]:
    """Only one process at a time builds the target; the others wait for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    guard = FileLock(target.parent / f"{target.name}.lock")
    try:
        guard.acquire(timeout=0)
    except Timeout:
        say(f"another process is fetching {target.name}: waiting for it")
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(paths: Sequence[Path], subject: str) -> dict[str, str]:
    """The sha256 of files that are not ours, by name; one whose size and time have not changed is not read again."""
    memory = root() / "seen" / f"{hashlib.sha256(subject.encode()).hexdigest()[:24]}.json"
    known = recall(memory)
    found = {path.name: _as_known(path, known.get(path.name)) for path in paths}
    if found != known:
        remember(memory, found)
    return {name: entry["sha256"] for name, entry in found.items()}


def recall(memory: Path) -> dict[str, Any]:
    """What a file in the cache remembers; nothing where it is missing or damaged."""
    try:
        content = json.loads(memory.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def remember(memory: Path, content: dict[str, Any]) -> None:
    """Keep something for the next time; a cache that cannot be written to remembers nothing."""
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, content)


def _as_known(file: Path, entry: Any) -> dict[str, Any]:
    stat = file.stat()
    if isinstance(entry, dict) and (entry.get("size"), entry.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns):
        return entry
    return _entry(file)


def _entry(file: Path) -> dict[str, Any]:
    stat = file.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256_of(file)}


def _is_unaltered(file: Path, entry: dict[str, Any]) -> bool:
    stat = file.stat()
    if stat.st_size != entry["size"]:
        return False
    return stat.st_mtime_ns == entry["mtime_ns"] or sha256_of(file) == entry["sha256"]
