"""Facts from arXiv's record of a paper.

arXiv asks for three seconds between requests; the `arxiv` package keeps to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import arxiv
import requests
from requests.adapters import HTTPAdapter

from picks.add.facts import Facts, links_of
from picks.add.todo import todo
from picks.bibliography import venues
from picks.bibliography.latex import decode
from picks.bibliography.names import from_parts
from picks.identifiers import doi, paper_id
from picks.ids import arxiv_name
from reproductions.common.errors import UserError

PAUSE, RETRIES, PATIENCE, PAGE = 3.0, 3, 30.0, 100
WITHOUT_NETWORK = "without a network, save the paper's BibTeX and use `tools/add --bibtex FILE`"

_CODE = re.compile(r"https://github\.com/[\w.-]+/[\w.-]*[\w-]")
_YEAR = re.compile(r"\b20\d\d\b")


class _Patient(HTTPAdapter):
    """Waits a while for an answer, and then gives up."""

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        return super().send(request, **(options | {"timeout": PATIENCE}))


def fetch(paper_ids: Sequence[str]) -> list[Facts]:
    """The facts of papers, in the order asked for.

    Raises:
        UserError: arXiv cannot be reached, refuses, or does not know one of them.
    """
    client = arxiv.Client(page_size=PAGE, delay_seconds=PAUSE, num_retries=RETRIES)
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, _Patient())  # the package offers no other way to set a timeout
    found: dict[str, arxiv.Result] = {}
    for start in range(0, len(paper_ids), PAGE):
        part = paper_ids[start : start + PAGE]
        found |= {paper_id(result.entry_id) or "": result for result in _ask(client, part)}
    if missing := [name for name in paper_ids if name not in found]:
        raise UserError(f"arXiv's answer has no paper {', '.join(missing)}; check the id")
    return [_facts(name, found[name]) for name in paper_ids]


def _ask(client: arxiv.Client, paper_ids: Sequence[str]) -> list[arxiv.Result]:
    search = arxiv.Search(id_list=[arxiv_name(name) for name in paper_ids], max_results=None)
    try:
        return list(client.results(search))
    except arxiv.HTTPError as error:
        raise UserError(f"arXiv answers with HTTP {error.status}; try again later, or {WITHOUT_NETWORK}") from None
    except requests.RequestException:
        raise UserError(f"arXiv cannot be reached; {WITHOUT_NETWORK}") from None
    except (arxiv.ArxivError, ValueError):
        raise UserError(f"arXiv's answer makes no sense; try again later, or {WITHOUT_NETWORK}") from None


def _facts(name: str, record: arxiv.Result) -> Facts:
    found_doi = doi(record.doi or "")
    venue, kind = _venue(" ".join((record.journal_ref or "").split()))
    return Facts(
        id=name,
        title=_text(record.title),
        authors=tuple(from_parts([_text(author.name)]).written for author in record.authors),
        published=record.published.date().isoformat(),
        venue=venue,
        venue_kind=kind,
        doi=found_doi,
        category=record.primary_category or None,
        links=links_of(found_doi, *_CODE.findall(record.comment or "")[:1]),
    )


def _venue(reference: str) -> tuple[str | None, str | None]:
    """What arXiv's journal reference says: a line that authors write as they like, so only a known venue is taken."""
    years = _YEAR.findall(reference)
    if not reference or venues.is_preprint(reference) or venues.is_undecided(reference):
        return None, None
    short = venues.shorten(reference, years[-1] if years else "")
    if kind := venues.kind_of(short):
        return short, kind
    return todo("the venue, which arXiv gives as", reference), None


def _text(text: str) -> str:
    """One line; arXiv keeps what LaTeX the authors typed."""
    return decode(text) if re.search(r"[\\$]", text) else " ".join(text.split())
