"""What the rules look at: an entry with the place of each value, and the base of all entries around it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from picks.files import load_yaml
from picks.papers import TAGS, load_people
from picks.schema import misfits
from reproductions.common.documents import Document, DocumentError, Mapping, Position, Scalar, Sequence, read_document
from reproductions.common.errors import UserError
from reproductions.common.schema import Misfit

T = TypeVar("T")

_TODO = re.compile(r"\bTODO\b")


@dataclass(frozen=True)
class Entry:
    """A file of `papers/` that could be read as `key: value` lines.

    What has not the right type is not there: the rules of `shape.py` have said so already.
    """

    document: Document

    @cached_property
    def id(self) -> str:
        """What the file is named after."""
        return self.document.path.stem

    @cached_property
    def misfits(self) -> list[Misfit]:
        """Where it is not as the schema has it."""
        return misfits(self.document, self.id)

    @property
    def start(self) -> Position:
        """The place for what concerns the whole entry."""
        return self.document.mapping.position

    def text(self, *path: str | int) -> Scalar | None:
        """A text that has been written, and not only promised."""
        node = self.document.node(*path)
        return node if isinstance(node, Scalar) and is_text(node) else None

    def texts(self, key: str) -> list[Scalar]:
        """The texts of a list."""
        node = self.document.node(key)
        items = node.items if isinstance(node, Sequence) else []
        return [item for item in items if isinstance(item, Scalar) and is_text(item)]

    def words_of(self, key: str) -> set[str]:
        """The values of a list of texts."""
        return {item.value for item in self.texts(key)}

    def builds_on(self) -> list[Scalar]:
        """The ids of the papers that it builds on."""
        node = self.document.node("builds_on")
        return [key for key, _ in node.pairs] if isinstance(node, Mapping) else []

    def titles(self) -> list[Scalar]:
        """Its title, and the others that it was known by."""
        title = self.text("title")
        return [*([title] if title else []), *self.texts("titles")]

    def links(self) -> Iterator[tuple[str, Scalar]]:
        """Each link with its key."""
        node = self.document.node("links")
        for key, value in node.pairs if isinstance(node, Mapping) else ():
            if isinstance(value, Scalar) and is_text(value):
                yield key.value, value

    def threads(self) -> Iterator[tuple[str, Scalar]]:
        """Each thread's address with its platform."""
        node = self.document.node("threads")
        for thread in node.items if isinstance(node, Sequence) else ():
            platform, url = (thread.get("platform"), thread.get("url")) if isinstance(thread, Mapping) else (None, None)
            if isinstance(platform, Scalar) and isinstance(url, Scalar) and is_text(url):
                yield platform.value, url


class Base:
    """The whole knowledge base, for the rules that compare."""

    def __init__(self, root: Path, documents: Iterable[Document]) -> None:
        self.root = root
        self.entries = [Entry(each) for each in documents if isinstance(each.root, Mapping)]
        self.by_id = {entry.id: entry for entry in self.entries}
        self._indexes: dict[Callable[[Base], Any], Any] = {}

    @cached_property
    def tags(self) -> list[str]:
        """The closed vocabulary; empty where its file is broken, which is a fault of that file."""
        return [key.value for key, _ in read(self.root / "papers" / TAGS).mapping.pairs]

    @cached_property
    def people(self) -> dict[str, str]:
        """The name that stands for a person, by each other name of theirs; empty where the file is broken."""
        try:
            return load_people(self.root)
        except UserError:
            return {}

    @cached_property
    def reproductions(self) -> dict[str, list[str]]:
        """Every reproduction with the ids of the paper that its claims are of, and of others that it also computes."""
        folders = sorted(path.parent for path in (self.root / "reproductions").glob("*/notebook.ipynb"))
        return {folder.name: _papers_of(folder) for folder in folders}

    def index(self, make: Callable[[Base], T]) -> T:
        """What a rule looks things up in, made when first asked for."""
        if make not in self._indexes:
            self._indexes[make] = make(self)
        return cast(T, self._indexes[make])

    def group(self, name: Callable[[Entry], str | None]) -> dict[str, list[Entry]]:
        """The entries by a name; those without one are left out."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if key := name(entry):
                found[key].append(entry)
        return found


def read(path: Path) -> Document:
    """A document, whatever is wrong with its file."""
    try:
        return read_document(path)
    except DocumentError as error:
        return Document(path, "", None, (error.problem,))


def is_text(node: Scalar) -> bool:
    """Whether it is text in quotes or out of them, and no TODO."""
    return node.type == "str" and not is_todo(node)


def is_todo(node: Scalar) -> bool:
    """Whether it is still to be written."""
    return bool(_TODO.search(node.value))


def _papers_of(folder: Path) -> list[str]:
    try:
        content = load_yaml(folder / "reproduction.yml")
    except UserError:
        return []
    also = content.get("also")
    return [
        paper for paper in [content.get("paper"), *(also if isinstance(also, list) else [])] if isinstance(paper, str)
    ]
