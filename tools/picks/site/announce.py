"""The day's post: what was picked, cut to the lengths of the usual networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picks.lookup import find_paper
from picks.papers import Paper
from picks.site.formats import et_al, link_label, listed
from picks.site.markup import https
from reproductions.common.errors import UserError

COLLECTION = "Interpretability & Analysis of LMs"
LIMITS = {"X": 280, "Bluesky": 300, "Mastodon": 500}
ADDRESS = 23  # characters that X and Mastodon count for any address; Bluesky counts them all
LEAST_TEXT = 40  # fewer characters of a summary say nothing


def chosen(root: Path, names: Sequence[str]) -> list[Paper]:
    """The papers that were named, each once.

    Raises:
        UserError: one of them is not here, or could be several.
    """
    papers = [find_paper(root, name) for name in names]
    return list({paper.id: paper for paper in papers}.values())


def post(papers: Sequence[Paper]) -> str:
    """The whole post: title, authors, summary and links of each paper."""
    return f"{heading(papers)}\n\n" + "\n\n".join(_entry(paper) for paper in papers) + "\n"


def short_post(papers: Sequence[Paper], network: str) -> str:
    """A post that fits a network: as much of `why` as there is room for, never a broken address.

    Raises:
        UserError: even the titles are too long together.
    """
    limit = LIMITS[network]
    start, bodies = heading(papers), [_body(paper) for paper in papers]
    for cut in range(max(len(body) for body in bodies), LEAST_TEXT - 1, -1):
        blocks = [f"{shortened(body, cut)}\n{paper.url}" for body, paper in zip(bodies, papers, strict=True)]
        text = "\n\n".join([start, *blocks])
        if length(text, papers, network) <= limit:
            return text
    raise UserError(f"{len(papers)} papers do not fit a post on {network} ({limit} characters); announce fewer at once")


def heading(papers: Sequence[Paper]) -> str:
    """How the post begins; several papers make an edition."""
    if len(papers) == 1:
        return f"🔍 Today's pick in {COLLECTION}"
    return f"🔍 Today's picks in {COLLECTION}: an x{len(papers)} edition!"


def length(text: str, papers: Sequence[Paper], network: str) -> int:
    """How long a network takes a post to be."""
    if network == "Bluesky":
        return len(text)
    return len(text) - sum(len(paper.url) - ADDRESS for paper in papers)


def shortened(text: str, most: int) -> str:
    """A text cut after a word, with a sign that it was cut."""
    if len(text) <= most:
        return text
    return text[:most].rsplit(" ", 1)[0][: most - 1].rstrip(" ,;:–-") + "…"


def _body(paper: Paper) -> str:
    return f"{paper.title} ({et_al(paper.authors)}). {paper.why}"


def _entry(paper: Paper) -> str:
    links = {"Paper": paper.url} | {link_label(key): url for key, url in paper.links.items() if url != paper.url}
    lines = [paper.title, f"by {listed(paper.authors)}", "", paper.summary, ""]
    return "\n".join(lines + [f"{name}: {url}" for name, url in links.items() if https(url)])
