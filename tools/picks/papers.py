"""The door to the papers: one YAML file each, named after its id. Nobody else opens these files.

`load_paper` refuses a file that is not as `papers/_schema.json` has it; `tools/check` knows many more faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from picks import ids
from picks.bibliography.names import Name, read_name
from picks.bibliography.venues import Venue
from picks.dates import first_day
from picks.schema import misfits
from reproductions.common.documents import Document, DocumentError, read_document
from reproductions.common.documents import Mapping as MappingNode
from reproductions.common.errors import UserError

TAGS = "_tags.yml"
PEOPLE = "_people.yml"


@dataclass(frozen=True)
class Thread:
    """A public discussion of a paper."""

    platform: str
    url: str


@dataclass(frozen=True)
class Place:
    """A paper's place in the founding collection: which pick it was (the oldest is 1), and its upvotes."""

    order: int | None = None
    upvotes: int | None = None


@dataclass(frozen=True)
class Status:
    """That a paper was withdrawn or superseded, in a line, and what to read instead: an id here or an address."""

    word: str
    note: str
    by: str | None = None


@dataclass(frozen=True)
class Read:
    """What was read to write an entry: the version, where, and what of it comes from elsewhere."""

    version: str
    sources: tuple[str, ...] = ()
    second_hand: str | None = None


@dataclass(frozen=True)
class Paper:
    """A pick; `reproduction` names its folder, `not_reproduced` says why there is none."""

    id: str
    title: str
    titles: tuple[str, ...]  # others that it is or was known by
    names: tuple[Name, ...]
    published: date  # where only the month or the year is known: its first day
    published_as: str  # as far as it is known: 2024-12-16, 2024-12 or 2024
    picked: date | None  # None for the founding collection, whose days are not known
    status: Status | None
    summary: str
    finding: str
    why: str
    tags: tuple[str, ...]
    kind: str
    venue: Venue | None
    awards: tuple[str, ...]
    doi: str | None
    category: str | None
    address: str | None
    links: Mapping[str, str] = field(hash=False)
    threads: tuple[Thread, ...]
    models: tuple[str, ...]
    data: tuple[str, ...]
    collection: Place
    picked_with: tuple[str, ...]
    builds_on: Mapping[str, str] = field(hash=False)  # ids, and how
    read: Read
    former_ids: tuple[str, ...]
    reproduction: str | None
    not_reproduced: str | None

    @property
    def authors(self) -> tuple[str, ...]:
        """The authors' names as they are spoken."""
        return tuple(name.spoken for name in self.names)

    @property
    def is_founding(self) -> bool:
        """Whether it came with the founding collection, of whose picks the order is known and not the day."""
        return self.picked is None

    @property
    def is_arxiv(self) -> bool:
        """Whether it is on arXiv; if not, it has an address."""
        return ids.is_arxiv(self.id)

    @property
    def arxiv_url(self) -> str | None:
        """Its page on arXiv."""
        return f"https://arxiv.org/abs/{ids.arxiv_name(self.id)}" if self.is_arxiv else None

    @property
    def pdf_url(self) -> str | None:
        """Its PDF on arXiv."""
        return f"https://arxiv.org/pdf/{ids.arxiv_name(self.id)}" if self.is_arxiv else None

    @property
    def huggingface_url(self) -> str | None:
        """Its page on Hugging Face, where it has one."""
        return f"https://huggingface.co/papers/{self.id}" if ids.has_huggingface_page(self.id) else None

    @property
    def url(self) -> str:
        """Where to read it."""
        return self.arxiv_url or self.address or ""


def paper_ids(root: Path) -> list[str]:
    """The ids of all papers."""
    return sorted(path.stem for path in (root / "papers").glob("[!_]*.yml"))


def load_paper(root: Path, paper_id: str) -> Paper:
    """One paper.

    Raises:
        UserError: its file is missing or not as it must be; a line for each fault.
    """
    document = read_document(root / "papers" / f"{paper_id}.yml")
    faults = list(_faults(document, paper_id))
    if faults:
        raise UserError("\n".join(faults))
    return _paper(paper_id, document.mapping.data)


