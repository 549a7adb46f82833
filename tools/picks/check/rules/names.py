"""The file's name, which is the paper's id, against what the file says."""

from __future__ import annotations

from collections.abc import Iterator

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule, file_rule
from picks.identifiers import paper_id
from picks.ids import is_arxiv, is_paper_id
from picks.papers import TAGS
from reproductions.common.documents import Document, Position, Scalar
from reproductions.common.quoting import shown


@file_rule(ERROR)
def file_name(document: Document) -> Iterator[Finding]:
    """The file is not named after a paper.

    Why: the file's name is the paper's id, and no reader looks at a file of another name.
    Mend: name it after the arXiv id (2404.07129.yml, cs-0101001.yml for an old one) or a post (lw-some-slug.yml).
    """
    path = document.path
    if path.name != TAGS and not (path.suffix == ".yml" and is_paper_id(path.stem)):
        yield Finding(Position(), f"{shown(path.name)} is no id with .yml behind it")


@entry_rule(ERROR)
def another_id(entry: Entry, base: Base) -> Iterator[Finding]:
    """The file says another arXiv id than its name does.

    Why: one of the two is another paper, and a right title at a wrong id is the commonest fault in bibliographies.
    Mend: find out which id is right, then rename the file or mend the value.
    """
    for scalar in _places(entry) if is_arxiv(entry.id) else ():
        said = paper_id(scalar.value)
        if said and is_arxiv(said) and said != entry.id:
            yield Finding(scalar.position, f"{said} stands in the entry of {entry.id}")


def _places(entry: Entry) -> Iterator[Scalar]:
    """Where an entry may say its own id: its DOI and its links, but for a post, which may be about several papers."""
    if doi := entry.text("doi"):
        yield doi
    yield from (link for key, link in entry.links() if key != "post")
