"""What a page's head tells programs: `citation_*` for Zotero and Google Scholar, schema.org for search engines."""

from __future__ import annotations

from typing import Any

from picks.papers import Paper
from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Pick
from picks.site.results import Reproduced
from reproductions.common.verdicts import NOT_TESTED


def citation_tags(paper: Paper) -> list[tuple[str, str]]:
    """The paper's bibliography as `citation_*` metadata, in the order in which tools expect it."""
    tags = [("citation_title", paper.title)]
    tags += [("citation_author", author) for author in paper.authors]
    tags.append(("citation_publication_date", paper.published_as.replace("-", "/")))
    if paper.is_arxiv:
        tags.append(("citation_arxiv_id", paper.id))
    if paper.doi:
        tags.append(("citation_doi", paper.doi))
    if paper.venue:
        tags.append(("citation_conference_title", paper.venue))
    tags.append(("citation_public_url", paper.url))
    tags += [("citation_keywords", tag) for tag in paper.tags]
    return tags


def structured_data(pick: Pick, addresses: Addresses) -> dict[str, Any]:
    """The paper as schema.org's ScholarlyArticle, with a review for each of its claims that was tested."""
    paper = pick.paper
    same = [paper.url, *([f"https://doi.org/{paper.doi}"] if paper.doi else [])]
    article: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "name": paper.title,
        "author": [{"@type": "Person", "name": author} for author in paper.authors],
        "datePublished": paper.published_as,
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
