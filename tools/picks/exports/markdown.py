"""A citation for notes and READMEs: authors, year, the title as a link, the venue."""

from __future__ import annotations

import re
from collections.abc import Sequence

from picks.exports.citation import Citation

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def write(citations: Sequence[Citation]) -> str:
    """A list, an item a paper."""
    return "".join(f"- {entry(citation)}\n" for citation in citations)


def entry(citation: Citation) -> str:
    """One citation, on one line."""
    paper = citation.paper
    stop = "" if paper.title.endswith((".", "?", "!")) else "."
    link = f"[{_plain(paper.title)}]({_address(citation.url)})"
    return " ".join(
        part for part in (_authors(paper.authors), f"{citation.year}.", link + stop, _where(citation)) if part
    )


def _authors(names: Sequence[str]) -> str:
    *others, last = map(_plain, names)
    first = ", ".join(others)
    joined = f"{first}{',' if len(others) > 1 else ''} and {last}" if others else last
    return joined if joined.endswith(".") else f"{joined}."


def _where(citation: Citation) -> str:
    if citation.venue:
        where = [f"*{_plain(citation.venue.short)}*."]
    else:
        where = [f"*{_plain(citation.site)}*."] if citation.site else []
    return " ".join([*where, f"[arXiv:{citation.eprint}]({citation.paper.arxiv_url})."] if citation.eprint else where)


def _plain(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)


def _address(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
