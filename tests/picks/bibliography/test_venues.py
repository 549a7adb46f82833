"""Venues, short and in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.bibliography.venues import Venue, parse, shorten
from picks.papers import load_papers

ROOT = Path(__file__).parents[3]
ACL = "Association for Computational Linguistics"


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
        ("NeurIPS 2024 (Spotlight)", "Advances in Neural Information Processing Systems (NeurIPS 2024)", 2024),
        (
            "NAACL 2024",
            f"Proceedings of the Conference of the North American Chapter of the {ACL} (NAACL 2024)",
            2024,
        ),
        ("Some Workshop, held in 2031", "Some Workshop, held in 2031", 2031),
        ("NeurIPS", "NeurIPS", None),
    ],
)
def test_a_conference_in_full(text: str, name: str, year: int | None) -> None:
    venue = parse(text)
    assert (venue.name, venue.year, venue.is_journal) == (name, year, False)


@pytest.mark.parametrize(
    ("text", "venue"),
    [
        ("TMLR 2024", Venue("Transactions on Machine Learning Research", 2024, True)),
        ("Entropy 27(4):344, 2025", Venue("Entropy", 2025, True, "27", "4", "344")),
        ("Computational Linguistics 52(1), 2026", Venue("Computational Linguistics", 2026, True, "52", "1")),
        ("Nature Machine Intelligence 7 (2025)", Venue("Nature Machine Intelligence", 2025, True, "7")),
        ("JMLR 26:1–40, 2025", Venue("Journal of Machine Learning Research", 2025, True, "26", None, "1–40")),
    ],
)
def test_a_journal_in_full(text: str, venue: Venue) -> None:
    assert parse(text) == venue


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
            "International Conference on Machine Learning Workshop on Coins",
        ),
        ("Journal of Coins", "Journal of Coins"),
    ],
)
def test_what_bibliographies_print_is_shortened(name: str, short: str) -> None:
    assert shorten(name, "2025") == short


def test_every_venue_of_the_collection_has_its_year() -> None:
    without = [paper.id for paper in load_papers(ROOT).values() if paper.venue and parse(paper.venue).year is None]
    assert without == []
