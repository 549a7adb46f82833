"""How a paper is named: what a file in `papers/` may be called, and what that says."""

from __future__ import annotations

import re

_NEW = re.compile(r"(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])\.\d{4,5}")
_OLD = re.compile(r"(?P<archive>[a-z]+(?:-[a-z]+)*)-(?P<number>(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])\d{3})")
_POST = re.compile(r"lw-[a-z0-9]+(-[a-z0-9]+)*")

FIRST_YEAR = 91  # of arXiv: 9107 is 1991, 0704 is 2007


def is_arxiv(paper_id: str) -> bool:
    """Whether it is an arXiv id, new (2404.07129) or old (cs-0101001)."""
    return bool(_NEW.fullmatch(paper_id) or _OLD.fullmatch(paper_id))


def is_post(paper_id: str) -> bool:
    """Whether it names a LessWrong post (lw-some-slug)."""
    return bool(_POST.fullmatch(paper_id)) and not is_arxiv(paper_id)


def is_paper_id(text: str) -> bool:
    """Whether it can name a paper."""
    return is_arxiv(text) or is_post(text)


def arxiv_name(paper_id: str) -> str:
    """An arXiv id as arXiv writes it: cs-0101001 is cs/0101001."""
    old = _OLD.fullmatch(paper_id)
    return f"{old['archive']}/{old['number']}" if old else paper_id


def has_huggingface_page(paper_id: str) -> bool:
    """Whether Hugging Face has a page for it: new arXiv ids only."""
    return bool(_NEW.fullmatch(paper_id))


def month(paper_id: str) -> tuple[int, int] | None:
    """Year and month that an arXiv id says; None for a post."""
    found = _NEW.fullmatch(paper_id) or _OLD.fullmatch(paper_id)
    if found is None:
        return None
    year = int(found["year"])
    return (1900 if year >= FIRST_YEAR else 2000) + year, int(found["month"])
