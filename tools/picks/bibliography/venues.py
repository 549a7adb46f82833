"""Venues: from the short form of an entry (ACL 2025) to what a bibliography prints, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

PROCEEDINGS, JOURNAL, WORKSHOP = KINDS = ("proceedings", "journal", "workshop")

_ACL = "Association for Computational Linguistics"
_PROCEEDINGS = {
    "AAAI": "AAAI Conference on Artificial Intelligence",
    "AACL": f"Conference of the Asia-Pacific Chapter of the {_ACL}",
    "ACL": f"Annual Meeting of the {_ACL}",
    "ACML": "Asian Conference on Machine Learning",
    "AISTATS": "International Conference on Artificial Intelligence and Statistics",
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
}
_WORKSHOPS = {
    "BlackboxNLP": "BlackboxNLP Workshop: Analyzing and Interpreting Neural Networks for NLP",
    "RepL4NLP": "Workshop on Representation Learning for NLP",
}
_JOURNALS = {
    "JMLR": "Journal of Machine Learning Research",
    "PNAS": "Proceedings of the National Academy of Sciences",
    "TACL": f"Transactions of the {_ACL}",
    "TMLR": "Transactions on Machine Learning Research",
}
_CONFERENCES = _PROCEEDINGS | _WORKSHOPS
_OTHER_NAMES = {
    "BlackboxNLP": ("BlackboxNLP Workshop",),
    "NAACL": (f"North American Chapter of the {_ACL}",),
    "NeurIPS": ("Conference on Neural Information Processing Systems",),
    "PNAS": ("Proceedings of the National Academy of Sciences of the United States of America",),
}
_STUDENTS = "Student Research Workshop"
_TRACKS = ("System Demonstrations", "Datasets and Benchmarks Track", "Industry Track", "Tutorial Abstracts", _STUDENTS)

_RENAMED = 2025  # the year in which NAACL came to stand for the Nations of the Americas

_SHORT = re.compile(r"(?P<findings>Findings of )?(?P<acronym>[A-Za-z0-9]+) (?P<year>\d{4})(?: \((?P<track>.+)\))?")
_YEAR = re.compile(r"\s*\b(?:19|20)\d\d$")
_FINDINGS = re.compile(rf"Findings of the {_ACL}[:,]? (?P<acronym>[A-Z]+),? (?P<year>\d{{4}})")
_IN_BRACKETS = re.compile(r"\((?P<acronym>[A-Z][A-Za-z]*[A-Z])(?:[ ’']+\d{2,4})?\)")
_PREPRINTS = (
    r"arxiv\b|corr\b|computing research repository|(?:bio|med|psy|soc|chem|eng)[ar]*xiv|(?:open science )?preprints?\b"
    r"|ssrn\b|hal\b|research square|authorea|zenodo|techrxiv|openreview|abs/\d"
    r"|less ?wrong\b|(?:ai )?alignment forum\b|(?:ea|effective altruism) forum\b"
)
_PREPRINT = re.compile(rf"(?:the |available at )?(?:{_PREPRINTS})", re.IGNORECASE)
_UNDECIDED = re.compile(
    r"(?:submitted|under (?:double-blind |blind )?review|in (?:submission|preparation|review))\b", re.I
)


@dataclass(frozen=True)
class Venue:
    """Where a paper appeared: `short` as an entry has it, with the year (ACL 2025); of a journal also where in it."""

    short: str
    kind: str = PROCEEDINGS
    volume: str | None = None
    number: str | None = None
    pages: str | None = None

    @property
    def is_journal(self) -> bool:
        """Whether it is an article of a journal, and no paper of a conference or a workshop."""
        return self.kind == JOURNAL

    @property
    def name(self) -> str:
        """As a bibliography prints it. One that is not known here keeps its words, without the year behind them."""
        short = _SHORT.fullmatch(self.short)
        return (short and _in_full(short)) or _YEAR.sub("", self.short).rstrip(" ,") or self.short

    @property
    def year(self) -> int | None:
        """The year that the short form says."""
        years = re.findall(r"\b(?:19|20)\d\d\b", self.short)
        return int(years[-1]) if years else None

    @property
    def first_and_last(self) -> tuple[str, str | None]:
        """The first and the last page; an article's number has no last one."""
        first, _, last = (self.pages or "").partition("–")
        return first, last or None


def kind_of(short: str) -> str | None:
    """What a short form stands for, where it is known: proceedings, a journal or a workshop."""
    found = _SHORT.fullmatch(short)
    if found is None:
        return None
    acronym, track = found["acronym"], found["track"]
    if acronym in _JOURNALS:
        return JOURNAL
    return WORKSHOP if acronym in _WORKSHOPS or track == _STUDENTS else PROCEEDINGS if acronym in _PROCEEDINGS else None


def shorten(name: str, year: str) -> str:
    """The short form, with its year, of what a bibliography calls a venue; one not known here keeps its words."""
    if findings := _FINDINGS.search(name):
        return f"Findings of {findings['acronym']} {findings['year']}"
    acronym = _acronym(name)
    track = next((f" ({track})" for track in _TRACKS if track.lower() in name.lower()), "")
    is_workshop = "workshop" in name.lower().replace(_STUDENTS.lower(), "")
    if acronym is None or (is_workshop and acronym not in _WORKSHOPS):
        return name if not year or year in name else f"{name} {year}"
    return f"{acronym} {year}{track}".rstrip()


def is_preprint(name: str) -> bool:
    """Whether a name is that of a place where anybody can put a paper, which is no venue."""
    return bool(_PREPRINT.match(name.strip()))


def is_undecided(name: str) -> bool:
    """Whether the words say that a paper was sent in, and not that it was taken."""
    return bool(_UNDECIDED.match(name.strip()))


def _in_full(short: re.Match[str]) -> str | None:
    acronym, year = short["acronym"], int(short["year"])
    if short["findings"]:
        return f"Findings of the {_ACL}: {acronym} {year}"
    if acronym in _JOURNALS:
        return _JOURNALS[acronym]
    if acronym not in _CONFERENCES:
        return None
    full = _CONFERENCES[acronym]
    if acronym == "NAACL" and year < _RENAMED:
        full = full.replace("Nations of the Americas", "North American")
    proceedings = full if full.startswith("Advances") else f"Proceedings of the {full}"
    track = f": {short['track']}" if short["track"] in _TRACKS else ""
    return f"{proceedings} ({acronym} {year}){track}"


def _acronym(name: str) -> str | None:
    """The venue whose whole name stands in these words; what says another acronym in brackets is another venue."""
    said = _IN_BRACKETS.search(name)
    found = next((acronym for acronym, phrase in _phrases() if phrase.search(name)), None)
    return None if found and said and said["acronym"].casefold() not in (found.casefold(), "acl") else found


@cache
def _phrases() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What gives a venue away, the longest first: an Asian conference is no international one."""
    names = [*_CONFERENCES.items(), *_JOURNALS.items()]
    names += [(acronym, phrase) for acronym, phrases in _OTHER_NAMES.items() for phrase in phrases]
    names.sort(key=lambda pair: -len(pair[1]))
    return tuple(
        (acronym, re.compile(rf"\b{re.escape(phrase)}(?=\s*(?:$|[^\w\s]|\d))", re.IGNORECASE))
        for acronym, phrase in names
    )
