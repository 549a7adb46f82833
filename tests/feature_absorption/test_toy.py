"""The toy against sampling, by hand, and against what is known of either world."""

import pytest
import torch

from reproductions.common import planted_autoencoders
from reproductions.common.planted_autoencoders import cases
from reproductions.feature_absorption import toy
from reproductions.feature_absorption.toy import (
    ALONE,
    HIERARCHICAL,
    INDEPENDENT,
    JOINT,
    World,
    by_hand,
    dearer,
    draw,
    hole,
    metrics,
    train,
)

CASES = cases(4)


@pytest.fixture(scope="module")
def features():
    return torch.linalg.qr(torch.randn(3, toy.D, 4, generator=torch.Generator().manual_seed(5))).Q.mT


@pytest.fixture(scope="module")
def trained():
    return train([INDEPENDENT, HIERARCHICAL], seed=1, n=2)


@pytest.mark.parametrize("world", [INDEPENDENT, HIERARCHICAL, World(0.1, 0.5)])
def test_cases_come_as_often_as_they_do_when_features_are_drawn(world):
    found = world.probabilities()
    assert found.sum().item() == pytest.approx(1) and (found >= 0).all()
    rates = found @ CASES
    child = 0.25 * world.child_given_parent / world.parent_given_child
    assert rates.tolist() == pytest.approx([0.25, child, 0.05, 0.05])
    both = found[(CASES[:, 0] * CASES[:, 1]).bool()].sum().item()
    assert both / 0.25 == pytest.approx(world.child_given_parent)
    assert both / child == pytest.approx(world.parent_given_child)


def test_cases_have_the_names_that_they_are():
    assert CASES[ALONE].tolist() == [1, 0, 0, 0] and CASES[JOINT].tolist() == [1, 1, 0, 0]
    assert INDEPENDENT.probabilities()[JOINT].item() == pytest.approx(0.25 * 0.05 * 0.95**2)


def test_absorbing_by_hand_costs_the_root_of_two_and_has_a_hole(features, monkeypatch):
    monkeypatch.setattr(toy, "L1", 0.0)
    monkeypatch.setattr(planted_autoencoders, "L1", 0.0)
    z = {absorbing: by_hand(features, absorbing).autoencoders.codes(CASES @ features) for absorbing in (False, True)}
    assert z[False][:, JOINT].sum(1).tolist() == pytest.approx([2.0] * 3)
    assert z[True][:, JOINT].sum(1).tolist() == pytest.approx([2**0.5] * 3, rel=1e-5)
    assert hole(by_hand(features, absorbing=True)).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    assert hole(by_hand(features, absorbing=False)).tolist() == pytest.approx([0.0] * 3, abs=1e-5)
    for absorbing in (False, True):  # nothing is lost as long as the child never comes alone
        assert by_hand(features, absorbing).losses(HIERARCHICAL.probabilities()).max() < 1e-10


def test_absorbing_is_cheaper_in_a_hierarchy_and_dearer_without(features):
    for world, sign in ((HIERARCHICAL, 1), (INDEPENDENT, -1)):
        faithful, absorbing = (by_hand(features, kind).losses(world.probabilities()) for kind in (False, True))
        assert (sign * (faithful - absorbing) > 0).all()


def test_training_absorbs_in_a_hierarchy_alone(trained):
    independent, hierarchical = trained
    assert hole(independent).abs().max() < 0.05 and hole(hierarchical).min() > 0.5
    assert independent.worst(independent.features).min() > 0.95
    assert (dearer(hierarchical, HIERARCHICAL) < -0.001).all() and dearer(independent, INDEPENDENT).abs().max() < 2e-4


def test_worlds_that_are_exchanged_are_not_taken_for_absorption(trained):
    """A planted fault: with the labels of the worlds swapped, nothing lies on the claimed side."""
    found = {metric.name: metric for metric in metrics(trained[::-1])}
    assert abs(found["hole"].value) < 0.05 and abs(found["child"].value) < 0.05
    assert found["hole_planted"].value > 0.9


def test_the_figure_can_be_drawn(trained):
    assert len(draw([*trained, *[trained[1]] * (len(toy.WORLDS) - 2)]).axes) == 5
