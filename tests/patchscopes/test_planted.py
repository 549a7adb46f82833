"""Verdicts on readings whose answers are known, measured right and measured wrong."""

from dataclasses import replace

import pytest
import torch

from reproductions.common.verdicts import HOLDS, OPPOSITE, POSITIVE
from reproductions.patchscopes.method import Found, Reading
from tests.patchscopes.planted import FREQUENT, answered, enriched, of_asked, of_layers, planted, reading, rising, truth

LATER = ["N1", "N1b", "N1c", "N2", "N2b"]
WORSE = reading(truth(), rising(0.0), seed=7)


@pytest.mark.parametrize("claim", [*LATER, "N3", "N4"])
def test_a_better_reading_holds(claim):
    found = planted(reading(truth(), rising(0.5)), WORSE, WORSE)
    assert of_layers(claim, found).verdict == HOLDS


@pytest.mark.parametrize("claim", LATER)
def test_a_worse_reading_is_the_opposite(claim):
    better = reading(truth(), [1.0] * 9)
    assert of_layers(claim, planted(reading(truth(), [*[0.1] * 7, 0.9, 1]), better, better)).verdict == OPPOSITE


@pytest.mark.parametrize("claim", [*LATER, "N3", "N4"])
def test_states_of_other_contexts_are_refused(claim):
    """The fault: each context is read from the state of the next one."""
    right = reading(truth(), rising(0.5))
    wrong = Reading(right.top.roll(1, 1), right.surprisal.roll(1, 1))
    assert of_layers(claim, planted(wrong, WORSE, WORSE)).verdict not in POSITIVE


@pytest.mark.parametrize("claim", [*LATER, "N3", "N4"])
def test_always_the_most_frequent_token_is_refused(claim):
    """Right in three of ten contexts, and with any other state as well."""
    always = reading(truth(), [0.0] * 9, else_says=FREQUENT)
    mute = reading(truth(), [0.0] * 9)
    assert of_layers(claim, planted(always, mute, mute)).verdict not in POSITIVE


def test_a_flatter_scale_is_no_reading():
    """The fault: the lens is as often right, but its surprisals are all three nats higher."""
    one = reading(truth(), rising(0.5))
    sure = Reading(one.top, one.surprisal + 3)
    assert of_layers("N1b", planted(one, sure, sure)).verdict not in POSITIVE


@pytest.mark.parametrize("claim", ["A1", "D1"])
def test_attributes_from_own_states_hold(claim):
    assert of_asked(claim, answered(0.3)).verdict == HOLDS
    assert of_asked(claim, answered(0.3, by_others=0.2)).verdict == HOLDS


@pytest.mark.parametrize("claim", ["A1", "D1"])
def test_attributes_that_do_not_follow_the_state_are_refused(claim):
    """Faults: states of the next entity; and answers at random."""
    right = answered(0.3)
    assert of_asked(claim, replace(right, said=right.said.roll(1, -1))).verdict not in POSITIVE
    assert of_asked(claim, answered(0.0, by_others=0.9)).verdict not in POSITIVE


def test_a_middle_state_that_says_more_than_the_name_holds_and_one_that_says_as_much_does_not():
    assert of_asked("A3", enriched(0.2, 0.8)).verdict == HOLDS
    assert of_asked("A3", enriched(0.8, 0.2)).verdict not in POSITIVE
    assert of_asked("A3", answered(0.0, by_others=0.9)).verdict not in POSITIVE


def test_without_another_text_there_is_no_control():
    one = reading(truth(), rising(0.5))
    alone = Found({"identity": one, "lens": WORSE, "affine": WORSE}, torch.zeros(80, dtype=torch.long), truth())
    assert of_layers("N1", alone).verdict not in POSITIVE
