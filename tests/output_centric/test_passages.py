"""Passages are read as they stand, each feature where it is active, and the halves of the text do not overlap."""

import pytest
import torch

from reproductions.common.edits import Edited
from reproductions.output_centric import passages
from reproductions.output_centric.features import Feature, neurons
from reproductions.output_centric.passages import LENGTH, Readings, read
from tests.output_centric.tiny import tiny_latents, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def test_reading_equals_one_feature_and_one_passage_at_a_time(model, monkeypatch):
    monkeypatch.setattr(passages, "AT_ONCE", 2)
    latents, others = tiny_latents(), neurons(model, 0)
    chosen = [Feature(latents, 5), Feature(others, 3), Feature(latents, 9), Feature(others, 60)]
    rows = torch.randint(1, 51, (5, 1 + LENGTH), generator=torch.Generator().manual_seed(0))

    found = read(model, chosen, rows)

    for number, feature in enumerate(chosen):
        for place, row in enumerate(rows):
            values = {}
            with Edited(model, {feature.source.hook: lambda x, values=values: values.setdefault("x", x)}):
                model(row[None])
            alone = feature.source.activations(values["x"][0], torch.tensor([feature.index]))[:, 0]
            assert torch.allclose(found.values[number, place].float(), alone, rtol=2e-3, atol=1e-3)


def readings():
    """Two features in three passages of three tokens: the second is silent."""
    tokens = torch.tensor([[0, 5, 6, 7], [0, 5, 8, 5], [0, 9, 9, 6]])
    values = torch.tensor([[[1.0, 4.0, 0.0], [2.0, 0.0, 3.0], [0.0, 0.0, 5.0]], [[0.0] * 3] * 3])
    return Readings(tokens, values.half())


def test_tokens_at_a_peak_come_first_then_the_others_that_are_active():
    assert readings().top_tokens(0) == [6, 5]  # peaks: 6 at 4 and 5, 5 at 3; 7, 8 and 9 never active
    assert readings().top_tokens(1) == []


def test_passages_are_ranked_by_their_peaks():
    assert readings().top_passages(0, 2) == [2, 0]
    assert readings().top_passages(1, 2) == []
    assert readings().peaks[0].tolist() == [4, 3, 5]


def test_rate_and_spread_count_every_token():
    assert readings().rates.tolist() == pytest.approx([5 / 9, 0])
    assert readings().spread()[0].item() == pytest.approx(
        torch.tensor([1.0, 4, 0, 2, 0, 3, 0, 0, 5]).std().item(), rel=1e-3
    )


class Spaced:
    """A tokenizer with a number for each word."""

    def __init__(self):
        self.numbers = {}

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [self.numbers.setdefault(word, len(self.numbers) + 1) for word in text.split()]}


class Opening:
    """A model that opens every text with 0."""

    tokenizer = Spaced()

    def to_tokens(self, text):
        return torch.zeros(1, 1, dtype=torch.long)


def test_the_two_halves_come_from_different_texts():
    described, tested = passages.passages(Opening(), 40)

    assert described.shape == tested.shape == (40, 1 + LENGTH)
    assert (described[:, 0] == 0).all()
    assert not {tuple(row) for row in described.tolist()} & {tuple(row) for row in tested.tolist()}
