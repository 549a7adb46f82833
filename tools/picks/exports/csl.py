"""CSL-JSON, which Zotero, Pandoc and citation processors read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from picks.bibliography.names import Name
from picks.exports.citation import Citation


def write(citations: Sequence[Citation]) -> str:
    """A list of items."""
    return json.dumps([item(citation) for citation in citations], indent=2, ensure_ascii=False) + "\n"


def item(citation: Citation) -> dict[str, Any]:
    """One item, without the keys that have nothing to say."""
    venue, eprint = citation.venue, citation.eprint
    fields = {
        "id": citation.key,
        "type": _type(citation),
        "title": citation.paper.title,
        "author": [_author(name) for name in citation.paper.names],
        "issued": {"date-parts": [list(citation.date)]},
        "container-title": venue.name if venue else citation.site,
        "volume": venue.volume if venue else None,
        "issue": venue.number if venue else None,
        "page": venue.pages if venue else None,
        "publisher": "arXiv" if eprint and not venue else None,
        "number": f"arXiv:{eprint}" if eprint and not venue else None,
        "archive": "arXiv" if eprint else None,
        "archive_location": eprint,
        "DOI": citation.doi,
        "URL": citation.url,
        "keyword": ", ".join(citation.paper.tags),
    }
    return {name: value for name, value in fields.items() if value}


def _type(citation: Citation) -> str:
    if citation.venue:
        return "article-journal" if citation.venue.is_journal else "paper-conference"
    return "article" if citation.eprint else "post-weblog" if citation.is_post else "webpage"


def _author(name: Name) -> dict[str, str]:
    if not name.given:
        return {"literal": name.family}
    parts = {"family": name.family, "given": name.given, "suffix": name.suffix}
    return {part: value for part, value in parts.items() if value}
