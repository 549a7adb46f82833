"""A YAML file with the place of everything in it: as text, as a tree of nodes, and as plain data.

PyYAML's own loader turns 2403.19650 into a number, keeps the last of two equal keys without a word, and forgets where
anything stood. So the tree is built here from the parser's events, in one loop: no depth of nesting and no alias makes
it slow. Scalars stay the text that was written, but for plain whole numbers.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from reproductions.common.errors import UserError

YAML_LIMIT = 64 * 1024
MOST_LEVELS = 8
BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]|\r(?!\n)")
INVISIBLE = re.compile("[\u00ad\u180e\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
DECIMAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]{1,3})?")
TRUTH = {"true": True, "false": False}
WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNSEEN = re.compile(f"{CONTROL.pattern}|{BIDIRECTIONAL.pattern}|{INVISIBLE.pattern}")
_TEXT = ("merge", "value")  # the signs << and =, which mean nothing in an entry
_RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file, both counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class Problem:
    """Why a file, or a part of it, cannot be read: `kind` says which of the few reasons it is."""

    kind: str
    position: Position
    what: str


class DocumentError(UserError):
    """A file that cannot be read as text at all."""

    def __init__(self, path: Path, problem: Problem) -> None:
        super().__init__(f"{path}:{problem.position.line}:{problem.position.column}: {problem.what}")
        self.problem = problem


@dataclass(slots=True)
class Scalar:
    """Text, a number or nothing: as written, with the type that YAML 1.1 gives it."""

    position: Position
    value: str
    type: str = "str"  # or int, float, bool, null, timestamp; alias for one that is not followed

    @property
    def data(self) -> str | int:
        """The text that was written; an `int` for a plain whole number."""
        return int(self.value) if self.type == "int" and WHOLE_NUMBER.fullmatch(self.value) else self.value

    @property
    def typed(self) -> str | int | float | bool | None:
        """What it stands for: a number, `true` or `false`, nothing, or else the text that was written; `no` is text."""
        if self.type == "float" and DECIMAL.fullmatch(self.value):
            return float(self.value)
        if self.type == "bool" and self.value in TRUTH:
            return TRUTH[self.value]
        return None if self.type == "null" else self.data


@dataclass(slots=True)
class Sequence:
    """A list."""

    position: Position
    items: list[Node] = field(default_factory=list)

    @property
    def data(self) -> list[Any]:
        """The plain items."""
        return [item.data for item in self.items]

    @property
    def typed(self) -> list[Any]:
        """What the items stand for."""
        return [item.typed for item in self.items]


@dataclass(slots=True)
class Mapping:
    """Keys with their values, in order, double keys included."""

    position: Position
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    first: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)  # by key; of two equal ones the first counts

    @property
    def data(self) -> dict[str, Any]:
        """The plain values by key."""
        return {name: value.data for name, (_, value) in self.first.items()}

    @property
    def typed(self) -> dict[str, Any]:
        """What the values stand for, by key."""
        return {name: value.typed for name, (_, value) in self.first.items()}

    def get(self, name: str) -> Node | None:
        """The value of a key."""
        return self.first[name][1] if name in self.first else None

    def add(self, key: Scalar, value: Node) -> None:
        """One more key."""
        self.pairs.append((key, value))
        self.first.setdefault(key.value, (key, value))


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Document:
    """A file that was read: its text, its tree (None where there is none), and what was wrong on the way."""

    path: Path
    text: str
    root: Node | None
    problems: tuple[Problem, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it was read to its end."""
        return not {problem.kind for problem in self.problems} & {"not-yaml", "too-deep", "unreadable"}

    @cached_property
    def mapping(self) -> Mapping:
        """The tree's root; an empty mapping where the file holds something else."""
        return self.root if isinstance(self.root, Mapping) else Mapping(Position())

    def node(self, *path: str | int) -> Node | None:
        """What stands at a path of keys and indices."""
        node: Node | None = self.mapping
        for step in path:
            if isinstance(node, Mapping) and isinstance(step, str):
                node = node.get(step)
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                return None
        return node

    def position(self, *path: str | int) -> Position:
        """The place of what stands at a path; of its nearest parent where there is nothing."""
        while path and (node := self.node(*path)) is None:
            path = path[:-1]
        return node.position if path and node else self.mapping.position

    def find(self, words: Iterable[str], near: Position) -> Position:
        """Where some words stand, whatever is between them; looked for from a place on."""
        pattern = r"[\W_]+".join(re.escape(word) for word in words)
        lines = self.text.split("\n")
        start = sum(map(len, lines[: near.line - 1])) + near.line - 1 + near.column - 1
        found = re.compile(pattern, re.IGNORECASE).search(self.text, start)
        return position_of(self.text, found.start()) if found else near

    @cached_property
    def scalars(self) -> list[tuple[tuple[str | int, ...], Scalar, bool]]:
        """Every scalar, in order: its path, itself, and whether it is a key."""
        return list(_scalars(self.root, ())) if self.root else []


