"""What the numbers of a run depend on, part by part: so that it is known which records today's code may not find again.

The parts are the notebook's code; every module of `reproductions` that it reaches, through any number of imports; the
data that these read; the parameters' values; the model's weights; and the pinned versions of numeric packages. Of code
the syntax tree counts, without docstrings: comments and layout change nothing. What only draws, words or judges numbers
is left out by name: a record's verdicts can be worked out anew from its numbers (`tools/repro verify`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from picks.run.parameters import PARAMETERS
from picks.run.reproductions import Reproduction
from reproductions.common.catalogue import ModelCard
from reproductions.common.files import sha256

PACKAGE = "reproductions"
LEFT_OUT = frozenset(  # what draws, words and judges; what names, fetches or refuses a model, whose bytes are pinned
    {
        "claims",
        "declared",
        "explorers",
        "figures",
        "files",
        "numbers",
        "plots",
        "progress",
        "quiet",
        "report",
        "usage",
        "verdicts",
    }
    | {"catalogue", "clients", "devices", "examine", "fetch", "hub", "store", "wheels"}
)
NOT_DATA = frozenset({"reproduction.yml", "notebook.ipynb"})
NOT_DATA_SUFFIXES = frozenset({".py", ".pyc", ".md"})
NUMERIC = ("numpy", "sae-lens", "safetensors", "scipy", "tokenizers", "torch", "transformer-lens", "transformers")
FILE_NAME = re.compile(r"\w[\w-]*\.\w+")
PINNED = re.compile(rf"^({'|'.join(NUMERIC)})==(\S+)", re.MULTILINE)

MOST_NAMED = 3  # changed parts in one message

Parts = dict[str, str]  # what, in words or as a path from the project's root -> its hash


def dependence(reproduction: Reproduction, model: ModelCard, values: Mapping[str, Any]) -> Parts:
    """The parts that numbers of a reproduction on a model, with these values of parameters, depend on.

    Raises:
        OSError: a file of the reproduction cannot be read.
        SyntaxError: a module is not Python.
    """
    root = reproduction.folder.parents[1]
    modules = list(_reached(root, reproduction.notebook))
    data = {*_data(reproduction.folder), *(path for module in modules for path in _data_of(module, model.name))}
    files = {str(path.relative_to(root)): _code_hash(path, _changed(path)) for path in modules}
    files |= {str(path.relative_to(root)): _file_hash(path, _changed(path)) for path in data}
    return {
        "the notebook": _hash([_plain(tree) for tree in _cells(reproduction.notebook)]),
        "the profile's parameters": _hash(dict(values)),
        "the model": _hash([model.name, model.sha256 or model.revision, model.split_digits]),
        "the numeric packages": _hash(_pins(root)),
        **dict(sorted(files.items())),
    }


def reads_autoencoders(reproduction: Reproduction) -> bool:
    """Whether the notebook reaches the module through which autoencoders are had."""
    root = reproduction.folder.parents[1]
    return root / "reproductions/common/autoencoders/loading.py" in _reached(root, reproduction.notebook)


def hash_of(parts: Mapping[str, str]) -> str:
    """One hash for all parts."""
    return _hash(dict(parts))


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts that are not what they were, or are in one alone."""
    return [part for part in {**then, **now} if then.get(part) != now.get(part)]


def in_words(parts: list[str]) -> str:
    """The first few of some parts, as they are told in a message."""
    named = parts[:MOST_NAMED] + [f"{len(parts) - MOST_NAMED} more"] * (len(parts) > MOST_NAMED)
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _reached(root: Path, notebook: Path) -> Iterator[Path]:
    """The files of the modules that a notebook imports, and these, and so on; none twice."""
    seen: set[str] = set()
    waiting = [name for tree in _cells(notebook) for name in _imported(tree, "")]
    while waiting:
        name = waiting.pop()
        if name in seen or name.rpartition(".")[2] in LEFT_OUT:
            continue
        seen.add(name)
        path = _file_of(root, name)
        if path is None:  # not a module, but something that a module holds
            continue
        yield path
        inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [*_imported(_tree(path, _changed(path)), inside), *_parents(name)]


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """The dotted names that code takes from this project; what may be a module or something in one comes as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == PACKAGE)


def _parents(name: str) -> list[str]:
    """The packages that a module lies in, which are imported with it."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _file_of(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    found = [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
    return found[0] if found else None


def _data(folder: Path) -> Iterator[Path]:
    """The data in a reproduction's own folder: all but code, text about it, and results."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        kept = inside.parts[0] == "results" or path.suffix in NOT_DATA_SUFFIXES or str(inside) in NOT_DATA
        if path.is_file() and not kept:
            yield path


def _data_of(module: Path, model: str) -> Iterator[Path]:
    """The data of a shared module: files beside it that its code names, and all in a folder named after the model."""
    for node in ast.walk(_tree(module, _changed(module))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FILE_NAME.fullmatch(node.value):
            path = module.with_name(node.value)
            if path.is_file() and path.suffix not in NOT_DATA_SUFFIXES:
                yield path
    yield from (
        path for path in module.with_name(model.replace("/", "--")).glob("*") if path.suffix not in NOT_DATA_SUFFIXES
    )


def _cells(notebook: Path) -> list[ast.Module]:
    """The code of a notebook, but for the cell of the quick profile's parameters: values count by themselves."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf8"))["cells"] if cell["cell_type"] == "code"]
    code = [cell for cell in cells if PARAMETERS not in cell["metadata"].get("tags", [])]
    return [_cell("".join(cell["source"])) for cell in code]


def _cell(source: str) -> ast.Module:
    """A cell's code; one with a magic command, which is no Python, counts by its text."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([ast.Assign([ast.Name("source")], ast.Constant(source))], [])


def _pins(root: Path) -> list[tuple[str, str]]:
    lock = root / "requirements.lock"
    return sorted(PINNED.findall(lock.read_text(encoding="utf8"))) if lock.is_file() else []


def _changed(path: Path) -> int:
    """When a file was changed, so that what is remembered of it is forgotten then."""
    return path.stat().st_mtime_ns


@lru_cache(maxsize=1024)
def _tree(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf8"), str(path))


@lru_cache(maxsize=1024)
def _code_hash(path: Path, changed: int) -> str:
    return _hash(_plain(_tree(path, changed)))


@lru_cache(maxsize=1024)
def _file_hash(path: Path, changed: int) -> str:
    return sha256(path)[:16]


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, places and empty fields, in which Python's versions differ."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = fields["body"][1:]
    return [type(node).__name__, {name: _plain(value) for name, value in fields.items()}]


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
