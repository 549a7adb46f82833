"""How things are written."""

from __future__ import annotations

import math

import pytest

from picks.site import formats
from picks.site.collection import Library
from tests.fixtures.mini_site import NAME


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.7061, "0.71"),
        (-0.0098, "−0.0098"),
        (2.7, "2.7"),
        (1234.5, "1,234"),
        (None, "–"),
        (math.nan, "–"),
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


def test_a_value_is_as_fine_as_its_interval_is_wide(library: Library) -> None:
    [(_, reproduced)] = [one for one in library.reproduced if one[1].name == NAME]
    judged = {finding.id: finding.judgement for finding in reproduced.runs[0].findings}
    assert (formats.value(judged["C1"]), formats.interval(judged["C1"])) == ("0.90", "[0.85, 0.95]")
    assert (formats.value(judged["C4"]), formats.interval(judged["C4"])) == ("−0.33", "[−0.42, −0.25]")
    assert (formats.value(judged["C2"]), formats.interval(judged["C2"])) == ("–", "")


def test_a_range_of_one_number_is_that_number() -> None:
    assert formats.span((0.6, 0.95)) == "0.60 to 0.95"
    assert formats.span((0.6, 0.6)) == "0.60"


def test_facts_are_counted_in_words_never_scored(library: Library) -> None:
    assert formats.tally({"holds": 3, "cannot tell": 1}) == "3 facts hold, 1 cannot be told"
    [(_, reproduced)] = [one for one in library.reproduced if one[1].name == NAME]
    told = "1 fact holds, 1 is the opposite, 1 is not tested; 1 still holds after Holm's correction"
    assert formats.found(reproduced.runs[0]) == f"On {reproduced.runs[0].model_name}, full profile: {told}."
