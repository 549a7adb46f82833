"""The paper that a person means: by any of its names, or by words of its title."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from picks.identifiers import anthology_id, doi, paper_id
from picks.papers import Paper, load_paper, load_papers, paper_ids
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

ONE_DIGIT_OFF = 0.85  # of an id's ten characters; two ids share half of them by chance
MOST_CHOICES = 6


def find_paper(root: Path, text: str) -> Paper:
    """The paper with this id, address, DOI or ACL Anthology id; that of a reproduction; or the one with these words.

    Raises:
        UserError: none is meant, or several could be; the message lists them, or what is closest.
    """
    known = paper_ids(root)
    name = paper_id(text)
    if name in known:
        return load_paper(root, name)
    if any(letter.isspace() for letter in text) or name is None or not re.match(r"\d", name):
        return _by_what_it_says(load_papers(root), text, name)
    raise UserError(f"{name} is not among the papers here{did_you_mean(name, known, ONE_DIGIT_OFF)}")


def _by_what_it_says(papers: Mapping[str, Paper], text: str, name: str | None) -> Paper:
    for fitting in (_named(papers.values(), text, name), _worded(papers.values(), text)):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"{shown(text)} fits several papers; give the id of one:\n{_listed(fitting)}")
    names = [*papers, *filter(None, (paper.reproduction for paper in papers.values()))]
    raise UserError(f"there is no paper {shown(text)}{did_you_mean(text[:80], names)}")


def _named(papers: Iterable[Paper], text: str, name: str | None) -> list[Paper]:
    """Those that a reproduction's name, a former id, a DOI or a page of the ACL Anthology stands for."""
    of_doi, of_anthology = (doi(text) or "").lower(), anthology_id(text)
    return [
        paper
        for paper in papers
        if (paper.reproduction and paper.reproduction == text.lower().replace("-", "_"))
        or (name and name in paper.former_ids)
        or (of_doi and of_doi == (paper.doi or "").lower())
        or (of_anthology and of_anthology == anthology_id(paper.links.get("anthology", "")))
    ]


def _worded(papers: Iterable[Paper], text: str) -> list[Paper]:
    """Those that have all of the words in a title or in the name of their code; else those that say them at all."""
    wanted = [] if "_" in text else _words(text)  # a reproduction's name is spelt out
    everyone = list(papers)
    named = [paper for paper in everyone if wanted and _has(wanted, _names(paper))]
    return named or [paper for paper in everyone if wanted and _has(wanted, [*_names(paper), *paper.tags, paper.why])]


def _names(paper: Paper) -> Sequence[str]:
    code = paper.links.get("code", "").rstrip("/").rpartition("/")[2]
    return [paper.title, *paper.titles, code, paper.reproduction or ""]


def _has(wanted: Sequence[str], texts: Iterable[str]) -> bool:
    """Whether each word begins a word of the texts."""
    said = [word for text in texts for word in _words(text)]
    return all(any(word.startswith(part) for word in said) for part in wanted)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def _listed(papers: Sequence[Paper]) -> str:
    lines = [f"  {paper.id}  {paper.title}" for paper in papers[:MOST_CHOICES]]
    left = len(papers) - len(lines)
    return "\n".join([*lines, *([f"  and {left} more"] if left else [])])
