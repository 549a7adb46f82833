"""BibTeX as people and programs write it: what each kind of entry gives, fact by fact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picks.add.bibtex import read
from picks.add.facts import Facts

FOLDER = Path(__file__).parents[2] / "fixtures" / "add" / "bibtex"


def fact(name: str, title: str, *authors: str, **known: Any) -> Facts:
    return Facts(name, title, authors, **known)


GIVES = {
    "alike": [
        fact(
            "2502.04027",
            "A Name inside a Name",
            "Gus Orr",
            venue="24th International Conference on Machine Learning and Applications (ICMLA) 2025",
            venue_kind="proceedings",
        ),
        fact(
            "2502.04028",
            "A Workshop at a Conference",
            "Gus Orr",
            venue="ICML 2025 Workshop on Lamps",
            venue_kind="workshop",
        ),
    ],
    "crossref": [
        fact(
            "2402.04048",
            "A Child That Comes Later",
            "Gus Orr",
            venue="Proceedings of the 2024 Symposium on Lamps",
            venue_kind="proceedings",
        ),
        fact(
            "2402.04049",
            "A Child That Comes First",
            "Mei Lin",
            venue="ACL 2024",
            venue_kind="proceedings",
            links={"anthology": "https://aclanthology.org/2024.acl-long.9999"},
        ),
        fact(
            "doi-10-1000-handbook-3",
            "A Chapter",
            "Mei Lin",
            venue="A Handbook of Lamps 2023",
            venue_kind="proceedings",
            doi="10.1000/handbook.3",
            address="https://doi.org/10.1000/handbook.3",
        ),
        fact(
            "2402.04050",
            "A Child of Data",
            "Gus Orr",
            venue="Annals of Lamps 2024",
            venue_kind="journal",
            volume="4",
            pages="5",
        ),
    ],
    "damaged": [
        fact("2402.04068", "Sound", "Gus Orr"),
    ],
    "dblp": [
        fact(
            "openreview-lm0aa11",
            "Lamps Seen from Within: A Study",
            "Gus Orr",
            "Mei Lin",
            "Bo Ter-Horst",
            venue="ICLR 2024",
            venue_kind="proceedings",
            address="https://openreview.net/forum?id=Lm0aa11",
            links={"openreview": "https://openreview.net/forum?id=Lm0aa11"},
        ),
        fact("2402.04063", "Lamps in a Row", "Gus Orr"),
    ],
    "dois": [
        fact("2402.04059", "A DOI with an Escape", "Gus Orr", doi="10.1000/lamps_and_wicks--1"),
        fact("2402.04060", "A DOI in Braces", "Gus Orr", doi="10.1000/lamps"),
        fact("2402.04061", "A DOI with Braces Inside", "Gus Orr", doi="TODO – the DOI, which reads 10.1000/la{mp}s"),
        fact("2402.04062", "Words for a DOI", "Gus Orr", doi="TODO – the DOI, which reads see the page of the journal"),
    ],
    "extended-names": [
        fact(
            "2502.04001",
            "Orchards of Attention",
            "Ida ter Linden",
            "Tess Moor",
            "Paz {Ruiz Ondo}",
            published="2025-02-11",
            category="cs.LG",
        ),
        fact("2502.04002", "A Suffix in Its Own Part", "Noah Blake Jr.", "Tom Thorne"),
    ],
    "groups": [
        fact("2502.04008", "Digits, a Colon and a Person", "{7th Lamp}", "Gus Orr"),
        fact("2502.04009", "A Sign in a Name", "{Lamp@Home}"),
        fact("2502.04010", "A Comma and a Conjunction", "{Office for Lamps, Wicks and Oil}", "Gus Orr"),
        fact(
            "2502.04011",
            "A Firm without Braces",
            "TODO – several people, or a group without braces: Orr & Sons",
            "Lampworks",
        ),
    ],
    "journals": [
        fact(
            "2202.04033",
            "An Article with a Number",
            "Gus Orr",
            venue="PNAS 2023",
            venue_kind="journal",
            volume="120",
            number="5",
            pages="e2218500120",
        ),
        fact("2502.04034", "Ahead of Print", "Gus Orr", venue="Nature 2025", venue_kind="journal"),
        fact(
            "2402.04035",
            "In a Known Journal",
            "Gus Orr",
            venue="TACL 2024",
            venue_kind="journal",
            volume="12",
            pages="88–104",
        ),
        fact(
            "2402.04036",
            "In a Journal That Nobody Knows",
            "Gus Orr",
            venue="Annals of Lamps 2024",
            venue_kind="journal",
            volume="4",
            number="2",
            pages="17",
        ),
        fact(
            "2302.04037", "Proceedings Taken for a Journal", "Gus Orr", venue="NeurIPS 2023", venue_kind="proceedings"
        ),
    ],
    "long-venues": [
        fact("2302.04029", "Findings and a Town", "Gus Orr", venue="Findings of EMNLP 2023", venue_kind="proceedings"),
        fact("2402.04030", "Students", "Gus Orr", venue="ACL 2024 (Student Research Workshop)", venue_kind="workshop"),
        fact(
            "2402.04031",
            "A Name without End",
            "Gus Orr",
            venue="TODO – a short form of: Proceedings of the Seventh Joint Symposium on Lamps, Wicks, Oil, Candles "
            "and Other Means of Seeing Something Where There Is Little or No Light, Held Together with the Ninth Me…",
            venue_kind="proceedings",
        ),
        fact(
            "2402.04032", "An Award in Brackets", "Gus Orr", venue="Symposium on Lamps 2024", venue_kind="proceedings"
        ),
    ],
    "namesakes": [
        fact("2502.04012", "Two of One Name", "Mei Lin", "Gus Orr", "Mei Lin"),
    ],
    "numbers-elsewhere": [
        fact("2402.04038", "In the Note", "Gus Orr"),
        fact("1602.04039", "In Mendeley's Field", "Gus Orr"),
        fact("cs-0402040", "In the Journal, Old", "Gus Orr"),
        fact("hep-th-9902041", "Old, of Physics", "Gus Orr"),
        fact("2402.04042", "With a Version", "Gus Orr"),
        fact("2402.04043", "In the Number", "Gus Orr"),
        fact("2402.04044", "In How It Was Published", "Gus Orr"),
        fact("2402.04045", "In the Volume", "Gus Orr"),
        fact("2402.04046", "Beside Another Number", "Gus Orr"),
        fact("cs-0402047", "With Its Class Apart", "Gus Orr"),
    ],
    "openreview": [
        fact(
            "openreview-lm7qr2s",
            "Lamps at a Workshop",
            "Gus Orr",
            "Mei Lin",
            venue="Workshop on Lamps, NeurIPS 2024",
            venue_kind="workshop",
            address="https://openreview.net/forum?id=Lm7Qr2s",
            links={"openreview": "https://openreview.net/forum?id=Lm7Qr2s"},
        ),
        fact(
            "openreview-tm7qr2s",
            "Lamps in Transactions",
            "Mei Lin",
            venue="TMLR 2024",
            venue_kind="journal",
            address="https://openreview.net/forum?id=Tm7Qr2s",
            links={"openreview": "https://openreview.net/forum?id=Tm7Qr2s"},
        ),
    ],
    "orphans": [
        fact("2402.04054", "On Its Own Feet", "Gus Orr"),
    ],
    "pages-of-the-web": [
        fact(
            "lw-a-post-with-its-address",
            "A Post with Its Address in Another Field",
            "Gus Orr",
            "Mei Lin",
            address="https://www.alignmentforum.org/posts/qWeRtYuIoPaSdFgHj/a-post-with-its-address",
        ),
        fact(
            "tc-2025-lamps",
            "A Page of a Thread",
            "Gus Orr",
            "Mei Lin",
            venue="Transformer Circuits Thread 2025",
            venue_kind="journal",
            address="https://transformer-circuits.pub/2025/lamps/index.html",
        ),
        fact(
            "distill-2020-lamps",
            "A Page of Distill",
            "Gus Orr",
            venue="Distill 2020",
            venue_kind="journal",
            volume="5",
            number="3",
            doi="10.23915/distill.09999",
            address="https://distill.pub/2020/lamps",
        ),
        fact(
            "doi-10-1000-lamps-2024-7",
            "A DOI and No More",
            "Gus Orr",
            venue="Annals of Lamps 2024",
            venue_kind="journal",
            volume="4",
            pages="1–9",
            doi="10.1000/lamps.2024.7",
            address="https://doi.org/10.1000/lamps.2024.7",
        ),
        fact(
            "acl-2024-emnlp-main-9999",
            "In the Anthology Alone",
            "Gus Orr",
            venue="EMNLP 2024",
            venue_kind="proceedings",
            address="https://aclanthology.org/2024.emnlp-main.9999/",
            links={"anthology": "https://aclanthology.org/2024.emnlp-main.9999"},
        ),
        fact(
            "lamps-example-org-reports-first-try",
            "A Report",
            "Gus Orr",
            address="https://lamps.example.org/reports/first~try.html",
        ),
    ],
    "people-between-commas": [
        fact(
            "2502.04003",
            "Four before the Conjunction",
            "TODO – several people between commas: Mira Holt, Jo Quill, Sana Reyes, Udo Veit",
            "Pim Oster",
        ),
        fact(
            "2502.04004",
            "Five and No Conjunction",
            "TODO – several people between commas: Mira Holt, Jo Quill, Sana Reyes, Udo Veit, Pim Oster",
        ),
        fact("2502.04005", "A Suffix in the Middle", "Jo Quill III", "Mira Holt Sr."),
        fact(
            "2502.04006",
            "Other Marks between People",
            "TODO – several people, or a group without braces: Mira Holt; Jo Quill",
            "Sana Reyes",
        ),
    ],
    "sent-in": [
        fact(
            "2502.04022",
            "Lamps under Review",
            "TODO – the authors, who are not named yet",
            links={"openreview": "https://openreview.net/forum?id=Lm9xQ2"},
        ),
        fact("2502.04023", "Lamps at a Conference, Perhaps", "TODO – the authors, who are not named yet"),
        fact("2502.04024", "Lamps That a Note Tells Of", "Gus Orr"),
    ],
    "servers": [
        fact("2502.04025", "The Name of CoRR in Full", "Gus Orr"),
        fact(
            "doi-10-1101-2025-02-01-600001",
            "Lamps of the Deep Sea",
            "Gus Orr",
            doi="10.1101/2025.02.01.600001",
            address="https://doi.org/10.1101/2025.02.01.600001",
        ),
        fact(
            "papers-ssrn-com-sol3-papers-cfm-lamps-4000001",
            "The Price of Lamps",
            "Gus Orr",
            address="https://papers.ssrn.com/sol3/papers.cfm/lamps-4000001",
        ),
        fact("2502.04026", "As Semantic Scholar Has It", "Gus Orr"),
        fact(
            "lw-lamps-on-a-forum",
            "Lamps on a Forum",
            "Gus Orr",
            published="2025-02-03",
            address="https://www.lesswrong.com/posts/aBcDeFgHiJkLmNoPq/lamps-on-a-forum",
        ),
    ],
    "several-words": [
        fact(
            "2502.04007",
            "Whose Family Has Two Words",
            "Gil {La Torre}",
            "Eva {Núñez Pardo}",
            "Cas {van 't Veer}",
            "Nils {Berg Olsen}",
            "Rosa {de Melo Brito}",
            "Bo {Ter Horst}",
            "Zayd Al-Amin",
        ),
    ],
    "signs": [
        fact("2502.04017", "Roots at √k=7 and √(k+1)", "Gus Orr"),
        fact("2502.04018", "Sight ≠ Insight", "Gus Orr"),
        fact("2502.04019", "a ⇒ b, b ↔ a and λ ≤ 2", "Gus Orr"),
        fact("2502.04020", "The Loss ℒ on ℝ^d, with ŷ and KL", "Gus Orr"),
        fact(
            "2502.04021",
            "TODO – what \\lampfoo stands for in: What \\lampfoo Does",
            "TODO – what \\oddname stands for in a name: \\oddname Orr",
        ),
    ],
    "subtitles": [
        fact("2502.04013", "Does It Count? A Look at Counters", "Gus Orr"),
        fact("2502.04014", "On Counting: A Look at Counters", "Gus Orr"),
        fact("2502.04015", "Count! More Counters", "Gus Orr"),
        fact("2502.04016", "Counters: Four of Them", "Gus Orr"),
    ],
    "twice": [
        fact("2402.04056", "Others in Braces", "Gus Orr", "TODO – the authors after these"),
        fact("2402.04058", "Others in Latin", "Gus Orr", "TODO – the authors after these"),
    ],
    "zotero": [
        fact(
            "2402.04064",
            "Lamps Explained: What a Wick Does",
            "Gus Orr",
            "Eva {Núñez Pardo}",
            venue="ICML 2024",
            venue_kind="proceedings",
            links={"proceedings": "https://proceedings.mlr.press/v235/orr24a.html"},
        ),
        fact(
            "ea-a-post-about-lamps",
            "A Post about Lamps",
            "Gus Orr",
            published="2024-03-09",
            address="https://forum.effectivealtruism.org/posts/zXcVbNmAsDfGhJkLq/a-post-about-lamps",
        ),
    ],
}

REFUSED = {
    "damaged": [
        (2, "open is not well-formed BibTeX: one of its braces or quotes never closes"),
        (4, "shut ends before its last brace; take out the one too many"),
        (6, "comma is not well-formed BibTeX at 'title': every field is `name = {value}`, with a comma behind"),
        (10, "string uses the @string 'annals', which the file does not define; write out its text"),
        (12, "nobody has no author; add the field `author`"),
        (14, "nowhere names no arXiv paper, DOI or https address; add a field `eprint`, `doi` or `url`, or use"),
        (15, "last is not well-formed BibTeX: one of its braces or quotes never closes"),
    ],
    "orphans": [
        (1, "orphan inherits from 'conf/lamp/2024', which is not in the file, or cannot be read; add or mend that"),
        (2, "half inherits from 'lamps', which is not in the file, or cannot be read; add or mend that"),
        (3, "ring inherits from 'ring', which inherits from others in a circle; add or mend that"),
    ],
    "twice": [
        (3, "twice has the field 'author' twice; keep one of them"),
        (5, "the key 'others' stands in line 4 too; give this one another"),
    ],
}


def test_every_file_of_cases_is_looked_at() -> None:
    assert {path.stem for path in FOLDER.glob("*.bib")} == set(GIVES)


@pytest.mark.parametrize("name", GIVES)
def test_a_file_gives_these_facts_and_no_others(name: str) -> None:
    assert list(read(FOLDER / f"{name}.bib").facts) == GIVES[name]


@pytest.mark.parametrize("name", GIVES)
def test_a_file_refuses_these_entries_and_no_others(name: str) -> None:
    path = FOLDER / f"{name}.bib"
    for said, (line, why) in zip(read(path).refused, REFUSED.get(name, []), strict=True):
        assert said.startswith(f"{path}:{line}: {why}")
        assert said.isprintable()
