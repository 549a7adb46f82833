"""The whole collection as one document for programs: `papers.json`, which `papers.schema.json` describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picks.exports.citation import Citation

SCHEMA = Path(__file__).with_name("papers.schema.json")
VERSION = 1


def write(citations: Sequence[Citation]) -> str:
    """The document as text."""
    return json.dumps(document(citations), indent=1, ensure_ascii=False) + "\n"


def document(citations: Sequence[Citation]) -> dict[str, Any]:
    """The document: every paper with every key, null where nothing is known."""
    return {"version": VERSION, "count": len(citations), "papers": [_paper(citation) for citation in citations]}


def _paper(citation: Citation) -> dict[str, Any]:
    paper, venue = citation.paper, citation.venue
    return {
        "id": paper.id,
        "citation_key": citation.key,
        "title": paper.title,
        "titles": list(paper.titles),
        "authors": list(paper.authors),
        "family_names": [name.family for name in paper.names],
        "published": paper.published_as,
        "picked": paper.picked.isoformat() if paper.picked else None,
        "founding": paper.is_founding,
        "status": asdict(paper.status) if paper.status else None,
        "summary": paper.summary,
        "finding": paper.finding,
        "why": paper.why,
        "tags": list(paper.tags),
        "kind": paper.kind,
        "venue": venue.short if venue else None,
        "venue_kind": venue.kind if venue else None,
        "volume": venue.volume if venue else None,
        "number": venue.number if venue else None,
        "pages": venue.pages if venue else None,
        "awards": list(paper.awards),
        "doi": paper.doi,
        "category": paper.category,
        "url": paper.url,
        "arxiv_url": paper.arxiv_url,
        "huggingface_url": paper.huggingface_url,
        "links": dict(paper.links),
        "threads": [asdict(thread) for thread in paper.threads],
        "models": list(paper.models),
        "data": list(paper.data),
        "collection": asdict(paper.collection),
        "picked_with": list(paper.picked_with),
        "builds_on": list(paper.builds_on),
        "builds_on_how": dict(paper.builds_on),
        "read": asdict(paper.read) | {"sources": list(paper.read.sources)},
        "former_ids": list(paper.former_ids),
        "reproduction": paper.reproduction,
        "not_reproduced": paper.not_reproduced,
    }
