"""The file before it is YAML: whether it can be read, how large it is, and characters that hide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from picks.check.faults import ERROR, Finding, file_rule
from reproductions.common.documents import BIDIRECTIONAL, CONTROL, INVISIBLE, Document, position_of

_LOST_LETTER = "\ufffd"


@file_rule(ERROR)
def unreadable(document: Document) -> Iterator[Finding]:
    """What is named as an entry cannot be read as a file.

    Why: an entry is one plain text file; whatever else stands in its place is not seen by any reader.
    Mend: put a readable file there, or remove it.
    """
    yield from problems(document, "unreadable")


@file_rule(ERROR)
def symlink(document: Document) -> Iterator[Finding]:
    """An entry is a symbolic link.

    Why: a link can lead out of the repository, and becomes a file with a path in it on systems without links.
    Mend: replace the link by a file.
    """
    yield from problems(document, "symlink")


@file_rule(ERROR)
def too_large(document: Document) -> Iterator[Finding]:
    """An entry is larger than 64 KB.

    Why: a full entry takes two; what is so large is not an entry, and would be slow to read for everybody.
    Mend: leave a summary of two to five sentences and put the rest behind a link.
    """
    yield from problems(document, "too-large")


@file_rule(ERROR)
def not_utf8(document: Document) -> Iterator[Finding]:
    """The text is not UTF-8, or lost letters on its way here.

    Why: in another encoding names like Costa-jussà come out as other letters, or as none.
    Mend: save the file as UTF-8 and write the letters again.
    """
    yield from problems(document, "not-utf8")
    if not any(problem.kind == "not-utf8" for problem in document.problems):
        for found in re.finditer(_LOST_LETTER, document.text):
            yield Finding(position_of(document.text, found.start()), "U+FFFD stands where a letter was lost")


@file_rule(ERROR)
def control_character(document: Document) -> Iterator[Finding]:
    """The text has a control character in it.

    Why: terminals obey such characters and YAML does not allow them; they come from copying out of a PDF.
    Mend: delete it, or type the line anew.
    """
    yield from _characters(document, CONTROL)


@file_rule(ERROR)
def bidirectional_character(document: Document) -> Iterator[Finding]:
    """The text has a character in it that turns the direction of writing.

    Why: it makes a line look like something else than it is, an address above all.
    Mend: delete it, or type the line anew.
    """
    yield from _characters(document, BIDIRECTIONAL)


@file_rule(ERROR)
def invisible_character(document: Document) -> Iterator[Finding]:
    """The text has a character in it that nobody sees, such as a soft hyphen or a space of no width.

    Why: a search for the word, and a comparison with another entry, will not find it.
    Mend: delete it, or type the word anew.
    """
    yield from _characters(document, INVISIBLE)


def problems(document: Document, kind: str) -> Iterator[Finding]:
    """What went wrong in reading, of one kind."""
    for problem in document.problems:
        if problem.kind == kind:
            yield Finding(problem.position, problem.what)


def _characters(document: Document, pattern: re.Pattern[str]) -> Iterator[Finding]:
    for found in pattern.finditer(document.text):
        yield Finding(position_of(document.text, found.start()), _named(found[0]))
    for _, scalar, _ in document.scalars:
        if found_escape := pattern.search(scalar.value):
            yield Finding(scalar.position, f"{_named(found_escape[0])}, written as an escape")


def _named(letter: str) -> str:
    name = unicodedata.name(letter, "control character").lower()
    return f"U+{ord(letter):04X} ({name})"