def read_document(path: Path, *, follow: bool = False) -> Document:
    """A YAML file of at most 64 KB, read as far as it can be; `follow` aliases that stand for text or a number.

    Raises:
        DocumentError: it is no file, cannot be opened, or is too large.
    """
    content = _read_bytes(path)
    try:
        text, problems = content.decode("utf8"), []
    except UnicodeDecodeError as error:
        text, problems = content.decode("utf8", "replace"), [_not_utf8(content, error)]
    text = text.removeprefix("\ufeff")
    builder = _Builder(follow)
    builder.build(_UNSEEN.sub(" ", text))  # what is left in a value was written as an escape
    return Document(path, text, builder.root, (*problems, *builder.problems))


def position_of(text: str, offset: int) -> Position:
    """The place of a character of a text."""
    start = text.rfind("\n", 0, offset) + 1
    return Position(text.count("\n", 0, offset) + 1, offset - start + 1)


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise DocumentError(path, Problem("symlink", Position(), "is a symbolic link"))
        if not stat.S_ISREG(mode):
            raise DocumentError(path, Problem("unreadable", Position(), "is not a file"))
        with path.open("rb") as file:
            content = file.read(YAML_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DocumentError(path, Problem("unreadable", Position(), f"cannot be read: {reason}")) from None
    if len(content) > YAML_LIMIT:
        raise DocumentError(path, Problem("too-large", Position(), f"larger than {YAML_LIMIT // 1024} KB"))
    return content


def _not_utf8(content: bytes, error: UnicodeDecodeError) -> Problem:
    before = content[: error.start].decode("utf8")
    what = f"byte 0x{content[error.start]:02x} is not UTF-8"
    return Problem("not-utf8", position_of(before, len(before)), what)


def _scalars(node: Node, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Scalar, bool]]:
    if isinstance(node, Scalar):
        yield path, node, False
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _scalars(item, (*path, index))
    else:
        for key, value in node.pairs:
            yield (*path, key.value), key, True
            yield from _scalars(value, (*path, key.value))


def _type(text: str) -> str:
    """What YAML 1.1 takes an unquoted scalar for."""
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            name = str(tag).rpartition(":")[2]
            return "str" if name in _TEXT else name
    return "str"


class _TooDeepError(Exception):
    """Reading goes no further."""


class _Builder:
    """Puts a tree together from the parser's events."""

    def __init__(self, follow: bool) -> None:
        self.root: Node | None = None
        self._anchors: dict[str, Scalar] | None = {} if follow else None
        self.problems: list[Problem] = []
        self._open: list[tuple[Sequence | Mapping, list[Node]]] = []  # collections not yet closed, with their children

    def build(self, text: str) -> None:
        """Read the text to its end, or to the first place where it stops being YAML."""
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event, _place(event.start_mark))
        except yaml.YAMLError as error:
            self._complain("not-yaml", _place(getattr(error, "problem_mark", None)), _problem(error))
        except _TooDeepError:
            pass
        while self._open:
            self._close()

    def _take(self, event: yaml.Event, position: Position) -> None:
        if tag := getattr(event, "tag", None):
            self._complain("explicit-tag", position, f"tag {tag[:40]}")
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event, position))
            case yaml.AliasEvent():
                self._add(self._meant(str(event.anchor), position))
            case yaml.SequenceStartEvent():
                self._start(Sequence(position))
            case yaml.MappingStartEvent():
                self._start(Mapping(position))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._close()
            case yaml.DocumentStartEvent() if self.root is not None:
                self._complain("not-yaml", position, "a second document begins")

    def _scalar(self, event: yaml.ScalarEvent, position: Position) -> Scalar:
        found = Scalar(position, event.value, _type(event.value) if event.implicit[0] else "str")
        if event.anchor and self._anchors is not None:
            self._anchors[event.anchor] = found
        return found

    def _meant(self, anchor: str, position: Position) -> Scalar:
        """What an alias stands for, where aliases are followed and it is text or a number."""
        known = (self._anchors or {}).get(anchor)
        if known is None:
            self._complain("alias", position, f"alias *{anchor[:40]}")
            return Scalar(position, "", "alias")
        return Scalar(position, known.value, known.type)

    def _start(self, node: Sequence | Mapping) -> None:
        if len(self._open) >= MOST_LEVELS:
            self._complain("too-deep", node.position, f"nested more than {MOST_LEVELS} levels deep")
            raise _TooDeepError
        self._add(node)
        self._open.append((node, []))

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        elif self.root is None:
            self.root = node

    def _close(self) -> None:
        node, children = self._open.pop()
        if isinstance(node, Sequence):
            node.items = children
            return
        for key, value in zip(children[::2], children[1::2], strict=False):
            if isinstance(key, Scalar):
                node.add(key, value)
            else:
                self._complain("not-yaml", key.position, "a key must be text")

    def _complain(self, kind: str, position: Position, what: str) -> None:
        self.problems.append(Problem(kind, position, what))


def _place(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark else Position()


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    context = getattr(error, "context", None)
    return f"{problem} ({context})" if context else str(problem)
