"""Reading small YAML files, with a place for every fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reproductions.common.errors import UserError

YAML_LIMIT = 64 * 1024


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a small YAML file.

    Raises:
        UserError: with `file:line:col`, if it is missing, too large, not YAML or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if len(text) > YAML_LIMIT:
        raise UserError(f"{path}: larger than {YAML_LIMIT // 1024} KB; no file of this kind needs to be")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(_where(path, error)) from None
    if not isinstance(content, dict):
        raise UserError(f"{path}:1:1: expected `key: value` lines")
    return content


def _where(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: not YAML: {error}"
    problem = getattr(error, "problem", "")
    return f"{path}:{mark.line + 1}:{mark.column + 1}: not YAML: {problem}"
