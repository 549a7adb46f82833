"""A paper's file as text that a fact can be changed in, and nothing else.

People write these files, so a round trip through a YAML writer is not good enough: it normalises flow lists over
several lines, spaces, line ends, a missing last newline. Here the YAML only says where a value stands; the text around
it is never rewritten, and an edit that would change anything but its fact is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import yaml

from picks.add.layout import Value, lines_of, order, scalar
from reproductions.common.documents import DocumentError, read_document
from reproductions.common.errors import UserError
from reproductions.common.files import write_bytes

Plain: TypeAlias = str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class EntryFile:
    """The text of `path`, exactly as it is or shall be on disk."""

    path: Path
    text: str

    @classmethod
    def load(cls, path: Path) -> EntryFile:
        """Read a file.

        Raises:
            UserError: it cannot be read, or is no YAML mapping.
        """
        document = read_document(path)
        if document.problems:
            raise DocumentError(path, document.problems[0])
        if not document.mapping.pairs:
            raise UserError(f"{path}:1:1: expected `key: value` lines")
        return cls(path, path.read_bytes().decode("utf8"))

    def save(self) -> None:
        """Put the text on disk, whole or not at all."""
        write_bytes(self.path, self.text.encode("utf8"))

    @cached_property
    def fields(self) -> Plain:
        """The plain data of the file; numbers stay the text that was written."""
        return _plain(self._tree)

    def get(self, *keys: str) -> Plain | None:
        """The value under a path of keys; None where there is none."""
        value: Plain | None = self.fields
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def with_value(self, value: Value, *keys: str) -> EntryFile:
        """The file with this value under a path of keys, every other character as it was.

        Raises:
            UserError: the layout around that place leaves no room for a change that touches nothing else.
        """
        try:
            changed = replace(self, text=self._edited(value, keys))
            if changed.fields == _with(self.fields, value, keys):
                return changed
        except (yaml.YAMLError, _NoRoomError):
            pass
        raise UserError(f"{self.path}: `{'.'.join(keys)}` cannot be changed alone here; set it by hand to: {value}")

    @property
    def _tree(self) -> yaml.Node:
        return yaml.compose(self.text, yaml.SafeLoader) or yaml.MappingNode("", [])

    def _edited(self, value: Value, keys: Sequence[str]) -> str:
        node = self._tree
        for depth, key in enumerate(keys):
            child = _child(node, key)
            if child is None:
                return self._with_key(node, keys[: depth + 1], lines_of(keys[depth:], value))
            node = child
        if isinstance(value, str | int):
            return self._with_scalar(node, value)
        return self._with_items(node, value)

    def _with_scalar(self, node: yaml.Node, value: str | int) -> str:
        start, end = node.start_mark.index, self._end(node)
        quote = node.style if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else None
        gap = " " if start == end else ""
        return self.text[:start] + gap + scalar(value, quote) + self.text[end:]

    def _with_items(self, node: yaml.Node, values: Sequence[str]) -> str:
        if not isinstance(node, yaml.SequenceNode) or node.flow_style:
            flow = ", ".join(scalar(value, '"') for value in values)
            return f"{self.text[: node.start_mark.index]}[{flow}]{self.text[self._end(node) :]}"
        if len(node.value) == len(values):
            return self._with_each(node.value, values)
        return self._with_lines(node, values)

    def _with_each(self, items: Sequence[yaml.Node], values: Sequence[str]) -> str:
        """As many items as before: each that differs is changed where it stands."""
        text = self.text
        for item, value in reversed(list(zip(items, values, strict=True))):
            if item.value != value:
                text = replace(self, text=text)._with_scalar(item, value)
        return text

    def _with_lines(self, node: yaml.SequenceNode, values: Sequence[str]) -> str:
        """More or fewer items: those that stay keep their lines, and comments above any item stay."""
        dash = " " * node.start_mark.column + "- "
        start = node.start_mark.index - node.start_mark.column
        ends = [self._line_end(self._end(item)) for item in node.value]
        lines = [self.text[i:j] for i, j in zip([start, *ends], ends, strict=False)]
        kept: list[str] = []
        old = [str(item.value) for item in node.value]
        for same, i, j, k, m in SequenceMatcher(a=old, b=list(values), autojunk=False).get_opcodes():
            if same == "equal":
                kept += lines[i:j]
            else:
                kept += [_comments(line) for line in lines[i:j]]
                kept += [dash + scalar(value) + self._newline for value in values[k:m]]
        return self.text[:start] + "".join(kept) + self.text[ends[-1] :]

    def _with_key(self, parent: yaml.Node, keys: Sequence[str], lines: Sequence[str]) -> str:
        """The lines of a new key, put after the last of those that come before it in the house's order."""
        if not isinstance(parent, yaml.MappingNode) or parent.flow_style:
            raise _NoRoomError
        new = "".join(" " * parent.start_mark.column + line + self._newline for line in lines)
        rank = _ranks(order(keys[:-1]))
        before = [value for key, value in parent.value if rank(key.value) <= rank(keys[-1])]
        start = parent.start_mark.index - parent.start_mark.column
        at = self._line_end(self._end(before[-1])) if before else start
        gap = self._newline if before and not self.text[:at].endswith("\n") else ""
        return self.text[:at] + gap + new + self.text[at:]

    def _end(self, node: yaml.Node) -> int:
        """Where a value's own text ends: without the line breaks and comments that YAML counts to it."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        start, end = node.start_mark.index, node.end_mark.index
        return start + len(self.text[start:end].rstrip())

    def _line_end(self, index: int) -> int:
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


class _NoRoomError(Exception):
    """There is no line of its own to put something on."""


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in reversed(pairs) if name.value == key), None)


def _plain(node: yaml.Node) -> Plain:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    return [_plain(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else str(node.value)


def _with(fields: Plain, value: Value, keys: Sequence[str]) -> Plain:
    """The plain data with one value changed."""
    if not keys:
        return str(value) if isinstance(value, str | int) else list(value)
    if not isinstance(fields, dict):
        raise _NoRoomError
    return fields | {keys[0]: _with(fields.get(keys[0], {}), value, keys[1:])}


def _ranks(order: Sequence[str]) -> Callable[[str], int]:
    return lambda key: order.index(key) if key in order else len(order)


def _comments(lines: str) -> str:
    return "".join(line for line in lines.splitlines(keepends=True) if line.lstrip().startswith("#"))
