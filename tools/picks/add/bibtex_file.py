"""A BibTeX file as the papers in it, in LaTeX as it stands there, and a sentence for each entry that cannot be read."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import bibtexparser
from bibtexparser import model

from picks.add.braces import is_held, split
from picks.add.todo import todo
from picks.bibliography.latex import decode, unknown_commands
from reproductions.common.documents import BIDIRECTIONAL, CONTROL, position_of
from reproductions.common.errors import UserError
from reproductions.common.quoting import printable, shown

LIMIT = 4 * 1024 * 1024
LONGEST = 300  # of a title
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_NAMES_OF_FIELDS = (  # those that say a fact
    "archiveprefix arxivid author booktitle crossref date day doi eid eprint eprinttype howpublished issue journal "
    "journaltitle month note number pages primaryclass eprintclass pubstate subtitle title url volume xdata year"
)
_READ = frozenset(_NAMES_OF_FIELDS.split())
_WHERE = ("booktitle", "journal", "journaltitle", "volume", "number")
_PARENTS = ("collection", "mvcollection", "mvproceedings", "mvreference", "proceedings", "reference", "xdata")
_PARENTS_IF_NAMED = ("book", "mvbook", "periodical")
_MOST_STEPS = 3  # from parent to parent

_BEGINNING = re.compile(r"@(?P<kind>\w*)\s*[{(]\s*(?P<key>[^\s,={}]*)")
_FIELD = re.compile(r"[^\s{}\"#%'(),=\\]+")
_QUOTED = re.compile(r'"[^"]*"')
_HASH, _COMMA = re.compile("#"), re.compile(",")
_FIELDS = "every field is `name = {value}`, with a comma behind"
_REASONS = (  # words of the parser, and what they mean
    (re.compile("Unexpected|found `?@"), "one of its braces or quotes never closes"),
    (re.compile("comma after entry key"), "it begins with a key and a comma: @misc{key, …"),
    (re.compile(""), _FIELDS),
)

logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class EntryError(UserError):
    """An entry that nothing can be made of; the others of its file can be read."""

    def __init__(self, path: Path, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}")
        self.line = line


@dataclass(frozen=True)
class Entry:
    """An entry of a file."""

    path: Path
    line: int
    kind: str
    key: str
    fields: Mapping[str, str]

    def raw(self, name: str) -> str:
        """A field as it stands there; empty where there is none."""
        return self.fields.get(name, "")

    def say(self, name: str) -> str:
        """A field in plain text, or a TODO that names the commands in it that nobody knows."""
        text, strange = decode(self.raw(name)), unknown_commands(self.raw(name))
        return todo(f"what {' and '.join(strange)} stands for in", text, LONGEST) if strange else text

    def first(self, *names: str) -> str:
        """The first of some fields that says anything."""
        return next(filter(None, map(self.say, names)), "")

    def refuse(self, what: str) -> EntryError:
        """Why it is refused, with its place and key in front."""
        return EntryError(self.path, self.line, f"{printable(self.key)} {what}")


def papers(path: Path) -> tuple[list[Entry], list[EntryError]]:
    """The papers of a file, each with what it inherits, and why the others cannot be read.

    Raises:
        UserError: the file cannot be opened, or is no text.
    """
    library = bibtexparser.parse_string(_text(path))
    strings = {name.lower(): string.value for name, string in library.strings_dict.items()}
    entries, unread = sort_out(partial(_entry, path, strings), _blocks(library.blocks))
    by_key = {entry.key.casefold(): entry for entry in entries}
    named = {key.casefold() for entry in entries for key in _parents(entry)}
    children = [entry for entry in entries if not _is_parent(entry, named)]
    found, orphans = sort_out(partial(_with_parents, by_key), children)
    return found, [*unread, *orphans]


def sort_out(make: Callable[[_Item], _Made], items: Iterable[_Item]) -> tuple[list[_Made], list[EntryError]]:
    """What can be made of items, and why nothing can be made of the others."""
    made: list[_Made] = []
    refused: list[EntryError] = []
    for item in items:
        try:
            made.append(make(item))
        except EntryError as error:
            refused.append(error)
    return made, refused


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
        text = content.decode("utf8").removeprefix("\ufeff")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    if len(content) > LIMIT:
        raise UserError(f"{path}: larger than {LIMIT // 1024**2} MiB; give a file with the papers to add only")
    if odd := CONTROL.search(text) or BIDIRECTIONAL.search(text):
        line = position_of(text, odd.start()).line
        raise UserError(f"{path}:{line}: holds the invisible character U+{ord(odd[0]):04X}; take it out")
    return text


def _blocks(blocks: Sequence[model.Block]) -> Iterator[tuple[model.Block, str]]:
    """What is an entry, or was meant to be one, with the text that stands behind it."""
    for block, after in pairwise([*blocks, model.ImplicitComment("")]):
        is_copy = isinstance(block, model.DuplicateBlockKeyBlock) and block.raw == block.previous_block.raw
        if isinstance(block, model.Entry | model.ParsingFailedBlock) and not is_copy:
            yield block, after.comment if isinstance(after, model.ImplicitComment) else ""


def _entry(path: Path, strings: Mapping[str, str], found: tuple[model.Block, str]) -> Entry:
    """A block of the parser's, and the text behind it, as an entry.

    Raises:
        EntryError: it is not well-formed; or its key, or one of its fields, was there before.
    """
    block, after = found
    line = (block.start_line or 0) + 1
    if isinstance(block, model.DuplicateBlockKeyBlock):
        before = (block.previous_block.start_line or 0) + 1
        raise EntryError(path, line, f"the key {shown(block.key)} stands in line {before} too; give this one another")
    inner = block.ignore_error_block if isinstance(block, model.ParsingFailedBlock) else block
    if not isinstance(inner, model.Entry):
        raise EntryError(path, line, f"{_named(block)} is not well-formed BibTeX: {_reason(block)}")
    if after.count("}") > after.count("{"):
        raise EntryError(path, line, f"{_named(block)} ends before its last brace; take out the one too many")
    return Entry(path, line, inner.entry_type, inner.key, dict(_fields(path, inner, strings)))


def _named(block: model.Block) -> str:
    """What a block is called in a message: its key, else its kind."""
    found = _BEGINNING.match(block.raw or "")
    return printable((found["key"] or f"@{found['kind']}") if found else "the entry")


def _reason(block: model.Block) -> str:
    said = str(getattr(getattr(block, "error", None), "abort_reason", ""))
    return next(meaning for words, meaning in _REASONS if words.search(said))


def _fields(path: Path, entry: model.Entry, strings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The fields that say a fact.

    Raises:
        EntryError: one is given twice, or cannot be read.
    """
    seen: set[str] = set()
    for field in entry.fields:
        name = field.key.lower()
        try:
            if name in seen:
                raise ValueError(f"has the field {shown(name)} twice; keep one of them")
            value = _value(field, strings)
        except ValueError as error:
            raise EntryError(path, field.start_line + 1, f"{printable(entry.key)} {error}") from None
        seen.add(name)
        if name in _READ:
            yield name, value


