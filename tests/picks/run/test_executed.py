"""What a record keeps of a notebook as it ran: words, code, tables the names of figures; nothing of the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from picks.run import executed

DRAWN = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g><path d="M0 0"/></g></svg>'
SHOWN = '<svg viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg">\n<g>\n<path d="M0 0"></path>\n</g>\n</svg>'
OTHER = DRAWN.replace("M0 0", "M1 1")


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": list(outputs)}


def display(**data: str) -> dict[str, Any]:
    return {"output_type": "execute_result", "metadata": {}, "data": {key.replace("_", "/"): data[key] for key in data}}


def run(folder: Path, *cells: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that are kept of a run with one figure."""
    (folder / "figures").mkdir()
    (folder / "figures" / "curve.svg").write_text(DRAWN, encoding="utf8")
    (folder / "notebook.ipynb").write_text(json.dumps({"cells": cells, "metadata": {"papermill": {}}}), encoding="utf8")
    [entry] = executed.keep(folder, [{"name": "curve", "file": "figures/curve.svg"}])
    return json.loads((folder / entry["file"]).read_text(encoding="utf8"))["cells"]


def test_figures_are_named_and_not_held(tmp_path: Path) -> None:
    svg = {"image/svg+xml": SHOWN, "text/plain": "<SVG object>"}
    unknown = {"image/svg+xml": OTHER, "text/plain": "<SVG object>"}
    shown = [{"output_type": "display_data", "metadata": {}, "data": data} for data in (svg, unknown)]
    [cell] = run(tmp_path, code("draw()", *shown))
    assert [output["metadata"] for output in cell["outputs"]] == [{"figure": "curve"}, {}]
    assert "svg" not in json.dumps(cell)


def test_parameters_stand_once_with_the_values_that_counted_and_without_the_machines_paths(tmp_path: Path) -> None:
    [cell, printed] = run(
        tmp_path,
        code('n = 1\nout = ""', tags=("parameters",)),
        code(f'# Parameters\nn = 2\nout = "{tmp_path}"', tags=("injected-parameters",)),
        code("print(out)", {"output_type": "stream", "name": "stdout", "text": f"kept in {tmp_path}/figures"}),
    )
    assert cell["source"] == '# Parameters\nn = 2\nout = ""'
    assert printed["outputs"][0]["text"] == "kept in the run directory/figures"


def test_tables_and_text_are_kept_and_nothing_else(tmp_path: Path) -> None:
    table = {"text/markdown": "| a |", "text/plain": "<Markdown>"}
    page = {"text/html": "<script>1</script>"}
    outputs = [{"output_type": "display_data", "metadata": {"x": 1}, "data": data} for data in (table, page)]
    [words, cell] = run(
        tmp_path, {"cell_type": "markdown", "metadata": {}, "source": ["# A\n", "b"]}, code("1", *outputs)
    )
    assert words["source"] == "# A\nb"
    assert cell["outputs"] == [{"output_type": "display_data", "metadata": {}, "data": {"text/markdown": "| a |"}}]


def test_a_run_without_a_notebook_keeps_none(tmp_path: Path) -> None:
    assert executed.keep(tmp_path, []) == []
