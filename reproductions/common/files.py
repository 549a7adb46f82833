"""Writing files: whole, or it did not happen."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, by rename; where that fails, on a full disk, nothing half done takes up room."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, by rename."""
    write_bytes(path, text.encode("utf8", "replace"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole, by rename."""
    write_text(path, dump_json(content) + "\n")


LIST_OF_NUMBERS = re.compile(r"\[\n(?: *(?:-?[0-9.eE+-]+|null),?\n)+ *\]")  # a string holds no line break in JSON


def dump_json(content: Any) -> str:
    """JSON that every reader can parse: a number that is not finite becomes null; lists of numbers take one line."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    return LIST_OF_NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