def load_papers(root: Path) -> dict[str, Paper]:
    """All papers by id.

    Raises:
        UserError: some are not as they must be; a line for each fault of each file.
    """
    papers, refusals = {}, []
    for paper_id in paper_ids(root):
        try:
            papers[paper_id] = load_paper(root, paper_id)
        except UserError as error:
            refusals.append(str(error))
    if refusals:
        raise UserError("\n".join(refusals))
    return papers


def load_people(root: Path) -> dict[str, str]:
    """The name that stands for a person, by each other name of theirs that an entry may print; empty without the file.

    Raises:
        UserError: it holds something else than a list of other names for each name.
    """
    path = root / "papers" / PEOPLE
    if not path.exists():
        return {}
    document = read_document(path)
    faults = list(_reading_faults(document))
    people = document.mapping.data
    faults += [
        f"{path}: {name!r} needs a list of other names" for name, others in people.items() if not _is_list(others)
    ]
    if faults:
        raise UserError("\n".join(faults))
    return {other: name for name, others in people.items() for other in others}


def load_tags(root: Path) -> dict[str, str]:
    """What each tag means.

    Raises:
        UserError: the file is missing, or holds something else than a sentence a tag.
    """
    document = read_document(root / "papers" / TAGS)
    faults = list(_reading_faults(document))
    tags = document.mapping.data
    faults += [f"{document.path}: the tag {tag!r} needs a sentence" for tag, text in tags.items() if not _is_text(text)]
    if faults:
        raise UserError("\n".join(faults))
    return tags


def _faults(document: Document, paper_id: str) -> Iterator[str]:
    if not ids.is_paper_id(paper_id):
        yield f"{document.path}: the file must be named after an arXiv id (2404.07129) or a slug (lw-some-post)"
    unreadable = list(_reading_faults(document))
    yield from unreadable
    if unreadable:
        return
    for misfit in misfits(document, paper_id):
        yield f"{document.path}:{misfit.position.line}:{misfit.position.column}: {misfit.what} – {misfit.mend}"


def _reading_faults(document: Document) -> Iterator[str]:
    for problem in document.problems:
        yield str(DocumentError(document.path, problem))
    if not document.problems and not isinstance(document.root, MappingNode):
        yield f"{document.path}:1:1: expected `key: value` lines"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _paper(paper_id: str, fields: dict[str, Any]) -> Paper:
    return Paper(
        id=paper_id,
        title=_line(fields["title"]),
        titles=tuple(map(_line, fields.get("titles", ()))),
        names=tuple(read_name(_line(author)) for author in fields["authors"]),
        published=first_day(fields["published"]),
        published_as=fields["published"],
        picked=date.fromisoformat(fields["picked"]) if "picked" in fields else None,
        status=_status(fields.get("status")),
        summary=fields["summary"].strip(),
        finding=_line(fields["finding"]),
        why=_line(fields["why"]),
        tags=tuple(fields["tags"]),
        kind=fields["kind"],
        venue=_venue(fields),
        awards=tuple(fields.get("awards", ())),
        doi=fields.get("doi"),
        category=fields.get("category"),
        address=fields.get("address"),
        links=MappingProxyType(fields.get("links", {})),
        threads=tuple(Thread(**thread) for thread in fields.get("threads", ())),
        models=tuple(fields["models"]),
        data=tuple(fields["data"]),
        collection=Place(**fields.get("collection", {})),
        picked_with=tuple(fields.get("picked_with", ())),
        builds_on=MappingProxyType({other: _line(how) for other, how in fields["builds_on"].items()}),
        read=_read(fields["read"]),
        former_ids=tuple(fields.get("former_ids", ())),
        reproduction=fields.get("reproduction"),
        not_reproduced=fields.get("not_reproduced"),
    )


def _venue(fields: dict[str, Any]) -> Venue | None:
    parts = (fields.get(part) for part in ("volume", "number", "pages"))
    return Venue(_line(fields["venue"]), fields["venue_kind"], *parts) if "venue" in fields else None


def _status(fields: dict[str, str] | None) -> Status | None:
    return Status(fields["is"], _line(fields["note"]), fields.get("by")) if fields else None


def _read(fields: dict[str, Any]) -> Read:
    second_hand = fields.get("second_hand")
    return Read(fields["version"], tuple(fields.get("sources", ())), _line(second_hand) if second_hand else None)


def _line(text: str) -> str:
    return " ".join(text.split())
