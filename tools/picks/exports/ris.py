"""RIS, which every reference manager imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from picks.exports.citation import Citation


def write(citations: Sequence[Citation]) -> str:
    """A list of references."""
    return "\n".join(map(entry, citations))


def entry(citation: Citation) -> str:
    """One reference, a field a line."""
    return "".join(f"{tag}  - {value}\n" for tag, value in _fields(citation))


def _fields(citation: Citation) -> Iterator[tuple[str, str]]:
    paper, venue = citation.paper, citation.venue
    yield "TY", _type(citation)
    yield "ID", citation.key
    yield "TI", " ".join(paper.title.split())
    for name in paper.names:
        yield "AU", name.family_first
    yield "PY", str(citation.year)
    yield "DA", "/".join(f"{part:02}" for part in citation.date)
    if venue:
        first, last = venue.first_and_last
        parts = {"VL": venue.volume, "IS": venue.number, "SP": first, "EP": last}
        yield "JO" if venue.is_journal else "T2", venue.name
        yield from ((tag, part) for tag, part in parts.items() if part)
    elif citation.site:
        yield "T2", citation.site
    if citation.doi:
        yield "DO", citation.doi
    yield "UR", citation.url
    if citation.eprint:
        yield "AN", f"arXiv:{citation.eprint}"
    for tag in paper.tags:
        yield "KW", tag
    yield "ER", ""


def _type(citation: Citation) -> str:
    if citation.venue:
        return "JOUR" if citation.venue.is_journal else "CPAPER"
    return "UNPB" if citation.eprint else "BLOG" if citation.is_post else "ELEC"
