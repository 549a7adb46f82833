"""What a page's head tells programs: `citation_*` for Zotero and Google Scholar, schema.org for search engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from picks.exports import Citation
from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Pick
from picks.site.results import Reproduced
from reproductions.common.verdicts import NOT_TESTED


def citation_tags(citation: Citation) -> list[tuple[str, str]]:
    """What BibTeX says of the paper, as `citation_*` metadata, in the order in which tools expect it.

    There is no abstract among it: what we write about a paper is not its abstract.
    """
    paper = citation.paper
    tags = [("citation_title", paper.title)]
    tags += [("citation_author", name.family_first) for name in paper.names]
    tags.append(("citation_publication_date", _dated(citation, "/")))
    tags += [(f"citation_{name}", value) for name, value in _published(citation) if value]
    tags += [("citation_keywords", tag) for tag in paper.tags]
    return tags


def _published(citation: Citation) -> Iterator[tuple[str, str | None]]:
    """Where the version that is cited appeared, its numbers, and where it can be read."""
    if venue := citation.venue:
        yield "journal_title" if venue.is_journal else "conference_title", venue.name
        yield from {"volume": venue.volume, "issue": venue.number}.items()
        yield from zip(("firstpage", "lastpage"), venue.first_and_last, strict=True)
    else:
        yield "publisher", "arXiv" if citation.eprint else citation.site
    yield "doi", citation.doi
    yield "arxiv_id", citation.eprint
    yield "public_url", citation.url
    yield "pdf_url", _pdf(citation)


def _pdf(citation: Citation) -> str | None:
    """The version that is cited as a PDF, where we know its address, else arXiv's."""
    anthology = citation.paper.links.get("anthology")
    if citation.venue and anthology:
        return anthology.rstrip("/") + ".pdf"
    return citation.paper.pdf_url


def _dated(citation: Citation, between: str) -> str:
    """Year, month and day of the version that is cited, as far as they are known."""
    return between.join(f"{part:02}" for part in citation.date)


def structured_data(pick: Pick, addresses: Addresses) -> dict[str, Any]:
    """The paper as schema.org's ScholarlyArticle, with a review for each of its claims that was tested."""
    paper = pick.paper
    same = [paper.url, *([f"https://doi.org/{paper.doi}"] if paper.doi else [])]
    article: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "name": paper.title,
        "author": [{"@type": "Person", "name": author} for author in paper.authors],
        "datePublished": _dated(pick.citation, "-"),
        "url": paper.url,
        "sameAs": same,
        "keywords": list(paper.tags),
        "mainEntityOfPage": addresses.public(paper_page(paper.id)),
    }
    if pick.reproduced and pick.reproduced.headline:
        article["review"] = _reviews(pick.reproduced, addresses.public(paper_page(paper.id)))
    return article


def _reviews(reproduced: Reproduced, page: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "Review",
            "url": f"{page}#{finding.anchor}",
            "reviewAspect": finding.claim.statement,
            "reviewBody": f"{finding.verdict} on {run.model_title}, profile {run.profile}: {finding.judgement.reason}",
            "dateCreated": str(run.provenance["started"])[:10],
        }
        for run in reproduced.best_by_model
        for finding in run.of_paper
        if finding.verdict not in (NOT_TESTED, None)
    ]
