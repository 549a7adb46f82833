"""The verdicts on rings, done right and done wrong, by the rule and the claims that a run is judged by."""

import pytest
import torch

from reproductions.circular_features import method
from reproductions.circular_features.method import planted, word_states
from reproductions.common.metrics import share_of
from reproductions.common.verdicts import HOLDS, POSITIVE, judge_claim
from tests.circular_features.planted import CLAIMS, TEMPLATES, WORDS, bow, heptagon_model, judged, rings, states
from tests.head_mapping.tiny import tiny_llama

DEALT = torch.tensor([3, 0, 5, 1, 6, 2, 4])


def test_a_ring_holds_and_is_closed():
    found = rings(planted(states()))
    assert judged("C1", found).verdict == HOLDS
    assert judged("C1b", found).verdict == HOLDS


def test_the_words_of_a_model_on_a_heptagon_hold():
    found = rings(word_states(heptagon_model(), WORDS, TEMPLATES) + 0.01 * states(templates=8, width=24))
    assert judged("C1", found).verdict == HOLDS
    assert judged("C1b", found).verdict == HOLDS


WRONG = {
    "words in another order": lambda ring: ring[:, :, DEALT],
    "no ring": lambda ring: states(seed=5),
    "every sentence in an order of its own": lambda ring: torch.stack([own[:, torch.randperm(7)] for own in ring]),
    "the measuring half in another order": lambda ring: torch.where(
        (torch.arange(len(ring)) % 2 == 0)[:, None, None, None], ring, ring[:, :, DEALT]
    ),
    "a line that swings": lambda ring: states(seed=5) * 0.05 + unit_swing(ring),
}


def unit_swing(ring):
    """Words along one direction, by how warm their season is."""
    return (
        torch.zeros_like(ring).index_fill_(3, torch.tensor([0]), 1.0)
        * ((2 * torch.pi * torch.arange(7) / 7).cos()[None, None, :, None])
    )


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_ring_is_refused(fault):
    torch.manual_seed(0)
    judgement = judged("C1", rings(WRONG[fault](planted(states()))))
    assert judgement.verdict not in POSITIVE, (judgement.value, judgement.interval, judgement.reason)


def test_a_bow_is_no_closed_ring_and_no_rounder_than_the_bow_of_number_words():
    found = rings(bow(12))
    assert judged("C1b", found).verdict not in POSITIVE
    assert judged("C1", found).verdict not in POSITIVE


def writes(model, words=WORDS):
    leads = method.moved(model, words, TEMPLATES, [0, 1, 2], shift=0)
    metrics = {metric.name: metric for metric in method.moved_metrics("days", leads)}
    return judge_claim(CLAIMS["W2"], metrics, "full")


def test_a_model_that_reads_the_angle_holds_and_one_without_the_ring_does_not():
    assert writes(heptagon_model(0.02)).verdict == HOLDS
    assert writes(heptagon_model(0.02), [WORDS[i] for i in DEALT]).verdict not in POSITIVE
    assert writes(tiny_llama()).verdict not in POSITIVE


@pytest.mark.parametrize(("right", "next_right", "verdict"), [(7, 90, True), (29, 90, False), (7, 16, False)])
def test_sums_fail_only_if_the_same_reading_sees_what_can_be_done(right, next_right, verdict):
    """As Llama 3 8B does them, or with a reading that is at chance throughout, the claim is not held."""
    metrics = {"sums_days": share_of("sums_days", right, 49), "next_days": share_of("next_days", next_right, 98)}
    assert (judge_claim(CLAIMS["S1"], metrics, "full").verdict in POSITIVE) is verdict


def test_the_papers_counts_are_counted(monkeypatch):
    """A model that says again what it is asked about is right where as many are added as there are words."""
    monkeypatch.setattr(method, "RINGS", {"days": WORDS})
    monkeypatch.setattr(method, "NEXT", ["w3 {{}}", "w4 w5 {{}}"])
    asked = []

    def said(model, words, tokens):
        asked.append(len(tokens))
        return torch.eye(len(words))

    monkeypatch.setattr(method, "answers", said)
    monkeypatch.setattr(method, "prompts", lambda model, words, template: (torch.zeros(len(words), 3), 2))
    sums, following = method.answer_metrics(None, "days")
    assert (sums.name, round(sums.units[0]), sums.n) == ("sums_days", 7, 49)
    assert (following.name, following.value, following.n) == ("next_days", 0, 14)
    assert sum(asked) == 49 + 14
