"""Venues, short and in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.bibliography.venues import (
    JOURNAL,
    PROCEEDINGS,
    WORKSHOP,
    Venue,
    is_preprint,
    is_undecided,
    kind_of,
    shorten,
)
from picks.papers import load_papers

ROOT = Path(__file__).parents[3]
ACL = "Association for Computational Linguistics"
BLACKBOX = "BlackboxNLP Workshop: Analyzing and Interpreting Neural Networks for NLP"


@pytest.mark.parametrize(
    ("text", "name", "year"),
    [
        ("ACL 2025", f"Proceedings of the Annual Meeting of the {ACL} (ACL 2025)", 2025),
        ("Findings of NAACL 2025", f"Findings of the {ACL}: NAACL 2025", 2025),
        (
            "ACL 2024 (System Demonstrations)",
            f"Proceedings of the Annual Meeting of the {ACL} (ACL 2024): System Demonstrations",
            2024,
        ),
        ("NeurIPS 2024", "Advances in Neural Information Processing Systems (NeurIPS 2024)", 2024),
        (
            "NAACL 2024",
            f"Proceedings of the Conference of the North American Chapter of the {ACL} (NAACL 2024)",
            2024,
        ),
        ("Some Workshop, held in 2031", "Some Workshop, held in", 2031),
        ("NeurIPS", "NeurIPS", None),
    ],
)
def test_a_conference_in_full(text: str, name: str, year: int | None) -> None:
    venue = Venue(text)
    assert (venue.name, venue.year, venue.is_journal) == (name, year, False)


@pytest.mark.parametrize(
    ("short", "name", "kind"),
    [
        ("TMLR 2024", "Transactions on Machine Learning Research", JOURNAL),
        ("PNAS 2024", "Proceedings of the National Academy of Sciences", JOURNAL),
        ("BlackboxNLP 2024", f"Proceedings of the {BLACKBOX} (BlackboxNLP 2024)", WORKSHOP),
        ("ACL 2025 (Student Research Workshop)", None, WORKSHOP),
        ("Findings of ACL 2024", f"Findings of the {ACL}: ACL 2024", PROCEEDINGS),
        ("Nature Machine Intelligence 2025", "Nature Machine Intelligence", None),
        ("Entropy 2025", "Entropy", None),
    ],
)
def test_what_is_known_of_a_short_form(short: str, name: str | None, kind: str | None) -> None:
    assert kind_of(short) == kind
    assert name is None or Venue(short, kind or JOURNAL).name == name


@pytest.mark.parametrize(
    ("pages", "ends"), [("221–231", ("221", "231")), ("e2304406120", ("e2304406120", None)), (None, ("", None))]
)
def test_the_ends_of_a_range_of_pages(pages: str | None, ends: tuple[str, str | None]) -> None:
    assert Venue("PNAS 2024", JOURNAL, pages=pages).first_and_last == ends


@pytest.mark.parametrize(
    "name",
    [
        *("arXiv preprint arXiv:2412.00001", "ArXiv", "CoRR", "Computing Research Repository", "bioRxiv", "PsyArXiv"),
        *("SSRN Electronic Journal", "Preprint", "Research Square", "OpenReview preprint", "abs/2403.08540"),
    ],
)
def test_a_place_where_anybody_can_put_a_paper_is_no_venue(name: str) -> None:
    assert is_preprint(name)


@pytest.mark.parametrize(
    "name", ["Preprocessing Workshop", "Corrosion Science", "HALF 2025", "Nature", "Hallucination"]
)
def test_what_only_begins_like_one_is_a_venue(name: str) -> None:
    assert not is_preprint(name)


@pytest.mark.parametrize(
    ("name", "undecided"),
    [
        ("Submitted to The Fourteenth International Conference on Learning Representations", True),
        ("Under review as a conference paper at ICLR 2026", True),
        ("Under double-blind review", True),
        ("In submission", True),
        ("Submittal Studies", False),
        ("International Conference on Machine Learning", False),
    ],
)
def test_what_was_sent_in_was_not_yet_taken(name: str, undecided: bool) -> None:
    assert is_undecided(name) == undecided


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (f"Proceedings of the 63rd Annual Meeting of the {ACL} (Volume 1: Long Papers)", "ACL 2025"),
        (f"Findings of the {ACL}: EMNLP 2025", "Findings of EMNLP 2025"),
        (
            f"Proceedings of the 2025 Conference of the Nations of the Americas Chapter of the {ACL}: Human Language "
            "Technologies (Volume 1: Long Papers)",
            "NAACL 2025",
        ),
        (f"Proceedings of the Conference of the North American Chapter of the {ACL}", "NAACL 2025"),
        (
            "Proceedings of the 2025 Conference on Empirical Methods in Natural Language Processing: "
            "System Demonstrations",
            "EMNLP 2025 (System Demonstrations)",
        ),
        ("Advances in Neural Information Processing Systems", "NeurIPS 2025"),
        ("The Thirty-ninth Annual Conference on Neural Information Processing Systems", "NeurIPS 2025"),
        ("The Thirteenth International Conference on Learning Representations", "ICLR 2025"),
        ("Forty-second International Conference on Machine Learning", "ICML 2025"),
        ("Asian Conference on Machine Learning", "ACML 2025"),
        ("Transactions on Machine Learning Research", "TMLR 2025"),
        ("The 8th BlackboxNLP Workshop", "BlackboxNLP 2025"),
        (
            "International Conference on Machine Learning Workshop on Coins",
            "International Conference on Machine Learning Workshop on Coins 2025",
        ),
        ("Journal of Coins", "Journal of Coins 2025"),
        (
            "25th IEEE International Conference on Machine Learning and Applications (ICMLA)",
            "25th IEEE International Conference on Machine Learning and Applications (ICMLA) 2025",
        ),
        (f"Findings of the {ACL}, ACL 2024, Bangkok, Thailand, August 11-16, 2024", "Findings of ACL 2024"),
        (
            f"Proceedings of the 63rd Annual Meeting of the {ACL} (Volume 4: Student Research Workshop)",
            "ACL 2025 (Student Research Workshop)",
        ),
        (f"Proceedings of the 63rd Annual Meeting of the {ACL} (Volume 1: Long Papers), ACL 2025, Vienna", "ACL 2025"),
        ("Proceedings of the National Academy of Sciences of the United States of America", "PNAS 2025"),
    ],
)
def test_what_bibliographies_print_is_shortened(name: str, short: str) -> None:
    assert shorten(name, "2025") == short


def test_every_venue_of_the_collection_has_its_year() -> None:
    without = [paper.id for paper in load_papers(ROOT).values() if paper.venue and paper.venue.year is None]
    assert without == []
