"""A model of the user's: a folder of this machine, named path:DIR, read where it lies and never written to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reproductions.common import folders, store
from reproductions.common.catalogue import ModelCard, ModelError


def ensure(card: ModelCard) -> Path:
    """The folder, if a model can be loaded from it.

    Raises:
        ModelError: it cannot; the message says what is missing.
    """
    folder = Path(card.source)
    if missing := folders.lacking(folder):
        raise ModelError(
            f"{card.name} cannot be loaded: it lacks {', '.join(missing)}; it must be as transformers' save_pretrained "
            "leaves it, with weights as safetensors (pickled ones are not loaded)"
        )
    if pointers := [path.name for path in folders.files_of(folder) if folders.is_pointer(path)]:
        raise ModelError(
            f"{card.name} cannot be loaded: {', '.join(pointers)} is damaged: only git's pointer to the file lies "
            f"there; run: git -C {folder} lfs pull"
        )
    return folder


def pinned(card: ModelCard) -> ModelCard:
    """The card with one sha256 for all the files that it is loaded from."""
    files = folders.files_of(Path(card.source))
    return replace(card, sha256=folders.identity(store.digests(files, card.name)))
