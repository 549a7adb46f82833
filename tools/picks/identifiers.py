"""What a person may call a paper – an id with version, an address, a DOI – and the id it has here."""

from __future__ import annotations

import re

from picks.ids import is_paper_id, slug_of

_BEFORE = re.compile(
    r"(?:https?://)?(?:(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html|format|src|ps)/"
    r"|(?:www\.)?alphaxiv\.org/(?:abs|pdf|overview|html)/|(?:huggingface\.co|hf\.co)/papers/"
    r"|(?:www\.)?(?:ar5iv\.(?:labs\.arxiv\.)?org|ar5iv\.org)/(?:abs|html|pdf)/"
    r"|(?:dx\.)?(?:doi\.org/)?10\.48550/arxiv\.)|arxiv:\s*|(?:.*/)?papers/(?=[^/]+\.yml$)",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"https://(?:www\.)?(?:lesswrong\.com|alignmentforum\.org|forum\.effectivealtruism\.org|transformer-circuits\.pub"
    r"|distill\.pub)/"
)
_AFTER = re.compile(r"(?:v\d+)?(?:\.pdf|\.yml)?/?(?:[?#].*|\s*\[[a-z-]+(?:\.[a-z-]+)?\])?", re.IGNORECASE)
_NAME = re.compile(r"(?P<new>\d{4}\.\d{4,5})|(?P<archive>[a-z-]+)(?:\.[A-Za-z-]+)?/(?P<number>\d{7})")
_DOI = re.compile(r"(?:(?:https?://)?(?:dx\.)?doi\.org/|doi:\s*)?(?P<doi>10\.\d{4,9}/[^\s\"<>{}\\]+)", re.IGNORECASE)
_ANTHOLOGY = re.compile(
    r"(?:https?://)?(?:www\.)?(?:aclanthology\.org/)?(?P<id>\d{4}\.[a-z0-9_]+-[a-z0-9]+\.\d+|[A-Z]\d\d-\d{4,5})"
    r"(?:\.pdf|\.bib)?/?"
)
_ANTHOLOGY_DOI = re.compile(r"10\.18653/v1/(?P<id>\S+)", re.IGNORECASE)


def paper_id(text: str) -> str | None:
    """The id of a paper here; None if the text names no paper of arXiv, and no page of a site that `_PAGE` knows."""
    text = text.strip()
    before = _BEFORE.match(text)
    rest = text[before.end() :] if before else text
    name = _NAME.match(rest)
    if name and _AFTER.fullmatch(rest[name.end() :]):
        found = name["new"] or f"{name['archive']}-{name['number']}"
    else:
        found = slug_of(text) or "" if _PAGE.match(text) else rest.removesuffix(".yml")
    return found if is_paper_id(found) else None


def doi(text: str) -> str | None:
    """The DOI that a text is, or that its address leads to."""
    found = _DOI.fullmatch(text.strip())
    return found["doi"] if found else None


def anthology_id(text: str) -> str | None:
    """The id in the ACL Anthology that a text is: as such, as an address, or inside a DOI of the ACL."""
    if (of_acl := _ANTHOLOGY_DOI.fullmatch(doi(text) or "")) is not None:
        text = of_acl["id"]
    found = _ANTHOLOGY.fullmatch(text.strip())
    return found["id"] if found else None
