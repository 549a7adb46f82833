"""How numbers, dates, names and counts are written on the site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from picks.exports import Citation
from picks.papers import Paper
from picks.run.judgements import found as added_up
from picks.site.results import Run, claim_anchor
from reproductions.common import numbers
from reproductions.common.verdicts import PHRASES, POSITIVE, Judgement, in_words
from reproductions.common.verdicts import surviving as count_surviving

LINKS = {
    "code": "Code",
    "project": "Project",
    "anthology": "ACL Anthology",
    "openreview": "OpenReview",
    "proceedings": "Proceedings",
    "models": "Models",
    "data": "Data",
    "demo": "Demo",
    "post": "Post",
}
THREADS = {
    "x": "Thread on X",
    "bluesky": "Thread on Bluesky",
    "lesswrong": "LessWrong",
    "mastodon": "Thread on Mastodon",
    "web": "Discussion",
}


def number(value: float | None) -> str:
    """A number with two digits that count, a true minus sign, a dash where there is none."""
    return _signed(numbers.number(value))


def several(values: Iterable[float]) -> str:
    """Several numbers in a row."""
    return ", ".join(map(number, values))


def value(judgement: Judgement) -> str:
    """What was measured, as fine as its interval is wide."""
    return _signed(numbers.with_interval(judgement.value, judgement.interval)[0])


def interval(judgement: Judgement) -> str:
    """`[0.62, 0.78]`, or nothing."""
    return _signed(numbers.with_interval(judgement.value, judgement.interval)[1])


def written(value: float, digits: int = 2) -> str:
    """A number as it stands in a sentence."""
    return _signed(numbers.written(value, digits))


def span(bounds: tuple[float, float]) -> str:
    """`0.62 to 0.78`; one number where both are the same."""
    return " to ".join(dict.fromkeys(map(number, bounds)))


def _signed(shown: str) -> str:
    return shown.replace("-", "−")


def day(known: str) -> str:
    """`16 December 2024`, `December 2024` or `2024`, as much as is known of a date."""
    if len(known) == 4:
        return known
    when = date.fromisoformat(f"{known}-01"[:10])
    return f"{when.day} {when:%B %Y}" if len(known) == 10 else f"{when:%B %Y}"


def picked(paper: Paper) -> str:
    """`picked 16 December 2024`, or that it came with the founding collection."""
    return f"picked {day(paper.picked.isoformat())}" if paper.picked else "founding collection"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that a person would choose."""
    if seconds is None:
        return "an unknown time"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def memory(mebibytes: float) -> str:
    """Memory in GB."""
    return f"{mebibytes * 2**20 / 1e9:.1f} GB"


def listed(names: Sequence[str]) -> str:
    """`A, B and C`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"


def et_al(names: Sequence[str]) -> str:
    """All of up to three authors, else the first and `et al.`."""
    return listed(names) if len(names) <= 3 else f"{names[0]} et al."


def tally(counts: Mapping[str, int]) -> str:
    """`3 facts hold, 1 cannot be told`; never a score."""
    return in_words(counts)


def found(run: Run) -> str:
    """What a run found, in one sentence."""
    return f"On {run.model_name}, {run.profile} profile: {added_up(run.judged)}."


def phrase(verdict: str, count: int) -> str:
    """`hold` for 4, `is not tested` for 1."""
    return PHRASES[verdict][count != 1]


def capitalised(text: str) -> str:
    """The same with a capital at the start."""
    return text[:1].upper() + text[1:]


def surviving(run: Run) -> str:
    """How many of the facts that hold survive the correction for many tests; nothing where none holds."""
    if not any(run.counts.get(verdict) for verdict in POSITIVE):
        return ""
    left = count_surviving(run.judged)
    return f"{capitalised(str(left or 'none'))} still hold{'s' * (left < 2)} after Holm's correction."


def where(paper: Paper) -> str:
    """What the link to the paper itself is called: arXiv, or the site that it is on."""
    return "arXiv" if paper.is_arxiv else Citation(paper, "").site or "Post"


def link_label(key: str) -> str:
    """What a link is called."""
    return LINKS.get(key, key.capitalize())


def thread_label(platform: str) -> str:
    """What a discussion is called."""
    return THREADS.get(platform, "Discussion")


FILTERS = {
    function.__name__: function
    for function in (
        *(number, several, value, interval, written, span, day, picked, duration, memory, listed, et_al),
        *(tally, found, link_label, where, thread_label, surviving, phrase, capitalised, claim_anchor),
    )
} | {"added_up": added_up}
