"""The relations that heads are scored on: pairs of words such as France -> Paris, one file each in `relations/`.

The pairs of a file stand in a random but fixed order, so that its first n are a fair sample of it. A pair counts for a
model only where its tokenizer makes one token of each word, written as inside a sentence: with a space before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("relations")
CATEGORIES = ("algorithmic", "knowledge", "linguistic", "translation")
FIELDS = {
    "title": str,
    "category": str,
    "prompt": str,
    "shots": list,
    "top_k": int,
    "origin": str,
    "licence": str,
    "pairs": str,
}
ARROW = " -> "

Tokenizer = Callable[..., Any]  # tokenizer(text, add_special_tokens=False)["input_ids"]


class RelationError(ValueError):
    """A relation does not exist, or its file is not as it must be."""


@dataclass(frozen=True)
class Relation:
    """Pairs of source and target, and a prompt whose next token is the target.

    `{}` in the prompt stands for the source. `shots` are the sources that the prompt gives away: a task made of the
    prompt must leave them out. A head implements a pair if the target is among its `top_k` outputs for the source.
    """

    name: str
    title: str
    category: str
    prompt: str
    shots: tuple[str, ...]
    top_k: int
    origin: str
    licence: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TokenPair:
    """A pair whose words are one token each."""

    source: str
    target: str
    source_id: int
    target_id: int


@dataclass(frozen=True)
class MultiTokenPair:
    """A pair whose target is one token and whose source is several."""

    source: str
    target: str
    source_ids: tuple[int, ...]
    target_id: int


def single_token_pairs(relation: Relation, tokenizer: Tokenizer) -> list[TokenPair]:
    """The pairs of which both words are one token."""
    return [
        TokenPair(source, target, source_ids[0], target_id)
        for source, target, source_ids, target_id in _tokenized(relation, tokenizer)
        if len(source_ids) == 1
    ]


def multi_token_sources(relation: Relation, tokenizer: Tokenizer) -> list[MultiTokenPair]:
    """The pairs of which the target is one token and the source is several."""
    return [
        MultiTokenPair(source, target, source_ids, target_id)
        for source, target, source_ids, target_id in _tokenized(relation, tokenizer)
        if len(source_ids) > 1
    ]


def _tokenized(relation: Relation, tokenizer: Tokenizer) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
    """Source, target, source ids and target id of each pair whose target is one token."""
    for source, target in relation.pairs:
        target_ids = _ids(target, tokenizer)
        if len(target_ids) == 1:
            yield source, target, _ids(source, tokenizer), target_ids[0]


def _ids(word: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    return tuple(tokenizer(" " + word, add_special_tokens=False)["input_ids"])


def load_relations(names: Iterable[str] | None = None, folder: Path = FOLDER) -> dict[str, Relation]:
    """The relations with these names, or all of them; by category, then by name.

    Raises:
        RelationError: a name is unknown, or a file is not as it must be.
    """
    files = {path.stem: path for path in folder.glob("*.yml")}
    wanted = set(files) if names is None else set(names)
    for name in sorted(wanted - set(files)):
        raise RelationError(_unknown(name, sorted(files)))
    relations = [_load(files[name]) for name in wanted]
    relations.sort(key=lambda relation: (CATEGORIES.index(relation.category), relation.name))
    return {relation.name: relation for relation in relations}


def _unknown(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the relations are {', '.join(names)}."
    return f"there is no relation {name!r}: {hint}"


@dataclass(frozen=True)
class _File:
    """The text of one file, to say at which line something is wrong."""

    path: Path
    text: str

    def error(self, problem: str, *, key: str = "", offset: int = 0) -> RelationError:
        """An error at the line of a key, or `offset` lines below it; at the first line where the key is not there."""
        start = re.search(rf"^{re.escape(key)}\s*:", self.text, re.MULTILINE) if key else None
        line = (self.text.count("\n", 0, start.start()) if start else 0) + 1 + offset
        return RelationError(f"{self.path}:{line}: {problem}")


def _load(path: Path) -> Relation:
    file = _File(path, path.read_text(encoding="utf-8"))
    fields = _fields(file)
    pairs = _pairs(fields["pairs"], file)
    relation = Relation(**{**fields, "name": path.stem, "shots": tuple(fields["shots"]), "pairs": pairs})
    _check(relation, file)
    return relation


def _fields(file: _File) -> dict[str, Any]:
    """The file's keys: exactly those of `FIELDS`, each of its type."""
    fields = _mapping(file)
    for key in FIELDS:
        if key not in fields:
            raise file.error(f"the key '{key}' is missing: a relation has {', '.join(FIELDS)}")
    for key, value in fields.items():
        if key not in FIELDS:
            raise file.error(f"unknown key '{key}': a relation has {', '.join(FIELDS)}", key=str(key))
        if type(value) is not FIELDS[key]:
            raise file.error(f"'{key}' is {value!r}, but must be of type {FIELDS[key].__name__}", key=key)
    return fields


def _mapping(file: _File) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(file.text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        raise file.error(f"not YAML: {error.problem}", offset=line) from None
    if not isinstance(content, dict):
        raise file.error(f"a relation is a mapping with the keys {', '.join(FIELDS)}")
    return content


def _pairs(block: str, file: _File) -> tuple[tuple[str, str], ...]:
    """The lines `source -> target` of a text block, each source once."""
    targets: dict[str, str] = {}
    for offset, line in enumerate(block.splitlines(), start=1):
        source, _, target = (part.strip() for part in line.partition(ARROW))
        if not source or not target or ARROW in target:
            raise file.error(f"'{line}' is not a line 'source -> target'", key="pairs", offset=offset)
        if source in targets:
            raise file.error(f"'{source}' is a source for the second time", key="pairs", offset=offset)
        targets[source] = target
    if not targets:
        raise file.error("there are no pairs", key="pairs")
    return tuple(targets.items())


def _check(relation: Relation, file: _File) -> None:
    """What must hold between a relation's fields."""
    if relation.category not in CATEGORIES:
        known = ", ".join(CATEGORIES)
        raise file.error(f"unknown category '{relation.category}': the categories are {known}", key="category")
    if relation.top_k < 1:
        raise file.error(f"'top_k' is {relation.top_k}, but must be 1 or more", key="top_k")
    if relation.prompt.count("{}") != 1 or " {}" not in relation.prompt or relation.prompt != relation.prompt.strip():
        problem = "must contain {} once, after a space, and must not begin or end with one"
        raise file.error(f"the prompt '{relation.prompt}' {problem}", key="prompt")
    sources = {source for source, _ in relation.pairs}
    for shot in relation.shots:
        if shot not in sources:
            raise file.error(f"the shot {shot!r} is not a source of the relation", key="shots")
