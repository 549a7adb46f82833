"""Facts from a BibTeX file.

bibtexparser drops without a word what it cannot read, so what goes in is looked at first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from pathlib import Path

from picks.add.facts import Facts, links_of
from picks.bibliography import venues
from picks.bibliography.latex import decode
from picks.bibliography.names import given_first
from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_arxiv
from reproductions.common.documents import BIDIRECTIONAL, CONTROL, position_of
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

LIMIT = 256 * 1024

_ENTRY = re.compile(r"^[ \t]*@(?!comment|string|preamble)\w+\s*[{(]\s*(?P<key>[^,\s]*)", re.IGNORECASE | re.MULTILINE)
_KEY = re.compile(r"(?!.*\.\.)[^\W_][\w:.+/*'&-]{0,120}")
_ESCAPE = re.compile(r"\\([_%&#$~])(?:\{\})?")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_COMMA = re.compile(",")
_ARXIV = re.compile(r"arxiv[:./ ]*(?:abs/)?(?P<id>\d{4}\.\d{4,5})|^abs/(?P<abs>\d{4}\.\d{4,5})", re.IGNORECASE)
_POST = re.compile(r"https://(?:www\.)?(?:lesswrong|alignmentforum)\.(?:com|org)/posts/\w+/(?P<slug>[a-z0-9-]+)")
_PREPRINT = re.compile(r"arxiv|corr\b", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class Entry:
    """An entry of a file, in LaTeX as it stands there."""

    path: Path
    key: str
    fields: dict[str, str]

    def say(self, name: str) -> str:
        """A field in plain text; empty where there is none."""
        return decode(self.fields.get(name, ""))

    def address(self, name: str) -> str:
        """A field that holds an address or a DOI, where two hyphens and a tilde are what they are."""
        return _ESCAPE.sub(r"\1", self.fields.get(name, "")).strip()

    @property
    def doi(self) -> str | None:
        """Its DOI, unless it is arXiv's own."""
        found = doi(self.address("doi")) or doi(self.address("url"))
        return found if found and not paper_id(found) else None

    @property
    def anthology(self) -> str | None:
        """Its id in the ACL Anthology."""
        return anthology_id(self.doi or "") or anthology_id(self.address("url"))

    @property
    def id(self) -> str | None:
        """The id it would have here, if it says one."""
        for name in ("eprint", "doi", "url"):
            if found := paper_id(self.address(name)):
                return found
        for name in ("journal", "volume", "note", "howpublished"):
            if arxiv := _ARXIV.search(self.address(name)):
                return paper_id(arxiv["id"] or arxiv["abs"])
        post = _POST.match(self.address("url"))
        return f"lw-{post['slug']}" if post else None


def read(path: Path, wanted: Sequence[str] = ()) -> list[Facts]:
    """The facts of every paper in a file, or of those wanted: by arXiv id, DOI, ACL Anthology id or key.

    Raises:
        UserError: the file is not BibTeX of papers, or what is wanted is not in it.
    """
    entries = _entries(path)
    if not wanted:
        return [facts(entry, entry.id) for entry in entries]
    return [facts(*_find(entries, text, path)) for text in wanted]


def facts(entry: Entry, paper: str | None) -> Facts:
    """What an entry says about the paper that has this id.

    Raises:
        UserError: without id, title or authors nothing can be made of it.
    """
    where = f"{entry.path}: {entry.key}"
    if paper is None:
        raise UserError(f"{where} names no arXiv paper; add a field eprint, or use `tools/add ARXIV_ID --bibtex FILE`")
    title, authors = entry.say("title"), people(entry.fields.get("author", ""))
    is_post = not is_arxiv(paper)
    needed = {"title": title, "author": authors} | ({"url": entry.address("url")} if is_post else {})
    if lacking := [name for name, value in needed.items() if not value]:
        raise UserError(f"{where} has no {lacking[0]}")
    venue = None if is_post else _venue(entry)
    return Facts(
        id=paper,
        title=title,
        authors=tuple(authors),
        published=_day(entry) if venue is None else None,
        venue=venue,
        doi=entry.doi,
        category=entry.say("primaryclass") or None,
        links={"post": entry.address("url")} if is_post else links_of(entry.doi, entry.address("url")),
    )


def people(field: str) -> list[str]:
    """The names in an author field, given names first; `and others` becomes a TODO."""
    return [spoken for name in _split(field, _AND) if (spoken := _spoken(" ".join(name.split())))]


def _spoken(name: str) -> str:
    if name.lower() == "others":
        return "TODO – the authors after these"
    return decode(name) if _is_group(name) else given_first([decode(part) for part in _split(name, _COMMA)])


