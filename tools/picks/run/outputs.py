"""Caps on what a notebook may print and draw, so that a runaway loop fills neither memory nor disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT_LIMIT = 40 * 1024  # characters a cell may print to a stream: half from the start, half from the end
HALF = TEXT_LIMIT // 2
OUTPUT_LIMIT = 2 * 2**20  # bytes of one figure or table
NOTEBOOK_LIMIT = 6 * 2**20  # bytes of all of them
COUNT_LIMIT = 100  # figures and tables a cell may show
SHOWN = frozenset({"display_data", "execute_result", "update_display_data"})  # kinds of messages that carry them


@dataclass
class CappedText:
    """Printed text whose middle is dropped as it grows; a carriage return overwrites its line, as on a terminal."""

    head: str = ""
    tail: str = ""
    cut: int = 0

    def add(self, text: str, cut: int = 0) -> None:
        """Append, and keep within the limit; of the text, so many characters were cut before (`shorten`)."""
        self.tail = _overwrite(self.tail + text)
        if not self.head and len(self.tail) > (HALF if cut else TEXT_LIMIT):
            self.head, self.tail = self.tail[:HALF], self.tail[HALF:]
        if self.head:
            excess = max(0, len(self.tail) - HALF)
            self.tail = self.tail[excess:]
            self.cut += excess + cut

    def __str__(self) -> str:
        if not self.cut:
            return self.head + self.tail
        return f"{self.head}\n\n[… {self.cut:,} characters cut here …]\n\n{self.tail}"


def shorten(text: str) -> tuple[str, int]:
    """As much of a text as is ever kept, its middle left out, and how many characters that were."""
    if len(text) <= TEXT_LIMIT:
        return text, 0
    return text[:HALF] + text[-HALF:], len(text) - TEXT_LIMIT


def fit(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a message of the kernel, no larger than what is ever kept of it."""
    if kind == "stream":
        text, cut = shorten(content["text"])
        return content | {"text": text, "cut": cut}
    if kind in SHOWN:
        return admit(content, used=0, shown=0) or content
    return cap_error(content) if "traceback" in content else content


def _overwrite(text: str) -> str:
    """What stays of each line after its carriage returns; one at the very end may still be overwritten."""
    if "\r" not in text:
        return text
    *lines, last = text.split("\n")
    kept = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return "\n".join([*kept, last[last.rstrip("\r").rfind("\r") + 1 :]])


def admit(content: dict[str, Any], used: int, shown: int) -> dict[str, Any] | None:
    """A display's message content: as it is, with a note in its place if it is too much, or None after that note.

    Args:
        content: of the kernel's message.
        used: bytes of the figures and tables that the notebook holds already.
        shown: outputs that the cell holds already.
    """
    if shown > COUNT_LIMIT:
        return None
    large = size(content["data"])
    if shown < COUNT_LIMIT and large <= min(OUTPUT_LIMIT, NOTEBOOK_LIMIT - used):
        return content
    reason = f"this cell shows more than {COUNT_LIMIT}" if shown == COUNT_LIMIT else "too large to keep"
    note = f"[an output of {large / 1024:,.0f} KB was left out: {reason}]"
    return content | {"data": {"text/plain": note}, "metadata": {}}


def size(data: dict[str, Any]) -> int:
    """The size of a display in bytes, near enough."""
    return sum(len(value) if isinstance(value, str) else len(repr(value)) for value in data.values())


def cap_error(content: dict[str, Any]) -> dict[str, Any]:
    """An exception's message content with its text kept within the limit."""
    capped = {key: _shorten(str(content.get(key, ""))) for key in ("ename", "evalue")}
    traceback = _shorten("\n".join(content.get("traceback", [])))
    return content | capped | {"traceback": traceback.split("\n")}


def _shorten(text: str) -> str:
    capped = CappedText()
    capped.add(text)
    return str(capped)