def _value(field: model.Field, strings: Mapping[str, str]) -> str:
    """What stands between a field's braces or quotes, or what its parts between # say.

    Raises:
        ValueError: it is no value, or needs a @string that the file does not define.
    """
    if not _FIELD.fullmatch(field.key):
        raise ValueError(f"is not well-formed BibTeX at {shown(field.key)}: {_FIELDS}")
    if field.enclosing is None:
        return str(field.value)
    parts = [(part.strip(), _part(part.strip(), strings)) for part in split(field.value, _HASH)]
    undefined = [name for name, said in parts if said is None]
    if any(not _FIELD.fullmatch(name) for name in undefined):
        raise ValueError(f"is not well-formed BibTeX at {shown(field.key)}: {_FIELDS}")
    if undefined and field.key.lower() in _READ:
        raise ValueError(f"uses the @string {shown(undefined[0])}, which the file does not define; write out its text")
    return "".join(said or "" for _, said in parts)


def _part(text: str, strings: Mapping[str, str]) -> str | None:
    """What a part of a value says; None for a name that nobody defined."""
    if is_held(text) or _QUOTED.fullmatch(text):
        return text[1:-1]
    return text if text.isdigit() or text.lower() in MONTHS else strings.get(text.lower())


def _parents(entry: Entry) -> list[str]:
    """The keys of the entries that an entry inherits from."""
    keys = [entry.raw("crossref"), *split(entry.raw("xdata"), _COMMA)]
    return [key.strip() for key in keys if key.strip()]


def _is_parent(entry: Entry, named: Collection[str]) -> bool:
    """Whether an entry is no paper: it is there for others to inherit from."""
    return entry.kind in _PARENTS or (entry.kind in _PARENTS_IF_NAMED and entry.key.casefold() in named)


def _with_parents(by_key: Mapping[str, Entry], entry: Entry, most: int = _MOST_STEPS) -> Entry:
    """An entry with what its parents say, and theirs.

    Raises:
        EntryError: one of them is missing.
    """
    fields = dict(entry.fields)
    for key in _parents(entry):
        parent = by_key.get(key.casefold())
        if parent is None or not most:
            why = "is not in the file, or cannot be read" if most else "inherits from others in a circle"
            raise entry.refuse(f"inherits from {shown(key)}, which {why}; add or mend that, or take the field out")
        fields = _inherited(_with_parents(by_key, parent, most - 1), fields) | fields
    return replace(entry, fields=fields)


def _inherited(parent: Entry, own: Mapping[str, str]) -> dict[str, str]:
    """What a parent hands down: all if it is made for that, else where and when the paper appeared."""
    if parent.kind == "xdata":
        return dict(parent.fields)
    dated = "year" in own or "date" in own
    names = _WHERE if dated else (*_WHERE, "year", "date")
    found = {name: parent.fields[name] for name in names if name in parent.fields}
    place = "journaltitle" if parent.kind == "periodical" else "booktitle"
    return {place: parent.raw("title")} | found
