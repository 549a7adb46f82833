"""The judgements of a recorded run, read back, and what they add up to: facts in words, never a score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reproductions.common.claims import ARITHMETIC, Claim
from reproductions.common.verdicts import POSITIVE, VERDICTS, Judgement, count_facts, in_words, surviving

NUMBERS = ("value", "detectable", "p_value", "control", "positive_control", "second_route")


def judgements(claims: Iterable[Mapping[str, Any]]) -> tuple[Judgement, ...]:
    """The `claims` of a record.

    Raises:
        KeyError, TypeError, ValueError: they are not what `Judgement.to_json` writes.
    """
    return tuple(map(_judgement, claims))


def found(judged: Sequence[Judgement]) -> str:
    """`3 facts hold, 1 cannot be told; 2 still hold after Holm's correction`."""
    counts = count_facts(judged)
    told = in_words(counts)
    if not any(counts.get(verdict) for verdict in POSITIVE):
        return told
    left = surviving(judged)
    return f"{told}; {left or 'none'} still hold{'s' * (left < 2)} after Holm's correction"


def _judgement(fields: Mapping[str, Any]) -> Judgement:
    claim, verdict = Claim.from_json(fields["claim"]), fields["verdict"]
    if verdict not in VERDICTS and (verdict is not None or claim.kind != ARITHMETIC):
        raise ValueError(f"no verdict: {verdict!r}")
    low, high = fields["interval"] or (None, None)
    return Judgement(
        claim,
        verdict,
        fields["reason"],
        interval=None if low is None or high is None else (float(low), float(high)),
        n=int(fields["n"]),
        **{name: None if fields[name] is None else float(fields[name]) for name in NUMBERS},
    )
