"""BibTeX as an author wants to paste it: the published version, with its arXiv number beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from picks.bibliography.latex import encode
from picks.bibliography.names import Name
from picks.exports.citation import Citation

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_TOKEN = re.compile(r"([^\W_]+)")
_KEPT = re.compile(r":\s+$")  # a style keeps a capital after this by itself
_BEGUN = re.compile(r"[?!]\s+$")
_NAMES = (
    "Adam Bayes Bayesian Boolean Chinese English Fourier French Gaussian Gemini Gemma German Hessian Hopfield Jacobian "
    "Llama Mamba Markov Othello Pythia Python Shapley Taylor Turing Wikipedia"
)
_PROPER = frozenset(_NAMES.split())


def write(citations: Sequence[Citation]) -> str:
    """A bibliography."""
    return "\n".join(map(entry, citations))


def entry(citation: Citation) -> str:
    """One entry, a field a line."""
    lines = [f"  {name} = {value}," for name, value in _fields(citation)]
    return "\n".join([f"@{_type(citation)}{{{citation.key},", *lines, "}", ""])


def title(text: str) -> str:
    """A title in LaTeX, with braces around what a style must not make small."""
    tokens = _TOKEN.split(text)
    words, gaps = tokens[1::2], tokens[::2]
    sentence = _is_sentence(words)
    written = encode(gaps[0])
    for index, word in enumerate(words):
        first = index == 0 or _KEPT.search(gaps[index])
        keep = _is_name(word) or (not first and word[0].isupper() and (sentence or _BEGUN.search(gaps[index])))
        written += (f"{{{encode(word)}}}" if keep else encode(word)) + encode(gaps[index + 1])
    return written


def _type(citation: Citation) -> str:
    if not citation.venue:
        return "misc"
    return "article" if citation.venue.is_journal else "inproceedings"


def _fields(citation: Citation) -> Iterator[tuple[str, str]]:
    yield "title", f"{{{title(citation.paper.title)}}}"
    yield "author", "{" + " and ".join(map(_author, citation.paper.names)) + "}"
    yield from _published(citation)
    yield "year", f"{{{citation.year}}}"
    if len(citation.date) > 1:
        yield "month", MONTHS[citation.date[1] - 1]
    if citation.doi:
        yield "doi", f"{{{encode(citation.doi)}}}"
    yield "url", f"{{{_address(citation.url)}}}"
    if citation.eprint:
        yield "eprint", f"{{{citation.eprint}}}"
        yield "archivePrefix", "{arXiv}"
    if citation.eprint and citation.paper.category:
        yield "primaryClass", f"{{{citation.paper.category}}}"


def _published(citation: Citation) -> Iterator[tuple[str, str]]:
    venue = citation.venue
    if venue is None:
        if citation.site:
            yield "howpublished", f"{{{encode(citation.site)}}}"
    else:
        place = "journal" if venue.is_journal else "booktitle"
        parts = {place: venue.name, "volume": venue.volume, "number": venue.number, "pages": venue.pages}
        yield from ((name, f"{{{encode(part)}}}") for name, part in parts.items() if part)


def _author(name: Name) -> str:
    """Family name first, a suffix in the middle; a group in braces."""
    if not name.given:
        return f"{{{encode(name.family)}}}"
    return ", ".join(encode(part) for part in (name.family, name.suffix, name.given) if part)


def _address(url: str) -> str:
    return url.replace("{", "%7B").replace("}", "%7D")


def _is_sentence(words: Sequence[str]) -> bool:
    """Whether a title is written like a sentence, so that a capital in it means something."""
    long = [word for word in words[1:] if len(word) > 3]
    return sum(word[0].islower() for word in long) * 2 > len(long)


def _is_name(word: str) -> bool:
    inside = any(letter.isupper() for letter in word[1:])
    return inside or word in _PROPER or (len(word) == 1 and word.isupper() and word != "A")
