"""Features steered at equal effect, and the cards that show them."""

import json
import math

import pytest
import torch

from reproductions.common.edits import generate
from reproductions.common.steering import Divergence
from reproductions.output_centric import descriptions, passages, steering
from reproductions.output_centric.cards import Album
from reproductions.output_centric.features import Feature, clamps, neurons
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


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


def test_texts_are_written_under_the_clamp(model, chosen):
    to = torch.tensor([[1e4, 1e4, -1e4, -1e4], [0.0] * 4])

    written = steering.write(model, chosen[:2], to, seed=0)

    assert written.steered.shape == (2, 4, 3, steering.WRITTEN)
    assert written.clean.shape == (3, steering.WRITTEN)
    assert torch.equal(written.steered, steering.write(model, chosen[:2], to, seed=0).steered)
    assert torch.equal(written.clean, untouched(model, rows=2 * 4, seed=0))
    assert not torch.equal(written.steered, steering.write(model, chosen[:2], to, seed=1).steered)


def test_a_card_says_all_that_was_found_and_is_json(model, chosen):
    rows = torch.randint(1, 51, (6, 33), generator=torch.Generator().manual_seed(0))
    words, readings = Words.of(model), passages.read(model, chosen, rows)
    directions = torch.cat([f.source.directions(torch.tensor([f.index])) for f in chosen])
    projected = descriptions.vocab_proj(model, directions, k=15)
    changed = descriptions.token_change(model, chosen, rows[:2], k=4)
    written = steering.write(model, chosen, torch.ones(3, 4), seed=0)
    album = Album(chosen, words, readings, projected, changed, written, [{"MaxAct": [1, 2]}] * 3, [{}] * 3)

    card = json.loads(json.dumps(album.cards([1])))[0]

    assert card["name"] == "neuron-1/9+"
    assert card["largest"] == pytest.approx(max(max(context["activations"]) for context in card["contexts"]))
    assert all(len(context["tokens"]) == len(context["activations"]) for context in card["contexts"])
    assert len(card["promoted"]) == len(card["suppressed"]) == 15
    assert card["descriptions"] == {"MaxAct": words.named([1, 2])}
    assert len(card["steered"]) == 3 + 4 * 3
    assert {text["kl"] for text in card["steered"]} == {0, *steering.TARGETS}
    assert len(card["token_change"]["negated"]["down"]) == 4
