"""Probes against a regression done otherwise, answers against plain passes, shifts by hand, and planted truths."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from reproductions.common import explorers
from reproductions.common.metrics import Metric
from reproductions.common.probes import logistic
from reproductions.truthful_heads import method
from reproductions.truthful_heads.method import Curve, Plain, Question, Setting
from tests.common.tiny_bridge import random_tokens

TOPICS = [f"topic {topic}" for topic in range(12) for _ in range(6)]


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    """Twelve topics of two questions, in the words of the tiny models; answers differ in length."""
    return [
        Question(
            topic=f"topic {number // 2}",
            kind=("fact", "misconception")[number % 2],
            question=" ".join(f"w{(7 * number + place) % 50}" for place in range(1 + number % 4)),
            true=" ".join(f"w{(11 * number + place) % 50}" for place in range(1 + number % 3)),
            false=" ".join(f"w{(13 * number + place + 5) % 50}" for place in range(1 + number % 2)),
        )
        for number in range(24)
    ]


# The questions


def test_each_topic_has_ten_questions_and_answers_alone_give_nothing_away_of_facts():
    asked = method.questions()
    assert len(asked) == len({own.question for own in asked}) == 220
    assert min(Counter(own.topic for own in asked).values()) == 11
    facts = [own for own in asked if own.kind == "fact"]
    assert Counter((own.topic, own.true) for own in facts) == Counter((own.topic, own.false) for own in facts)
    longer = [len(own.true) - len(own.false) for own in asked]
    assert abs(sum(gap > 0 for gap in longer) - sum(gap < 0 for gap in longer)) < 5


def test_foreign_answers_are_of_other_topics_and_all_own_answers_once():
    asked = method.questions()
    _, answers = method.cases(asked)
    assert Counter(own[3] for own in answers) == Counter(own[0] for own in answers)
    topics = [own.topic for own in asked]
    assert all(one != other for one, other in zip(topics, topics[110:] + topics[:110], strict=True))


def test_words_of_answers_tell_nothing_of_facts():
    facts = [own for own in method.questions() if own.kind == "fact"]
    part = method.dealt([own.topic for own in facts], 3, 0)
    assert method.told_by_words(facts, part).mean().item() == pytest.approx(0.5, abs=0.05)
    given_away = [replace(own, true="yes indeed", false="never") for own in facts]
    assert method.told_by_words(given_away, part).mean().item() == 1


# Reading and pushing


def test_no_shift_does_nothing_to_plain_text_and_more_does_more(model):
    plain = Plain(model, random_tokens(4, 9))
    shift = gaussian(model.cfg.n_layers * model.cfg.n_heads, 8)
    none, some, more = plain.effects([method.edits(model, shift, alpha) for alpha in (0.0, 0.2, 1.0)])
    assert none.abs().max() < 1e-6
    assert (some[0] > 0).all() and more[0].mean() > some[0].mean()
    logits = model(plain.tokens).log_softmax(-1)
    with model.hooks(
        [
            (name, lambda z, hook, own=own: torch.cat([z[:, :1], own(z[:, 1:])], 1))
            for name, own in method.edits(model, shift, 1.0).items()
        ]
    ):
        changed = model(plain.tokens).log_softmax(-1)
    by_hand = (logits.exp() * (logits - changed)).sum(-1)[:, 1:-1].mean(1)
    torch.testing.assert_close(more[0], by_hand, atol=1e-4, rtol=1e-3)


# Probes


def test_probes_of_all_heads_are_those_of_a_regression_head_by_head():
    x, truth = gaussian(4, 60, 5) * 3 + 1, torch.tensor([1.0, 0.0]).repeat(30)
    x[1] += truth[:, None]
    weights, biases = method.probes(x, truth, ridge=0.02)
    for head in range(4):
        own = logistic(x[head], truth[:, None], ridge=0.02)
        torch.testing.assert_close(weights[head], own.weights[0], atol=2e-3, rtol=2e-2)
        torch.testing.assert_close(biases[head], own.biases[0], atol=5e-3, rtol=2e-2)


def planted(strength: float) -> torch.Tensor:
    """z [72, 2, 10, 6] of noise in which heads 3 and 7 hold the truth, and head 5 holds it of half of the topics."""
    z = gaussian(72, 2, 10, 6)
    sign = torch.tensor([1.0, -1.0])[None, :, None]
    z[:, :, 3] += strength * sign
    z[:, :, 7] -= strength * sign
    z[::2, :, 5] += strength * sign
    return z


def test_heads_that_hold_the_truth_are_chosen_and_shuffled_labels_find_nothing():
    part = method.dealt(TOPICS, 3, 0)
    found = method.probe(planted(1.0), part, TOPICS, 2, 0)
    assert all(set(own.tolist()) == {3, 7} for own in found.chosen)
    assert found.of_chosen(found.accuracy, part).mean() > 0.95
    assert found.accuracy[:, 0].mean() < 0.6
    chance = method.probe(method.shuffled(planted(1.0), 0), part, TOPICS, 2, 0)
    assert chance.of_chosen(chance.accuracy, part).mean() == pytest.approx(0.5, abs=0.12)


def test_what_a_probe_learns_of_a_topic_does_not_count_on_it():
    """A head that holds the truth by a sign of its own in every topic tells nothing of other topics."""
    z = gaussian(72, 2, 10, 6)
    sign = torch.tensor(
        [float(hash_) for hash_ in torch.randint(0, 2, (12,), generator=torch.Generator().manual_seed(3))]
    )
    own = (2 * sign - 1).repeat_interleave(6)
    z[:, 0, 3] += 3 * own[:, None]
    z[:, 1, 3] -= 3 * own[:, None]
    part = method.dealt(TOPICS, 3, 0)
    assert method.probe(z, part, TOPICS, 2, 0).accuracy[:, 3].mean() < 0.75


def test_parts_keep_topics_whole_and_halves_divide_them():
    part, half = method.dealt(TOPICS, 3, 4), method.dealt(TOPICS, 6, 4) // 3
    for topic in set(TOPICS):
        own = torch.tensor([name == topic for name in TOPICS])
        assert len(set(part[own].tolist())) == len(set(half[own].tolist())) == 1
    assert Counter(part.tolist()) == {0: 24, 1: 24, 2: 24}
    assert all(len(set(half[part == own].tolist())) == 2 for own in range(3))


# Directions and curves


def test_directions_are_differences_of_means_as_long_as_z_varies_along_them():
    z, heads = planted(2.0), torch.tensor([7, 3])
    shift = method.directions(z, heads)
    assert not shift[[0, 1, 2, 4, 5, 6, 8, 9]].any()
    theta = z[:, 0, 3].mean(0) - z[:, 1, 3].mean(0)
    along = z[:, :, 3].flatten(0, 1) @ theta / theta.norm()
    torch.testing.assert_close(shift[3], along.std() * theta / theta.norm())
    assert (shift[3] > 0).all() and (shift[7] < 0).all()


def test_shifts_that_are_compared_push_as_many_heads():
    found = method.shifts(gaussian(30, 4, 10, 6), torch.tensor([2, 5, 8]), torch.tensor([1, 2, 3]), 0)
    assert set(found) == set(method.SHIFTS)
    there = {name: set(own.any(1).nonzero()[:, 0].tolist()) for name, own in found.items()}
    assert there["truthful"] == there["reverse"] == there["random"] == there["opposite"] == {2, 5, 8}
    assert len(there["heads"]) == len(there["heads_again"]) == 3
    assert not there["heads"] & there["heads_again"] and not there["heads"] & there["truthful"]


def test_a_curve_is_read_at_a_kl_along_its_root():
    kl = torch.tensor([0.0, 0.04, 0.16])[:, None].expand(3, 2)
    values = torch.tensor([1.0, 2.0, 5.0])[:, None]
    curve = Curve(kl, kl, values)
    assert [curve.at(values, at).item() for at in (0.0, 0.01, 0.04, 0.09, 0.16)] == pytest.approx([0, 0.5, 1, 2.5, 4])
    assert curve.at(values, 0.2).isnan().all()


def pushed(asked: list[Question], truthful: float) -> list[method.Part]:
    """Parts in which a shift to the truth gains so much a level, its reverse loses it, and all others do nothing."""
    noise = gaussian(8, 3, len(asked)) * 0.05
    kl = torch.tensor([0.0, 0.05, 0.2])[:, None].expand(3, 4)
    gain = {"truthful": truthful, "reverse": -truthful, "capitals": 2.0, "plain": -2.0}
    steps = torch.tensor([0.0, 1.0, 2.0])[:, None]
    parts = []
    for own in range(3):
        places = list(range(own, len(asked), 3))
        curves = {
            name: Curve(kl, kl + gaussian(3, 4), steps * (gain.get(name, 0.0) + noise[kind][:, places]))
            for kind, name in enumerate(method.SHIFTS)
        }
        parts.append(method.Part(places, curves))
    return parts


@pytest.mark.parametrize(("truthful", "holds"), [(0.8, True), (0.0, False), (-0.8, False)])
def test_what_a_shift_gains_over_others_is_told_and_a_wrong_sign_never_holds(asked, truthful, holds):
    found = {metric.name: metric for metric in method.shift_metrics(asked, pushed(asked, truthful))}
    for name in ("over_directions", "over_heads", "over_reverse"):
        assert (found[name].interval[0] > 0) == holds, name
        low, high = found[f"{name}_again"].interval
        assert low < 0.2 and high > -0.2
    assert found["capitals"].interval[0] > 0


# All of it


def test_everything_is_measured_and_shown(model, asked):
    heads = method.look(model, asked, 0.2, 0)
    assert all(own.accuracy.shape == (24, 6) and own.chosen.shape == (3, 1) for own in heads.probed.values())
    parts = [method.push(model, asked, heads, own, Setting(random_tokens(4, 9), (0.2, 0.05), 1, 0)) for own in range(3)]
    assert sorted(asked[place].topic for part in parts for place in part.places) == sorted({own.topic for own in asked})
    metrics = [*method.probe_metrics(asked, heads), *method.shift_metrics(asked, parts)]
    assert all(isinstance(metric, Metric) for metric in metrics)
    assert len({metric.name for metric in metrics}) == len(metrics)
    assert explorers.text("curves", method.curves(asked, parts))
    assert explorers.text("grid", method.grid(model, heads))
    assert len(method.draw(heads, asked, parts).axes) == 2
