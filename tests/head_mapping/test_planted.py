"""The verdict on MAPS done right and done wrong, by the rule and the claim that a run is judged by."""

from dataclasses import replace

import pytest

from reproductions.common.verdicts import HOLDS, POSITIVE
from reproductions.head_mapping.method import Heads
from tests.head_mapping.planted import SENTENCES, WRONG, planted_model, prediction


@pytest.fixture(scope="module")
def planted():
    return planted_model()


def test_planted_relations_are_found(planted):
    model, pairs = planted
    judgement = prediction(model, Heads.of(model), pairs, SENTENCES)
    assert judgement.verdict == HOLDS
    assert judgement.value > 0.7


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_method_is_refused(planted, fault):
    model, pairs = planted
    judgement = prediction(model, WRONG[fault](Heads.of(model)), pairs, SENTENCES)
    assert judgement.verdict not in POSITIVE, (judgement.value, judgement.interval, judgement.reason)


def test_labels_that_were_shuffled_are_refused(planted):
    """The static scores see another pair's target than the model is asked for."""
    model, pairs = planted
    wrong = replace(pairs, target=pairs.shuffled(5).target)
    judgement = prediction(model, Heads.of(model), wrong, SENTENCES)
    assert judgement.verdict not in POSITIVE, (judgement.value, judgement.interval, judgement.reason)
