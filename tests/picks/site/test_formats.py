"""How things are written."""

from __future__ import annotations

import math

import pytest

from picks.site import formats


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.7061, "0.706"),
        (0.000549, "0.001"),
        (-0.0098, "−0.010"),
        (2.7, "2.7"),
        (1234.5, "1.23e+03"),
        (0, "0"),
        (1, "1"),
        (None, "–"),
        (math.nan, "–"),
        (1e-9, "1e−09"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(
    ("known", "shown"), [("2024-12-06", "6 December 2024"), ("2024-12", "December 2024"), ("2024", "2024")]
)
def test_days_as_far_as_they_are_known(known: str, shown: str) -> None:
    assert formats.day(known) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(42.4, "42 s"), (250, "4 min"), (7200, "2.0 h"), (None, "an unknown time")]
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert formats.duration(seconds) == shown


def test_names() -> None:
    assert formats.listed(["A"]) == "A"
    assert formats.listed(["A", "B", "C"]) == "A, B and C"
    assert formats.et_al(["A", "B", "C"]) == "A, B and C"
    assert formats.et_al(["A", "B", "C", "D"]) == "A et al."


def test_claims_are_counted_never_scored() -> None:
    counts = {"reproduced": 6, "inconclusive": 1}
    assert formats.tally(counts) == "6 reproduced, 1 inconclusive of 7 claims"
    assert formats.short_tally(counts) == "6 of 7 claims reproduced"
    assert formats.tally({"not tested": 1}) == "1 not tested of 1 claim"
