"""How numbers, dates, names and counts are written on the site."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from picks.site.results import Run

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
    """Three decimals below one, else three digits that count; a true minus sign; a dash where there is no number."""
    if value is None or math.isnan(value):
        return "–"
    small = 0.0005 <= abs(value) < 1
    return (f"{value:.3f}" if small else f"{value:.3g}").replace("-", "−")


def numbers(values: Iterable[float]) -> str:
    """Several numbers in a row."""
    return ", ".join(map(number, values))


def interval(bounds: tuple[float, float] | None) -> str:
    """`0.62 to 0.78`, or a dash."""
    return f"{number(bounds[0])} to {number(bounds[1])}" if bounds else "–"


def day(known: str) -> str:
    """`16 December 2024`, `December 2024` or `2024`, as much as is known of a date."""
    if len(known) == 4:
        return known
    when = date.fromisoformat(f"{known}-01"[:10])
    return f"{when.day} {when:%B %Y}" if len(known) == 10 else f"{when:%B %Y}"


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
    """`6 reproduced, 1 inconclusive of 7 claims`; never one score for a paper."""
    total = sum(counts.values())
    return ", ".join(f"{count} {word}" for word, count in counts.items()) + f" of {total} claim{'s' * (total != 1)}"


def short_tally(counts: Mapping[str, int]) -> str:
    """`6 of 7 claims reproduced`."""
    total = sum(counts.values())
    return f"{counts.get('reproduced', 0)} of {total} claims reproduced"


def found(run: Run) -> str:
    """What a run found, in one sentence."""
    return f"On {run.model_name}, {run.profile} profile: {tally(run.counts)}."


def link_label(key: str) -> str:
    """What a link is called."""
    return LINKS.get(key, key.capitalize())


def thread_label(platform: str) -> str:
    """What a discussion is called."""
    return THREADS.get(platform, "Discussion")


FILTERS = {
    function.__name__: function
    for function in (
        *(number, numbers, interval, day, duration, memory, listed, et_al),
        *(tally, short_tally, found, link_label, thread_label),
    )
}
