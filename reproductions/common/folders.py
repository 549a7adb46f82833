"""A folder that holds a model as transformers writes it: whether it is whole, and which model it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")  # neither pickles nor code
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
POINTER = b"version https://git-lfs.github.com/spec/"


def files_of(folder: Path) -> list[Path]:
    """The files in a folder that a model is loaded from."""
    return sorted(path for path in folder.glob("*") if any(fnmatch(path.name, wanted) for wanted in WANTED))


def weights_of(folder: Path) -> list[str]:
    """The names of the files with weights, as the index of shards has them; it may be one, which lies there or not."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf8"))
        return sorted(set(index["weight_map"].values()))
    except FileNotFoundError:
        return [WEIGHTS]
    except (ValueError, LookupError, TypeError, AttributeError):
        return [INDEX + " that can be read"]


def lacking(folder: Path) -> list[str]:
    """What a folder lacks to be loaded: other programs share the hub cache, and take only some files of a model."""
    missing = [name for name in ("config.json", *weights_of(folder)) if not (folder / name).is_file()]
    has_tokenizer = any((folder / name).is_file() for name in TOKENIZERS)
    return missing if has_tokenizer else [*missing, "tokenizer.json"]


def shape_of(folder: Path) -> tuple[int | None, int | None]:
    """Width and layers of a model as its configuration has them, by whichever name; None where it has none."""
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config |= config.get("text_config", {})
    width = config.get("hidden_size", config.get("n_embd", config.get("d_model")))
    return width, config.get("num_hidden_layers", config.get("n_layer"))


def is_pointer(path: Path) -> bool:
    """Whether a file is what git keeps in place of a large one, and not the large one itself."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def identity(digests: Mapping[str, str]) -> str:
    """One sha256 for files: of a single one its own, of several that of their list as sha256sum prints it."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
