"""The file's name, which is the paper's id, against what the file says."""

from __future__ import annotations

from collections.abc import Iterator

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule, file_rule
from picks.identifiers import paper_id
from picks.ids import is_arxiv, is_paper_id, is_slug, slug_of
from picks.papers import PEOPLE, TAGS
from reproductions.common.documents import Document, Position, Scalar
from reproductions.common.quoting import shown


@file_rule(ERROR)
def file_name(document: Document) -> Iterator[Finding]:
    """The file is not named after a paper.

    Why: the file's name is the paper's id, and no reader looks at a file of another name.
    Mend: name it after the arXiv id (2404.07129.yml, cs-0101001.yml for an old one) or after its address, as
    `tools/add` does (lw-some-post.yml).
    """
    path = document.path
    if path.name not in (TAGS, PEOPLE) and not (path.suffix == ".yml" and is_paper_id(path.stem)):
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


@entry_rule(ERROR)
def slug_against_address(entry: Entry, base: Base) -> Iterator[Finding]:
    """What is not on arXiv is not named after its address, or a paper on arXiv has an address of its own.

    Why: the name is made from the address, so that nobody adds the same page twice under two names.
    Mend: rename the file, and keep the old name under `former_ids`; or mend the address.

    The rule for the name: the site's (`lw` for LessWrong and the Alignment Forum, `ea`, `tc` for Transformer Circuits,
    `distill`, `acl`, `pmlr`, `openreview`, `doi`, else the host's), then the words of the path, joined by hyphens.
    `tools/add ADDRESS` makes it.
    """
    address = entry.text("address")
    if address is None:
        return
    slug = slug_of(address.value)
    if is_arxiv(entry.id):
        yield Finding(address.position, "a paper on arXiv is known by its number", "put the address under `links`")
    elif is_slug(entry.id) and slug != entry.id:
        what = f"this address is called {slug}" if slug else f"no name can be made of {shown(address.value)}"
        yield Finding(address.position, what)


@entry_rule(ERROR)
def former_id_taken(entry: Entry, base: Base) -> Iterator[Finding]:
    """An id under `former_ids` belongs to another entry, or is the entry's own.

    Why: old addresses lead on to the entry that had the id, and one address cannot lead to two.
    Mend: take it out here, or out of the other entry.
    """
    for item in entry.texts("former_ids"):
        holders = [other for other in base.index(_by_former_id).get(item.value, ()) if other != entry.id]
        if item.value == entry.id or item.value in base.by_id or holders:
            holder = "this entry" if item.value == entry.id else (holders or [item.value])[0]
            yield Finding(item.position, f"{shown(item.value)} is of {holder}")


def _by_former_id(base: Base) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in base.entries:
        for item in entry.texts("former_ids"):
            found.setdefault(item.value, []).append(entry.id)
    return found


def _places(entry: Entry) -> Iterator[Scalar]:
    """Where an entry may say its own id: its DOI and its links, but for a post, which may be about several."""
    if doi := entry.text("doi"):
        yield doi
    yield from (link for key, link in entry.links() if key != "post")
