"""What the site takes from notebooks: a copy without outputs, what differs from the paper, and runs as they went."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from picks.site.markup import highlighted, notebook_markdown, verbatim
from reproductions.common.errors import UserError

_DIFFERENCES = re.compile(r"\A#{1,4}\s+what differs\b.*$", re.IGNORECASE | re.MULTILINE)


def stripped(path: Path) -> bytes:
    """The notebook with nothing but its cells: no outputs, no attachments, no widgets' states."""
    notebook = _read(path)
    cells = [_bare(cell) for cell in notebook["cells"]]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    bare = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    return (json.dumps(bare, indent=1, ensure_ascii=False) + "\n").encode()


def differences(path: Path) -> Markup | None:
    """The section that says what differs from the paper, if there is one."""
    for cell in _read(path)["cells"]:
        source = _source(cell).strip()
        if cell["cell_type"] == "markdown" and (heading := _DIFFERENCES.match(source)):
            return notebook_markdown(source[heading.end() :])
    return None


@dataclass(frozen=True)
class Shown:
    """A part of a notebook as a page shows it: `text`, `code`, what was `printed`, a `table`, or a `figure`'s name."""

    kind: str
    html: Markup
    figure: str = ""


def shown(path: Path) -> list[Shown]:
    """A notebook as it ran, in the order of its cells; of its outputs what `executed.keep` lets through.

    Raises:
        UserError: it is no notebook.
    """
    return [part for cell in _read(path)["cells"] for part in _parts(cell)]


def _parts(cell: dict[str, Any]) -> Iterator[Shown]:
    if cell["cell_type"] == "markdown":
        yield Shown("text", notebook_markdown(_source(cell)))
    elif cell["cell_type"] == "code":
        yield Shown("code", highlighted(_source(cell)))
        yield from filter(None, map(_output, cell.get("outputs", [])))


def _output(output: dict[str, Any]) -> Shown | None:
    if output["output_type"] == "stream":
        return Shown("printed", verbatim(str(output["text"])))
    if figure := output.get("metadata", {}).get("figure"):
        return Shown("figure", Markup(), str(figure))
    data = output.get("data", {})
    if "text/markdown" in data:
        return Shown("table", notebook_markdown(str(data["text/markdown"])))
    return Shown("printed", verbatim(str(data["text/plain"]))) if "text/plain" in data else None


def _bare(cell: dict[str, Any]) -> dict[str, Any]:
    tags = [tag for tag in cell["metadata"].get("tags", []) if tag == "parameters"]
    kept = {
        "cell_type": cell["cell_type"],
        "id": str(cell.get("id", "")),
        "metadata": {"tags": tags} if tags else {},
        "source": _source(cell),
    }
    return kept | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _read(path: Path) -> dict[str, Any]:
    try:
        notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        if all(_is_cell(cell) for cell in notebook["cells"]):
            return notebook
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a notebook: {error!r}") from None
    raise UserError(f"{path}: not a notebook: a cell lacks its type, metadata or source")


def _is_cell(cell: Any) -> bool:
    return cell["cell_type"] in {"code", "markdown", "raw"} and isinstance(cell["metadata"], dict) and "source" in cell
