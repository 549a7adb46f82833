"""Papers alike: by their words, their tags, and the papers of the collection that they build on.

Each paper is one vector of three parts, each of length one and weighted, so that the product of two vectors is a
weighted mean of three cosines, between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from picks.papers import Paper

WORDS, TAGS, CITATIONS = 0.6, 0.2, 0.2
MOST = 5
LEAST = 0.1  # below this a likeness is a few common words
BLOCK = 500


@dataclass(frozen=True)
class Related:
    """A paper like another one, and how much."""

    id: str
    score: float


def related_papers(papers: Mapping[str, Paper], most: int = MOST) -> dict[str, tuple[Related, ...]]:
    """For each paper the most alike, best first, equal ones in the order of their ids."""
    ids = sorted(papers)
    if len(ids) < 2:
        return dict.fromkeys(ids, ())
    vectors = _vectors([papers[paper_id] for paper_id in ids])
    found: dict[str, tuple[Related, ...]] = {}
    for start in range(0, len(ids), BLOCK):
        scores = (vectors[start : start + BLOCK] @ vectors.T).toarray().round(6)
        for row, line in enumerate(scores):
            found[ids[start + row]] = tuple(_best(line, start + row, ids, most))
    return found


def _best(line: Any, own: int, ids: Sequence[str], most: int) -> Iterator[Related]:
    import numpy as np

    line[own] = -1
    most = min(most, len(line))
    enough = max(np.partition(line, -most)[-most], LEAST)
    candidates = np.flatnonzero(line >= enough)
    for index in candidates[np.argsort(-line[candidates], kind="stable")][:most]:
        yield Related(ids[index], float(line[index]))


def _vectors(papers: Sequence[Paper]) -> Any:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import MultiLabelBinarizer, normalize

    words = TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"[^\W_](?:[\w-]*[^\W_])?")
    texts = [f"{paper.title}. {paper.title}. {paper.summary}" for paper in papers]
    cited = [{paper.id, *paper.builds_on} for paper in papers]
    parts = (
        (WORDS, words.fit_transform(texts)),
        (TAGS, MultiLabelBinarizer(sparse_output=True).fit_transform([set(paper.tags) for paper in papers])),
        (CITATIONS, MultiLabelBinarizer(sparse_output=True).fit_transform(cited)),
    )
    return csr_matrix(hstack([normalize(part) * weight**0.5 for weight, part in parts]))
