"""The executed notebook as a record keeps it: text, code and what was printed; figures by name.

It is part of the record, hashed in it and never run, and its name says so: tools that strip or format notebooks, which
would break the hash, leave it alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from picks.run.outputs import OUTPUT_LIMIT
from reproductions.common.files import sha256, write_text

RAN, KEPT = "notebook.ipynb", "executed.json"
INJECTED = "injected-parameters"
OUT = re.compile(r"^out = .*$", re.MULTILINE)
SVG, TABLE, TEXT = "image/svg+xml", "text/markdown", "text/plain"


def keep(folder: Path, figures: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write `executed.json` into a run directory and give its entry in the record; none where no notebook is kept.

    figures: the record's, of which the notebook shows drawings.
    """
    ran = folder / RAN
    if not ran.is_file():
        return []
    drawn = [(folder / fields["file"], fields["name"]) for fields in figures if fields["file"].endswith(".svg")]
    known = {_canonical(path.read_text(encoding="utf8")): name for path, name in drawn}
    text = json.dumps(slim(json.loads(ran.read_text(encoding="utf8")), known), indent=1, ensure_ascii=False)
    write_text(folder / KEPT, text.replace(str(folder), "the run directory") + "\n")
    return [{"name": "executed", "file": KEPT, "sha256": sha256(folder / KEPT)}]


def slim(notebook: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, Any]:
    """Its cells with what was printed, tables, and the names of figures; parameters once, with the values that counted.

    figures: the names of drawings, by their canonical text.
    """
    injected = any(INJECTED in _tags(cell) for cell in notebook["cells"])
    cells = [_cell(cell, figures) for cell in notebook["cells"] if not (injected and "parameters" in _tags(cell))]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}


def _cell(cell: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, Any]:
    source, tags = "".join(cell["source"]), []
    if INJECTED in _tags(cell):
        source, tags = OUT.sub('out = ""', source), ["parameters"]
    kept = {"cell_type": cell["cell_type"], "id": str(cell.get("id", "")), "metadata": {"tags": tags} if tags else {}}
    if cell["cell_type"] != "code":
        return kept | {"source": source}
    outputs = [made for output in cell["outputs"] if (made := _output(output, figures))]
    return kept | {"source": source, "execution_count": cell.get("execution_count"), "outputs": outputs}


def _output(output: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, Any] | None:
    """What was printed, a table, a figure's name, or plain text; nothing else."""
    if output["output_type"] == "stream":
        return {"output_type": "stream", "name": output["name"], "text": "".join(output["text"])}
    shown = output.get("data", {})
    shape: dict[str, Any] = {"output_type": "display_data", "metadata": {}}
    if SVG in shown and (name := figures.get(_canonical("".join(shown[SVG])))):
        return shape | {"metadata": {"figure": name}, "data": {TEXT: f"[figure: {name}]"}}
    for kind in (TABLE, TEXT):
        if kind in shown and len("".join(shown[kind])) < OUTPUT_LIMIT:
            return shape | {"data": {kind: "".join(shown[kind])}}
    return None


def _canonical(drawing: str) -> str:
    """A drawing's text in the one form that all ways of writing it have in common; what is no XML stays as it is."""
    try:
        return ElementTree.canonicalize(drawing, strip_text=True)
    except ElementTree.ParseError:
        return drawing


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", []))
