"""How a paper is named: what a file in `papers/` may be called, and what that says.

A paper on arXiv has its number. Whatever else is an entry – a post, a page of Distill or of Transformer Circuits, an
article, a thesis – has a slug that is made from its address: the site's name, then the words of the path
(`lw-sae-reconstruction-errors-are-empirically-pathological`, `tc-2025-linebreaks`). `slug_of` is the whole rule.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

_NEW = re.compile(r"(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])\.\d{4,5}")
_OLD = re.compile(r"(?P<archive>[a-z]+(?:-[a-z]+)*)-(?P<number>(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])\d{3})")
_LIKE_OLD = re.compile(r"[a-z]+(?:-[a-z]+)*-\d{7}")
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")

FIRST_YEAR = 91  # of arXiv: 9107 is 1991, 0704 is 2007
LONGEST = 100
ARXIV = "arxiv.org"  # whose papers have numbers

SITES = {
    "aclanthology.org": "acl",
    "alignmentforum.org": "lw",
    "distill.pub": "distill",
    "doi.org": "doi",
    "forum.effectivealtruism.org": "ea",
    "lesswrong.com": "lw",
    "openreview.net": "openreview",
    "proceedings.mlr.press": "pmlr",
    "transformer-circuits.pub": "tc",
}
_FORUMS = ("lw", "ea")
_POST = re.compile(r"/posts/(?P<id>\w+)(?:/(?P<words>[\w-]+))?")
_FILE = re.compile(r"(?:^|/)index\.html?$|\.(?:html?|pdf|php)$")


def is_arxiv(paper_id: str) -> bool:
    """Whether it is an arXiv id, new (2404.07129) or old (cs-0101001)."""
    return bool(_NEW.fullmatch(paper_id) or _OLD.fullmatch(paper_id))


def is_slug(paper_id: str) -> bool:
    """Whether it can name what is not on arXiv (lw-some-post, distill-2020-circuits-zoom-in)."""
    return bool(_SLUG.fullmatch(paper_id)) and len(paper_id) <= LONGEST and not _LIKE_OLD.fullmatch(paper_id)


def is_paper_id(text: str) -> bool:
    """Whether it can name a paper."""
    return is_arxiv(text) or is_slug(text)


def slug_of(address: str) -> str | None:
    """The id of what is at an https address, but for arXiv's: the site's name, then the words of its path.

    The sites in `SITES` have a short name, every other one its host's. Of a post in a forum the words behind its id
    count, on OpenReview the id, on a site that is not known the query as well. At most a hundred characters, cut
    between words.
    """
    parts = _parts(address)
    host = (parts.hostname or "").removeprefix("www.")
    site = SITES.get(host) or host
    path = _FILE.sub("", parts.path) + ("" if host in SITES else _query(parts.query))
    if site in _FORUMS:
        post = _POST.match(path)
        path = (post["words"] or post["id"]) if post else ""
    elif site == "openreview":
        path = "".join(parse_qs(parts.query).get("id", [""]))
    words = re.findall(r"[a-z0-9]+", f"{site} {path}".lower())
    while len("-".join(words)) > LONGEST:
        words.pop()
    slug = "-".join(words)
    return slug if path.strip("/") and host != ARXIV and is_slug(slug) else None


def place_of(address: str) -> str:
    """What an address leads to, whatever its spelling: two addresses of one post or page have the same."""
    parts = _parts(address)
    host = (parts.hostname or "").removeprefix("www.")
    if SITES.get(host) in _FORUMS and (post := _POST.match(parts.path)):
        return f"{SITES[host]}:{post['id']}"
    if SITES.get(host) == "openreview":
        return f"openreview:{''.join(parse_qs(parts.query).get('id', ['']))}"
    return f"{host}{_FILE.sub('', parts.path).rstrip('/')}{'' if host in SITES else _query(parts.query)}"


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # brackets of an address of version 6 that do not close
        return urlsplit("")


def _query(query: str) -> str:
    """What a query says of which page is meant, without what only counts readers."""
    said = {key: value for key, value in parse_qs(query).items() if not key.startswith("utm_")}
    return "".join(f"?{key}={''.join(said[key])}" for key in sorted(said))


def arxiv_name(paper_id: str) -> str:
    """An arXiv id as arXiv writes it: cs-0101001 is cs/0101001."""
    old = _OLD.fullmatch(paper_id)
    return f"{old['archive']}/{old['number']}" if old else paper_id


def has_huggingface_page(paper_id: str) -> bool:
    """Whether Hugging Face has a page for it: new arXiv ids only."""
    return bool(_NEW.fullmatch(paper_id))


def month(paper_id: str) -> tuple[int, int] | None:
    """Year and month that an arXiv id says; None for what is not on arXiv."""
    found = _NEW.fullmatch(paper_id) or _OLD.fullmatch(paper_id)
    if found is None:
        return None
    year = int(found["year"])
    return (1900 if year >= FIRST_YEAR else 2000) + year, int(found["month"])
