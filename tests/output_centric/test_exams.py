"""Both examinations, on planted texts: right descriptions pass, wrong ones do not, and deaf judges are not heard."""

import numpy as np
import pytest
import torch

from reproductions.output_centric.exams import Inputs, Outputs, halves
from reproductions.output_centric.features import Feature
from reproductions.output_centric.judges import Library, WordJudges, input_score
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model

SITES = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post")
EACH = 13  # features of a site


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def words(model):
    return Words.of(model)


@pytest.fixture(scope="module")
def features():
    return [Feature(source, index) for source in map(tiny_latents, SITES) for index in range(EACH)]


def topic(row):
    """The word that a feature makes the model write."""
    return 10 + row


def texts(words, n, strength, seed):
    """How often each word is to be expected in the texts of n features: each has a word of its own."""
    found = torch.rand(n, len(words.names), generator=torch.Generator().manual_seed(seed)) * 4
    for row in range(n):
        found[row, topic(row)] += strength
    return found


def examined(model, words, features, strength, rows=None):
    """The output side of features, all of which were steered unless `rows` says which."""
    rows = list(range(len(features))) if rows is None else rows
    idf = np.ones(len(words.names))
    draws = [WordJudges(model, words, idf, texts(words, len(features), strength, seed)[rows]) for seed in (0, 1)]
    return Outputs.of(features, rows, draws, torch.zeros(len(rows), len(words.names)), 1)


def test_right_descriptions_lead_to_their_texts_and_wrong_ones_do_not(model, words, features):
    outputs = examined(model, words, features, strength=9.0)
    own = [[topic(row)] for row in range(len(features))]

    assert outputs.score(own).mean() > 0.9
    assert outputs.score([own[row - 1] for row in range(len(own))]).mean() < 0.45
    assert outputs.oracle.mean() > 0.9


def test_where_texts_say_nothing_no_judge_is_listened_to(model, words, features):
    outputs = examined(model, words, features, strength=0.0)

    assert not any(heard.any() for heard in outputs.listened.values())
    assert outputs.oracle.isnan().all()
    assert outputs.score([[topic(row)] for row in range(len(features))]).isnan().all()


def test_a_judge_is_listened_to_by_its_oracle_on_the_other_half_alone(model, words, features):
    outputs = examined(model, words, features, strength=0.0)
    first = halves(outputs.sources)
    spread = 0.3 + 0.02 * (torch.arange(len(features)) % 5)
    outputs.__dict__["oracles"] = {
        "lexical": torch.where(first, 0.5 + spread, spread - 0.3),
        "embedding": torch.where(first, spread - 0.3, spread - 0.3),
    }

    assert torch.equal(outputs.listened["lexical"], ~first)
    assert not outputs.listened["embedding"].any()
    assert torch.equal(outputs.oracle.isnan(), first)


def test_what_was_not_steered_has_no_output_score(model, words, features):
    steered = [row for row in range(len(features)) if row != 4]
    outputs = examined(model, words, features, strength=9.0, rows=steered)

    scores = outputs.score([[topic(row)] for row in range(len(features))])

    assert scores.isnan().nonzero().flatten().tolist() == [4]
    assert outputs.asked([[1]] * len(features)).isnan().sum() == 1


def test_being_asked_goes_by_the_mean_log_ratio(model, words, features):
    outputs = examined(model, words, features, strength=9.0)
    ratios = torch.zeros(len(features), len(words.names))
    ratios[torch.arange(len(features)), [topic(row) for row in range(len(features))]] = 2.0
    told = Outputs(outputs.n, outputs.rows, outputs.sources, outputs.draws, ratios, 1)

    assert told.asked([[topic(row), 0] for row in range(len(features))]).tolist() == [1.0] * len(features)
    assert told.asked([[0]] * len(features)).tolist() == pytest.approx([1 / 3] * len(features))


def test_inputs_are_scored_feature_by_feature(words):
    rows = torch.randint(1, 51, (40, 9), generator=torch.Generator().manual_seed(0))
    peaks = torch.rand(3, 40, generator=torch.Generator().manual_seed(1))
    library = Library(rows, words)
    inputs = Inputs(library, peaks)

    found = inputs.scores([[3], [4], [5]])

    alone = input_score(library, [4], peaks[1], torch.Generator().manual_seed(1001))
    assert (found[0][1].item(), found[1][1].item()) == pytest.approx((alone.accuracy, alone.area))
    assert inputs.of([2]).scores([[5]])[1].item() == found[1][2]
