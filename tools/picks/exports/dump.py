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
    paper = citation.paper
    return {
        "id": paper.id,
        "citation_key": citation.key,
        "title": paper.title,
        "authors": list(paper.authors),
        "published": paper.published_as,
        "picked": paper.picked.isoformat() if paper.picked else None,
        "summary": paper.summary,
        "why": paper.why,
        "tags": list(paper.tags),
        "kind": paper.kind,
        "venue": paper.venue,
        "doi": paper.doi,
        "category": paper.category,
        "url": paper.url,
        "arxiv_url": paper.arxiv_url,
        "huggingface_url": paper.huggingface_url,
        "links": dict(paper.links),
        "threads": [asdict(thread) for thread in paper.threads],
        "collection": asdict(paper.collection),
        "picked_with": list(paper.picked_with),
        "builds_on": list(paper.builds_on),
        "reproduction": paper.reproduction,
        "not_reproduced": paper.not_reproduced,
    }
