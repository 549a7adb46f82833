"""Papers alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.papers import load_papers
from picks.site import related
from picks.site.related import related_papers
from tests.fixtures.mini_site import entry, write_entry

ENTRIES = {
    "2501.00001": entry(
        "Sparse autoencoders find features", summary="Dictionaries of features in activations.", tags=["tools"]
    ),
    "2501.00002": entry(
        "Features of sparse autoencoders", summary="Dictionaries of features in activations.", tags=["survey"]
    ),
    "2501.00003": entry(
        "Grammar",
        summary="Sentences and their trees.",
        tags=["syntax"],
        builds_on={"2501.00001": "uses its dictionaries"},
    ),
    "2501.00004": entry("Prices", summary="Markets rise or fall at noon.", tags=["syntax"]),
    "2501.00005": entry("Rivers", summary="Water under bridges.", tags=["steering"]),
}


@pytest.fixture
def papers(tmp_path: Path):
    (tmp_path / "papers").mkdir()
    for paper_id, fields in ENTRIES.items():
        write_entry(tmp_path, paper_id, fields)
    return load_papers(tmp_path)


def test_words_tags_and_citations_make_papers_alike(papers) -> None:
    found = {paper_id: {one.id: one.score for one in ones} for paper_id, ones in related_papers(papers).items()}
    assert found["2501.00001"]["2501.00002"] > 0.3
    assert found["2501.00004"] == {"2501.00003": pytest.approx(related.TAGS)}
    assert "2501.00003" in found["2501.00001"]
    assert found["2501.00005"] == {}


def test_likeness_is_mutual_between_zero_and_one_and_best_first(papers) -> None:
    found = related_papers(papers)
    scores = {(paper_id, one.id): one.score for paper_id, ones in found.items() for one in ones}
    assert all(scores[b, a] == score and 0 < score <= 1 for (a, b), score in scores.items())
    assert all(
        [one.score for one in ones] == sorted((one.score for one in ones), reverse=True) for ones in found.values()
    )


def test_neither_order_nor_the_size_of_blocks_matters(papers, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = related_papers(papers)
    monkeypatch.setattr(related, "BLOCK", 2)
    assert related_papers(dict(reversed(papers.items()))) == whole


def test_one_paper_has_no_relatives(papers) -> None:
    assert related_papers({"2501.00001": papers["2501.00001"]}) == {"2501.00001": ()}
