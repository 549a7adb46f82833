"""The relations that heads are scored on: pairs of words such as France -> Paris, one file each in `relations/`.

The pairs of a file stand in a random but fixed order, so that its first n are a fair sample of it. A pair counts for a
model only where its tokenizer makes one token of each word, written as inside a sentence: with a space before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from reproductions.common.errors import UserError
from reproductions.common.schema import Loaded, load

FOLDER = Path(__file__).with_name("relations")
CATEGORIES = ("algorithmic", "knowledge", "linguistic", "translation")
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


def _load(path: Path) -> Relation:
    try:
        file = load(path, "relation")
        fields = file.content
        pairs = _pairs(fields["pairs"], file)
        _check(fields["prompt"], fields["shots"], pairs, file)
    except UserError as error:
        raise RelationError(str(error)) from error
    return Relation(**{**fields, "name": path.stem, "shots": tuple(fields["shots"]), "pairs": pairs})


def _pairs(block: str, file: Loaded) -> tuple[tuple[str, str], ...]:
    """The lines `source -> target` of a text block, each source once."""
    targets: dict[str, str] = {}
    for number, line in enumerate(block.splitlines(), start=1):
        source, _, target = (part.strip() for part in line.partition(ARROW))
        if not source or not target or ARROW in target:
            raise file.error(f"{line!r} is not a line 'source -> target'", "pairs", below=number)
        if source in targets:
            raise file.error(f"{source!r} is a source for the second time", "pairs", below=number)
        targets[source] = target
    return tuple(targets.items())


def _check(prompt: str, shots: Sequence[str], pairs: Sequence[tuple[str, str]], file: Loaded) -> None:
    """What must hold between a relation's fields."""
    if prompt.count("{}") != 1 or " {}" not in prompt or prompt != prompt.strip():
        problem = "must contain {} once, after a space, and must not begin or end with one"
        raise file.error(f"the prompt {prompt!r} {problem}", "prompt")
    sources = {source for source, _ in pairs}
    for place, shot in enumerate(shots):
        if shot not in sources:
            raise file.error(f"the shot {shot!r} is not a source of the relation", "shots", place)
