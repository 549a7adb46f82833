"""Words shared with another entry: summaries are written, not copied."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from picks.check.base import Base, Entry
from picks.check.faults import ERROR, Finding, entry_rule
from reproductions.common.documents import Scalar

RUN = 6  # words in a row
PROSE = ("summary", "finding", "why")

_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")
Words = tuple[str, ...]


@entry_rule(ERROR)
def copied_text(entry: Entry, base: Base) -> Iterator[Finding]:
    """Six words in a row stand in another entry as well.

    Why: every summary is about its own paper; shared runs of words come from copying, or from a phrase worn thin.
    Mend: say it in other words.

    Titles of papers and tags (`sparse autoencoders`) count as one word each, since there is only one way to say them.
    """
    runs = base.index(_runs)
    for scalar in _prose(entry):
        tokens = runs.folded(scalar)
        for words, others in runs.shared(tokens, entry.id):
            position = entry.document.find(words, scalar.position)
            yield Finding(position, f"“{' '.join(words)}” stands in {', '.join(others)} as well")


@dataclass(frozen=True)
class _Runs:
    """All runs of six words of the base: in which entries each stands, kept by its hash."""

    terms: dict[Words, list[Words]]  # by their first two words, longest first
    owner: dict[int, str]
    others: dict[int, set[str]]
    known: dict[int, list[Words]]  # texts that were folded, by their identity

    def folded(self, text: Scalar) -> list[Words]:
        """The words of a text, those of a fixed term put together."""
        if id(text) not in self.known:
            self.known[id(text)] = _fold(_words(text.value), self.terms)
        return self.known[id(text)]

    def shared(self, tokens: list[Words], own: str) -> Iterator[tuple[Words, list[str]]]:
        """The longest stretches of words that stand elsewhere, each with where."""
        stretches: list[tuple[int, int, set[str]]] = []
        for place, key in enumerate(_keys(tokens)):
            if where := self.others.get(key, set()) - {own}:
                joins = bool(stretches) and place < stretches[-1][1]
                start, _, former = stretches.pop() if joins else (place, 0, set[str]())
                stretches.append((start, place + RUN, former | where))
        return ((_joined(tokens[start:end]), sorted(where)) for start, end, where in stretches)


def _words(text: str) -> Words:
    """The words of a text, in small letters."""
    return tuple(_WORD.findall(text.lower()))


def _runs(base: Base) -> _Runs:
    runs = _Runs(_terms(base), {}, defaultdict(set), {})
    for entry in base.entries:
        for scalar in _prose(entry):
            for key in _keys(runs.folded(scalar)):
                first = runs.owner.setdefault(key, entry.id)
                if first != entry.id:
                    runs.others[key] |= {first, entry.id}
    return runs


def _terms(base: Base) -> dict[Words, list[Words]]:
    """Tags, and titles whole and by the parts around their colon, of two words or more."""
    titles = [title.value for entry in base.entries for title in entry.titles()]
    phrases = {_words(part) for text in [*base.tags, *titles] for part in (text, *text.split(":"))}
    terms: dict[Words, list[Words]] = defaultdict(list)
    for phrase in sorted(phrases, key=len, reverse=True):
        if len(phrase) > 1:
            terms[phrase[:2]].append(phrase)
    return dict(terms)


def _fold(words: Words, terms: dict[Words, list[Words]]) -> list[Words]:
    folded, place = [], 0
    while place < len(words):
        longest = words[place : place + 1]
        for term in terms.get(words[place : place + 2], ()):
            if words[place : place + len(term)] == term:
                longest = term
                break
        folded.append(longest)
        place += len(longest)
    return folded


def _keys(tokens: list[Words]) -> Iterable[int]:
    return (hash(tuple(tokens[place : place + RUN])) for place in range(len(tokens) - RUN + 1))


def _joined(tokens: Iterable[Words]) -> Words:
    return tuple(word for token in tokens for word in token)


def _prose(entry: Entry) -> list[Scalar]:
    return [text for key in PROSE if (text := entry.text(key))]
