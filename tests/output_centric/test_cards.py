"""Features steered at equal effect, and the cards that show them."""

import json
import math

import pytest
import torch

from reproductions.common import explorers
from reproductions.common.edits import final_states, generate, unembed
from reproductions.common.steering import Divergence
from reproductions.output_centric import method, passages, steering
from reproductions.output_centric.cards import Album, best_scores
from reproductions.output_centric.features import Feature, clamps, neurons
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def words(model):
    return Words.of(model)


@pytest.fixture(scope="module", autouse=True)
def known_prompts():
    """Prompts of words that the tiny model knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steering, "PROMPTS", ("w1 w2 w3", "w4 w5", "w6"))
        yield


@pytest.fixture(scope="module")
def chosen(model):
    latents, others = tiny_latents(), neurons(model, 1)
    return [Feature(latents, 3), Feature(others, 9), Feature(latents, 11)]


@pytest.fixture(scope="module")
def found(model, chosen):
    return steering.matched_clamps(model, chosen, torch.tensor([1.0, 0.5, 2.0]))


def test_clamps_have_the_targets_sign_and_effect(model, chosen, found):
    divergence = Divergence(model, steering.PROMPTS)

    assert found.isfinite().any()
    for row, feature in enumerate(chosen):
        for target, clamp in zip(steering.TARGETS, found[row], strict=True):
            if clamp.isfinite():
                assert clamp.sign() == math.copysign(1, target)
                effect = divergence(clamps([feature], clamp[None], divergence.n_prompts), 1)
                assert effect.item() == pytest.approx(abs(target), rel=0.031)


def test_a_feature_that_never_varies_reaches_nothing(model, chosen):
    assert steering.matched_clamps(model, chosen[:1], torch.zeros(1)).isnan().all()


def untouched(model, rows, seed):
    """The model's own text behind each prompt, written beside so many rows."""
    generator = torch.Generator().manual_seed(seed)
    uniform = [torch.rand(rows + 1, steering.WRITTEN, generator=generator)[-1:] for _ in steering.PROMPTS]
    prompts = map(model.to_tokens, steering.PROMPTS)
    return torch.cat([generate(model, prompt, own) for prompt, own in zip(prompts, uniform, strict=True)])


def test_texts_are_written_under_the_clamp(model, chosen, words):
    to = torch.tensor([[1e4, 1e4, -1e4, -1e4], [0.0] * 4])

    written = steering.write(model, words, chosen[:2], to, seed=0)

    assert written.steered.shape == (2, 4, 3, steering.WRITTEN)
    assert written.clean.shape == (3, steering.WRITTEN)
    assert torch.equal(written.steered, steering.write(model, words, chosen[:2], to, seed=0).steered)
    assert torch.equal(written.clean, untouched(model, rows=2 * 4, seed=0))
    assert not torch.equal(written.steered, steering.write(model, words, chosen[:2], to, seed=1).steered)


def test_expected_words_are_the_probabilities_along_the_text(model, chosen, words, monkeypatch):
    monkeypatch.setattr(steering, "ROWS_AT_ONCE", 3)  # passes that part a feature's texts
    to = torch.tensor([[9.0, 2.0, -1.0, -4.0], [3.0, 1.0, -2.0, -5.0]])

    written = steering.write(model, words, chosen[:2], to, seed=0)

    for row, feature in enumerate(chosen[:2]):
        by_hand = torch.zeros(len(words.names))
        for target in range(4):
            for prompt, text in zip(steering.PROMPTS, written.steered[row, target], strict=True):
                tokens = torch.cat([model.to_tokens(prompt), text[None]], dim=1)
                states = final_states(model, tokens, clamps([feature], to[row, target][None], 1))
                before = states[0, -steering.WRITTEN - 1 : -1]
                likely = (unembed(model, before) / steering.TEMPERATURE).softmax(-1).sum(0)
                by_hand += words.summed(likely[None])[0]
        assert torch.allclose(written.expected[row], by_hand, atol=1e-3)
        assert written.expected[row].sum().item() == pytest.approx(4 * 3 * steering.WRITTEN, rel=1e-4)


def test_a_word_is_written_as_often_as_expected_on_average(model, chosen, words):
    to = torch.tensor([[3.0, 1.0, -1.0, -3.0]]).repeat(60, 1)

    found = steering.write(model, words, chosen[:1] * 60, to, seed=0)

    drawn, expected = words.counts(found.steered.flatten(1)), found.expected
    often = expected.mean(0) > 5
    assert often.sum() > 3
    assert torch.allclose(drawn.mean(0)[often], expected.mean(0)[often], rtol=0.15)
    assert (expected.std(0)[often] < drawn.std(0)[often]).all()


def test_a_card_says_all_that_was_found_and_is_json(model, chosen, words):
    rows = torch.randint(1, 51, (6, 33), generator=torch.Generator().manual_seed(0))
    readings = passages.read(model, chosen, rows)
    directions = torch.cat([f.source.directions(torch.tensor([f.index])) for f in chosen])
    projected = method.vocab_proj(model, directions, k=15)
    changed = method.token_change(model, chosen, rows[:2], k=4)
    written = steering.write(model, words, chosen[1:2], torch.ones(1, 4), seed=0)
    lists, texts = [{"MaxAct": [1, 2]}] * 3, {1: written.steered[0]}
    scores = [{"MaxAct": {"input": 0.7, "output": None}}] * 3
    album = Album(chosen, words, readings, projected, changed, texts, written.clean, lists, scores)

    data = json.loads(explorers.text("cards", album.explorer([0, 1])))

    by_name = {card["name"]: card for card in data["cards"]}
    layers = [card["filters"]["layer"] for card in data["cards"]]
    assert layers == sorted(layers)
    unsteered, card = by_name[chosen[0].name], by_name["neuron-1/9+"]
    active, output, steered, described = card["parts"]
    assert unsteered["parts"][2]["written"]["texts"] == []
    largest = max(max(each["weights"]) for each in active["texts"])
    assert float(card["facts"][-1].removeprefix("largest activation ")) == pytest.approx(largest, abs=0.006)
    assert {name: len(found) for name, found in output["lists"][0]["lists"].items()} == {
        "promoted": 15,
        "suppressed": 15,
    }
    assert len(output["lists"][2]["lists"]["less likely"]) == 4
    assert len(steered["written"]["texts"]) == 3 + 4 * 3
    assert {each["at"] for each in steered["written"]["texts"]} == {0, *steering.TARGETS}
    assert described["numbers"]["rows"] == [{"title": "MaxAct", "values": [0.7, None], "note": words.named([1, 2])}]
    assert card["numbers"] == {"output": None, "input": 0.7, "gap": None}


def test_features_are_sorted_by_their_best_scores():
    scores = {
        "a": {"input": 0.9, "output": 0.3},
        "b": {"input": 0.2, "output": 0.7},
        "c": {"input": 1.0, "output": None},
    }

    assert best_scores(scores) == {"output": 0.7, "input": 1.0, "gap": 0.6}