def _entries(path: Path) -> list[Entry]:
    text = _text(path)
    _balanced(path, text)
    starts = list(_ENTRY.finditer(text))
    for start in starts:
        if not _KEY.fullmatch(start["key"]):
            raise UserError(f"{path}:{_line(text, start.start('key'))}: {shown(start['key'])} cannot be a key")
    parsed = _parsed(path, text)
    keys = {entry["ID"] for entry in parsed}
    for start in starts:
        if start["key"] not in keys:
            raise UserError(
                f"{path}:{_line(text, start.start('key'))}: the entry {start['key']} is not well-formed BibTeX"
            )
    if not parsed:
        raise UserError(f"{path}: has no BibTeX entry (@article{{…}})")
    return [Entry(path, entry["ID"], entry) for entry in parsed]


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
        raise UserError(f"{path}: larger than {LIMIT // 1024} KB; give a file with the papers to add only")
    if odd := CONTROL.search(text) or BIDIRECTIONAL.search(text):
        raise UserError(
            f"{path}:{_line(text, odd.start())}: holds the invisible character U+{ord(odd[0]):04X}; take it out"
        )
    return text


def _balanced(path: Path, text: str) -> None:
    """Refuse an entry whose braces do not close: everything after it would be read as a part of it."""
    ends = [*(start.start() for start in _ENTRY.finditer(text)), len(text)]
    for start, end in pairwise(ends):
        depth = 0
        for brace in re.finditer(r"[{}]", text[start:end]):
            depth += 1 if brace[0] == "{" else -1
            if depth < 0:
                raise UserError(f"{path}:{_line(text, start + brace.start())}: a brace closes that was never opened")
        if depth:
            raise UserError(f"{path}:{_line(text, start)}: {depth} of the braces of this entry never close")


def _parsed(path: Path, text: str) -> list[dict[str, str]]:
    import bibtexparser
    from bibtexparser.bibdatabase import UndefinedString
    from bibtexparser.bparser import BibTexParser

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)
    try:
        parser = BibTexParser(common_strings=True, ignore_nonstandard_types=False)
        entries: list[dict[str, str]] = bibtexparser.loads(text, parser).entries
    except UndefinedString as error:
        raise UserError(f"{path}: uses the @string {shown(error.args[0])} without defining it") from None
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise UserError(f"{path}: is not well-formed BibTeX") from None
    return entries


def _find(entries: Sequence[Entry], text: str, path: Path) -> tuple[Entry, str | None]:
    """The entry that is wanted, and its id; a file with one nameless entry is taken at its user's word."""
    asked = paper_id(text)
    tests: list[Callable[[Entry], bool]] = [
        lambda entry: asked is not None and entry.id == asked,
        lambda entry: entry.key == text,
        lambda entry: entry.anthology is not None and entry.anthology == anthology_id(text),
        lambda entry: entry.doi is not None and entry.doi.lower() == (doi(text) or "").lower(),
    ]
    for entry in entries:
        if any(test(entry) for test in tests):
            return entry, entry.id
    if asked and len(entries) == 1 and entries[0].id is None:
        return entries[0], asked
    raise UserError(f"{path}: has no entry {shown(text)}; it has {', '.join(entry.key for entry in entries[:5])}")


def _venue(entry: Entry) -> str | None:
    year = next(iter(re.findall(r"\d{4}", entry.say("year") or entry.say("date"))), "")
    if booktitle := entry.say("booktitle"):
        return _with_year(venues.shorten(booktitle, year), year)
    journal = entry.say("journal") or entry.say("journaltitle")
    if not journal or _PREPRINT.match(journal):
        return None
    short = venues.shorten(journal, year)
    if short == journal and (volume := entry.say("volume")):
        number, pages = entry.say("number"), entry.say("pages")
        return f"{journal} {volume}{number and f'({number})'}{pages and f':{pages}'}{year and f', {year}'}"
    return _with_year(short, year)


def _with_year(venue: str, year: str) -> str:
    return venue if year in venue else f"{venue} {year}"


def _day(entry: Entry) -> str | None:
    """The day it was put online, where the entry says one of the calendar's."""
    month = entry.say("month").lower()
    number = _MONTHS.index(month[:3]) + 1 if month[:3] in _MONTHS else month
    parts = f"{entry.say('year')}-{number:0>2}-{entry.say('day'):0>2}"
    try:
        return date.fromisoformat(entry.say("date") or parts).isoformat()
    except ValueError:
        return None


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of a text between separators that stand outside all braces."""
    depths = _depths(text)
    cuts = [found.span() for found in separator.finditer(text) if depths[found.start()] == 0]
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _is_group(name: str) -> bool:
    """Whether one pair of braces holds all of a name."""
    return name.startswith("{") and all(_depths(name)[:-1])


def _depths(text: str) -> list[int]:
    """How many braces are open after each character."""
    return list(accumulate((letter == "{") - (letter == "}") for letter in text))


def _line(text: str, offset: int) -> int:
    return position_of(text, offset).line
