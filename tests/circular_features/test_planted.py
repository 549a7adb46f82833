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


def test_a_ring_and_its_controls_are_read_from_a_model(monkeypatch):
    """The whole way: a model whose weekdays are a heptagon, and number words that are whatever they are."""
    monkeypatch.setattr(method, "RINGS", {"days": WORDS})
    monkeypatch.setattr(method, "NUMBERS", [f"w{number}" for number in range(30, 42)])
    monkeypatch.setattr(method, "SENTENCES", TEMPLATES)
    found = method.circles(heptagon_model(0.02), "days", 1000)
    assert {kind: circle.p == pytest.approx(1 / 360) for kind, circle in found.items()} == {
        "ring": True,
        "numbers": False,
        "shuffled": False,
        "planted": True,
    }
    assert found["numbers"].null.sort().values == pytest.approx(found["shuffled"].null.sort().values, abs=1e-4)


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


def test_a_model_that_reads_the_angle_holds_and_one_without_the_ring_does_not(monkeypatch):
    monkeypatch.setattr(method, "NEXT", [template.replace("{}", "{{}}") for template in TEMPLATES])

    def verdict(model, words):
        monkeypatch.setattr(method, "RINGS", {"days": words})
        leads = method.moved(model, "days", [0, 1, 2], others=40, shift=0)
        metrics = {metric.name: metric for metric in method.moved_metrics("days", leads)}
        return judge_claim(CLAIMS["W2"], metrics, "full").verdict

    assert verdict(heptagon_model(0.02), WORDS) == HOLDS
    assert verdict(heptagon_model(0.02), [WORDS[i] for i in DEALT]) not in POSITIVE
    assert verdict(tiny_llama(), WORDS) not in POSITIVE


@pytest.mark.parametrize(("right", "next_right", "verdict"), [(7, 90, True), (29, 90, False), (7, 16, False)])
def test_sums_fail_only_if_the_same_reading_sees_what_can_be_done(right, next_right, verdict):
    """As Llama 3 8B does them, or with a reading that is at chance throughout, the claim is not held."""
    metrics = {"sums_days": share_of("sums_days", right, 49), "next_days": share_of("next_days", next_right, 98)}
    assert (judge_claim(CLAIMS["S1"], metrics, "full").verdict in POSITIVE) is verdict


@pytest.mark.parametrize(("names", "next_right"), [(0, 0), (1, 14)])
def test_right_answers_are_counted(monkeypatch, names, next_right):
    """A model that always names the word so many places on is right in 7 of the 49 sums."""
    asked = []

    def prompts(model, words, template):
        asked.append(template)
        return torch.zeros(len(words), 3), 2

    monkeypatch.setattr(method, "RINGS", {"days": WORDS})
    monkeypatch.setattr(method, "NEXT", ["w3 {{}}", "w4 w5 {{}}"])
    monkeypatch.setattr(method, "prompts", prompts)
    monkeypatch.setattr(method, "answers", lambda model, words, tokens: torch.eye(len(words)).roll(names, 1))
    sums, following = method.answer_metrics(None, "days")
    assert (sums.name, round(sums.units[0]), sums.n) == ("sums_days", 7, 49)
    assert (following.name, round(following.units[0]), following.n) == ("next_days", next_right, 14)
    assert asked[:2] == [
        f"Let's do some day of the week math. {count} from {{}} is" for count in ("One day", "Two days")
    ]
    assert asked[7:] == ["w3 {}", "w4 w5 {}"]
