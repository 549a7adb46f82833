"""Venues: from the short form of an entry (ACL 2025) to what a bibliography prints, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACL = "Association for Computational Linguistics"
_PROCEEDINGS = {
    "AAAI": "AAAI Conference on Artificial Intelligence",
    "AACL": f"Conference of the Asia-Pacific Chapter of the {_ACL}",
    "ACL": f"Annual Meeting of the {_ACL}",
    "ACML": "Asian Conference on Machine Learning",
    "AISTATS": "International Conference on Artificial Intelligence and Statistics",
    "BlackboxNLP": "BlackboxNLP Workshop: Analyzing and Interpreting Neural Networks for NLP",
    "COLING": "International Conference on Computational Linguistics",
    "COLM": "Conference on Language Modeling",
    "CoNLL": "Conference on Computational Natural Language Learning",
    "EACL": f"Conference of the European Chapter of the {_ACL}",
    "EMNLP": "Conference on Empirical Methods in Natural Language Processing",
    "FAccT": "ACM Conference on Fairness, Accountability, and Transparency",
    "ICLR": "International Conference on Learning Representations",
    "ICML": "International Conference on Machine Learning",
    "NAACL": f"Conference of the Nations of the Americas Chapter of the {_ACL}",
    "NeurIPS": "Advances in Neural Information Processing Systems",
    "RepL4NLP": "Workshop on Representation Learning for NLP",
}
_JOURNALS = {
    "JMLR": "Journal of Machine Learning Research",
    "TACL": f"Transactions of the {_ACL}",
    "TMLR": "Transactions on Machine Learning Research",
}
_OTHER_NAMES = {
    "NAACL": (f"North American Chapter of the {_ACL}",),
    "NeurIPS": ("Conference on Neural Information Processing Systems",),
    "BlackboxNLP": ("BlackboxNLP Workshop",),
}
_TRACKS = ("System Demonstrations", "Datasets and Benchmarks Track", "Industry Track", "Tutorial Abstracts")

_RENAMED = 2025  # the year in which NAACL came to stand for the Nations of the Americas

_SHORT = re.compile(r"(?P<findings>Findings of )?(?P<acronym>[A-Za-z0-9]+) (?P<year>\d{4})(?: \((?P<note>.+)\))?")
_JOURNAL = re.compile(
    r"(?P<name>[^\d(]+?) (?P<volume>\d+)(?:\((?P<number>\d+)\))?(?::(?P<pages>[\d–-]+))?(?:, | \()(?P<year>\d{4})\)?"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_FINDINGS = re.compile(rf"Findings of the {_ACL}: (?P<short>[A-Z]+ \d{{4}})")


@dataclass(frozen=True)
class Venue:
    """Where a paper appeared, as a bibliography says it."""

    name: str
    year: int | None
    is_journal: bool = False
    volume: str | None = None
    number: str | None = None
    pages: str | None = None


def parse(text: str) -> Venue:
    """An entry's venue. One that is not known here keeps its words."""
    if (short := _SHORT.fullmatch(text)) and (venue := _known(short)):
        return venue
    if journal := _JOURNAL.fullmatch(text):
        volume, number, pages = journal["volume"], journal["number"], journal["pages"]
        name = _JOURNALS.get(journal["name"], journal["name"])
        return Venue(name, int(journal["year"]), True, volume, number, pages)
    years = _YEAR.findall(text)
    return Venue(text, int(years[-1]) if years else None)


def shorten(name: str, year: str) -> str:
    """The short form of what a bibliography calls a venue; a venue not known here keeps its words."""
    if findings := _FINDINGS.search(name):
        return f"Findings of {findings['short']}"
    acronym = next((acronym for acronym, phrase in _phrases() if phrase.lower() in name.lower()), None)
    if acronym is None or ("workshop" in name.lower() and "workshop" not in _PROCEEDINGS.get(acronym, "").lower()):
        return name
    track = next((f" ({track})" for track in _TRACKS if track.lower() in name.lower()), "")
    return f"{acronym} {year}{track}".rstrip()


def _known(short: re.Match[str]) -> Venue | None:
    acronym, year = short["acronym"], int(short["year"])
    if short["findings"]:
        return Venue(f"Findings of the {_ACL}: {acronym} {year}", year)
    if acronym in _JOURNALS:
        return Venue(_JOURNALS[acronym], year, is_journal=True)
    if acronym not in _PROCEEDINGS:
        return None
    full = _PROCEEDINGS[acronym]
    if acronym == "NAACL" and year < _RENAMED:
        full = full.replace("Nations of the Americas", "North American")
    proceedings = full if full.startswith("Advances") else f"Proceedings of the {full}"
    track = f": {short['note']}" if short["note"] in _TRACKS else ""
    return Venue(f"{proceedings} ({acronym} {year}){track}", year)


def _phrases() -> list[tuple[str, str]]:
    """What gives a venue away, the longest first: an Asian conference is no international one."""
    names = [*_PROCEEDINGS.items(), *_JOURNALS.items()]
    names += [(acronym, phrase) for acronym, phrases in _OTHER_NAMES.items() for phrase in phrases]
    return sorted(names, key=lambda pair: -len(pair[1]))
