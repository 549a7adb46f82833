"""What was read for an entry, and the names of what a paper studies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from reproductions.common.quoting import shown

NAMED = ("models", "data")


@entry_rule(ERROR)
def nothing_read(entry: Entry, base: Base) -> Iterator[Finding]:
    """Nothing of the paper was read, and nothing says where the entry comes from.

    Why: readers must know what is known at first hand and what was only heard.
    Mend: say under `read.second_hand` what summary and finding rest on; or read the paper, and name the version.
    """
    version = entry.text("read", "version")
    if version and version.value == "none" and entry.text("read", "second_hand") is None:
        yield Finding(version.position, "`read.version` is none, and `read.second_hand` is missing")


@entry_rule(HINT)
def two_spellings(entry: Entry, base: Base) -> Iterator[Finding]:
    """A model or a data set is spelt otherwise than in another entry.

    Why: readers look for all papers on a model, and find those of one spelling.
    Mend: take the spelling that more entries have.
    """
    spellings = base.index(_spellings)
    for key in NAMED:
        for item in entry.texts(key):
            known = spellings[key, _plain(item.value)]
            commonest = max(sorted(known), key=lambda name: len(known[name]))
            if commonest != item.value:
                yield Finding(item.position, f"{shown(item.value)} is {shown(commonest)} in most entries")


def _spellings(base: Base) -> dict[tuple[str, str], dict[str, set[str]]]:
    """Of each name the spellings, with the entries that use them."""
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for entry in base.entries:
        for key in NAMED:
            for item in entry.texts(key):
                found[key, _plain(item.value)][item.value].add(entry.id)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
