"""About 100,000 tokens of real English that no autoencoder here was trained on, kept beside this file.

`python -m reproductions.common.held_out` writes them anew from the held-out passages of the sources that may be copied
freely; held_out.md states their licences.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from reproductions.common import corpus, files
from reproductions.common.progress import say

HELD_OUT = Path(__file__).with_name("held_out.jsonl")
EXCERPT = 4000  # characters: where the first sentence after them ends, the excerpt ends
MOST_CHARS = 170_000  # of one source
SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s)|(?<=\n)")


@dataclass(frozen=True)
class Excerpt:
    """Some sentences of a source that follow each other."""

    source: str
    text: str

    @property
    def digest(self) -> bytes:
        """What orders excerpts: it depends on the text alone."""
        return hashlib.sha256(self.text.encode()).digest()


def held_out(path: Path = HELD_OUT) -> list[Excerpt]:
    """The held-out excerpts, all sources mixed; no network is needed."""
    return [Excerpt(**json.loads(line)) for line in path.read_text(encoding="utf8").splitlines()]


def write(path: Path = HELD_OUT) -> None:
    """Choose the excerpts and write the file.

    Raises:
        CorpusError: a source cannot be had.
    """
    chosen = [excerpt for source in corpus.load_sources() if source.ship for excerpt in _chosen(source)]
    lines = [json.dumps(asdict(excerpt), ensure_ascii=False) for excerpt in sorted(chosen, key=_digest)]
    files.write_text(path, "\n".join(lines) + "\n")


def _chosen(source: corpus.Source) -> Iterator[Excerpt]:
    texts = (passage.text for passage in corpus.passages(source) if passage.held_out)
    left = MOST_CHARS
    for excerpt in sorted((Excerpt(source.name, piece) for text in texts for piece in excerpts(text)), key=_digest):
        if left > 0:
            yield excerpt
        left -= len(excerpt.text)


def excerpts(text: str) -> Iterator[str]:
    """A text in pieces of about 4,000 characters that end where a sentence or a line ends."""
    yield from _joined(SENTENCE_END.split(text))


def _joined(sentences: Iterable[str]) -> Iterator[str]:
    gathered = ""
    for sentence in sentences:
        gathered += sentence
        if len(gathered) >= EXCERPT:
            yield gathered.strip()
            gathered = ""
    if gathered.strip():
        yield gathered.strip()


def _digest(excerpt: Excerpt) -> bytes:
    return excerpt.digest


def main() -> int:
    """0 when the file is written, else 1 and one line on stderr."""
    try:
        write()
    except corpus.CorpusError as error:
        say(f"error: {error}")
        return 1
    print(HELD_OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
