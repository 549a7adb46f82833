"""Where an entry of BibTeX says that its paper is: a number of arXiv, a DOI, an address."""

from __future__ import annotations

import re

from picks.add.bibtex_file import Entry
from picks.add.braces import is_held
from picks.add.todo import todo
from picks.identifiers import anthology_id, doi, paper_id
from picks.ids import is_arxiv, slug_of

_DOI_ORG = "https://doi.org/"
_ARCHIVES = ("cs", "econ", "eess", "math", "nlin", "physics", "q-bio", "q-fin", "stat")  # they have categories

_ESCAPES = (
    (re.compile(r"\\(?:url|path|nolinkurl)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\{\\textasciitilde\s*\}|\\textasciitilde(?:\{\}|\s*)"), "~"),
    (re.compile(r"\{\\textunderscore\s*\}|\\textunderscore(?:\{\}|\s*)"), "_"),
    (re.compile(r"\{\\?([_%&#$~^])(?:\{\})?\}|\\([_%&#$~^])(?:\{\})?"), r"\1\2"),
)
_NUMBER = r"(?P<number>\d{4}\.\d{4,5}|[a-z][a-z-]{1,8}(?:\.[a-z]{2})?/\d{7})(?!\d)"
_MENTION = re.compile(rf"(?:(?:arxiv|\bcorr\b|computing research repository)\D{{0,24}}?|^abs/){_NUMBER}", re.IGNORECASE)
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?/[^\s{}<>\"\\]++(?![{<\"\\])")


def arxiv_number(entry: Entry) -> str | None:
    """The id of a paper on arXiv, wherever the entry says it."""
    eprint = verbatim(entry, "eprint") if entry.first("eprinttype", "archiveprefix").lower() in ("", "arxiv") else ""
    archive = entry.first("primaryclass", "eprintclass")
    own = [eprint, f"{archive}/{eprint}", *(verbatim(entry, name) for name in ("arxivid", "doi", "url"))]
    journal = f"{entry.first('journal', 'journaltitle')} {verbatim(entry, 'volume')}".strip()
    others = [journal, *(verbatim(entry, name) for name in ("number", "note", "howpublished"))]
    mentions = [mention["number"] for text in others if (mention := _MENTION.search(_without_braces(text)))]
    return next((found for text in [*own, *mentions] if (found := paper_id(text)) and is_arxiv(found)), None)


def category(entry: Entry) -> str | None:
    """Its category on arXiv; Zotero often knows the archive alone (cs), which is none."""
    found = entry.first("primaryclass", "eprintclass")
    return found if found and found not in _ARCHIVES else None


def published_doi(entry: Entry) -> str | None:
    """The DOI, unless it is arXiv's own."""
    given = (doi(verbatim(entry, name)) for name in ("doi", "url"))
    return next((found for found in given if found and not paper_id(found) and "\\" not in found), None)


def doi_or_todo(entry: Entry) -> str | None:
    """The DOI; a TODO where the field holds something else."""
    said = verbatim(entry, "doi")
    odd = said and (not doi(said) or "\\" in said)
    return todo(f"the DOI, which reads {' '.join(said.split())}") if odd else published_doi(entry)


def anthology(entry: Entry) -> str | None:
    """Its id in the ACL Anthology."""
    return anthology_id(published_doi(entry) or "") or anthology_id(verbatim(entry, "url"))


def address(entry: Entry) -> str | None:
    """The https address of what is not on arXiv, its DOI's where it has no other; None if no id can be made of it."""
    by_doi = published_doi(entry)
    texts = [*(verbatim(entry, name) for name in ("url", "howpublished", "note")), f"{_DOI_ORG}{by_doi or ''}"]
    return next(filter(None, map(address_in, texts)), None)


def address_in(text: str) -> str | None:
    """The first https address in a text that an id can be made of."""
    return next(filter(slug_of, (_without_stop(found[0]) for found in _ADDRESS.finditer(text))), None)


def verbatim(entry: Entry, name: str) -> str:
    """A field that holds an address or a number, where two hyphens and a tilde are what they are."""
    text = entry.raw(name)
    for escape, sign in _ESCAPES:
        text = escape.sub(sign, text)
    while is_held(text := text.strip()):
        text = text[1:-1]
    return text


def _without_braces(text: str) -> str:
    return text.replace("{", "").replace("}", "")


def _without_stop(text: str) -> str:
    """An address without the full stop or the bracket that follows it in a sentence."""
    return text.rstrip(".,;" if "(" in text else ".,;)")
