"""Judges are right in cases that can be worked out by hand, and blind where there is nothing to see."""

import itertools
import math

import numpy as np
import pytest
import torch

from reproductions.output_centric.judges import (
    JUDGES,
    Library,
    TextJudges,
    chosen,
    comparable,
    input_score,
    oracle,
    output_scores,
)
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def words(model):
    return Words.of(model)


def library(words, n=40):
    """Passages of the tokens 1 to 20; only the first four hold token 30, the first two hold it twice."""
    rows = torch.randint(1, 20, (n, 9), generator=torch.Generator().manual_seed(0))
    rows[:4, 3] = 30
    rows[:2, 5] = 30
    return Library(rows, words), rows


def test_passages_with_the_word_are_retrieved_those_with_more_of_it_first(words):
    found = library(words)[0].ranked([int(words.word_of[30])])

    assert found == [0, 1, 2, 3]


def test_retrieval_equals_bm25_by_its_formula(words):
    shelf, rows = library(words)
    description = [int(words.word_of[token]) for token in (30, 4, 7)]

    def bm25(row):
        total = 0.0
        for word in description:
            tf = sum(int(words.word_of[token]) == word for token in row[1:].tolist())
            holding = sum(word in words.word_of[other[1:]].tolist() for other in rows)
            total += math.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5)) * tf * 2.2 / (tf + 1.2)
        return total

    expected = sorted((row for row in range(len(rows)) if bm25(rows[row]) > 0), key=lambda row: -bm25(rows[row]))
    assert shelf.ranked(description) == expected


def test_a_description_that_finds_what_excites_is_right(words):
    shelf, _ = library(words)
    peaks = torch.zeros(40)
    peaks[:4] = 5.0

    found = input_score(shelf, [int(words.word_of[30])], peaks, torch.Generator())

    assert (found.strict, found.tied, found.area, found.retrieved) == (1, 1, 1, 4)


def test_a_silent_feature_is_a_failure_by_the_papers_rule_and_chance_by_ours(words):
    found = input_score(library(words)[0], [int(words.word_of[30])], torch.zeros(40), torch.Generator())

    assert (found.strict, found.tied, found.area) == (0, 0.5, 0.5)


def test_a_description_that_finds_nothing_is_chance(words):
    found = input_score(library(words)[0], [int(words.word_of[45])], torch.rand(40), torch.Generator())

    assert (found.strict, found.tied, found.retrieved) == (0, 0.5, 0)
    assert input_score(library(words)[0], [], torch.rand(40), torch.Generator()).tied == 0.5


def test_random_activations_score_at_chance_on_average(words):
    shelf, generator = library(words)[0], torch.Generator().manual_seed(1)
    found = [
        input_score(shelf, [int(words.word_of[30])], torch.rand(40, generator=generator), generator) for _ in range(400)
    ]

    assert sum(score.tied for score in found) / 400 == pytest.approx(0.5, abs=0.08)
    assert sum(score.area for score in found) / 400 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("others", [[1, 2, 3], [2, 2, 3], [0, 0, 0, 5], [2, 2], [2, 2, 2, 1, 4]])
def test_the_chance_to_be_chosen_is_the_mean_over_all_pairs(others):
    own = 2.0
    by_hand = []
    for pair in itertools.combinations(others, 2):
        best = max(own, *pair)
        by_hand.append((own == best) / (1 + pair.count(own)) if own == best else 0.0)

    assert chosen(own, torch.tensor(others, dtype=torch.float)) == pytest.approx(np.mean(by_hand))


def test_three_texts_at_least_are_needed():
    with pytest.raises(ValueError, match="two other texts"):
        chosen(1.0, torch.tensor([1.0]))


def test_who_has_too_few_others_cannot_be_compared():
    assert comparable(list("abacaabb")) == [0, 1, 2, 4, 5, 6, 7]
    assert comparable(["a", "a"]) == []


def test_any_one_description_is_right_for_a_third_of_the_texts():
    """Which is why shuffled descriptions must come out at one third, whatever the texts are like."""
    scores = torch.randn(7, generator=torch.Generator().manual_seed(0)).repeat(7, 1)  # one description for all

    assert output_scores(scores, ["group"] * 7).mean().item() == pytest.approx(1 / 3)


def test_texts_are_told_apart_within_their_group_only():
    scores = torch.eye(6)
    scores[0, 3:] = 9.0  # a text of the other group fits better, and does not matter

    assert output_scores(scores, list("aaabbb")).tolist() == [1] * 6


def texts_about(words, *tokens):
    """A set of texts for each token, which holds it often among others: [texts, 2, 6]."""
    rows = torch.randint(1, 20, (len(tokens), 2, 6), generator=torch.Generator().manual_seed(2))
    for row, token in zip(rows, tokens, strict=True):
        row[:, ::2] = token
    return rows


def test_judges_of_words_find_the_text_that_has_them(model, words):
    texts = texts_about(words, 30, 31, 32, 33)
    descriptions = [[int(words.word_of[token])] for token in (30, 31, 32, 33)]

    found = TextJudges(model, words, np.ones(len(words.names)), texts).scores(descriptions)

    assert set(found) == set(JUDGES)
    for judge in ("lexical", "embedding"):
        assert (found[judge].argmax(1) == torch.arange(4)).all()


def test_the_model_judges_by_how_much_likelier_a_text_makes_the_words(model, words):
    texts = texts_about(words, 30, 31)
    judges = TextJudges(model, words, np.ones(len(words.names)), texts)
    judges._asked = lambda text: torch.cat([torch.tensor([0]), text.flatten(), torch.tensor([11, 12])])

    found = judges.scores([[5, 9], [7]])["model"]

    with torch.no_grad():
        neutral = model(torch.tensor([[0, 11, 12]]))[0, -1].log_softmax(-1)
        for column, text in enumerate(texts):
            told = model(torch.cat([torch.tensor([0]), text.flatten(), torch.tensor([11, 12])])[None])[0, -1]
            ratio = told.log_softmax(-1) - neutral
            tokens = [(words.word_of == word).nonzero().item() for word in (5, 9)]
            assert found[0, column].item() == pytest.approx(ratio[tokens].mean().item(), abs=1e-4)


def test_rare_words_weigh_more_for_the_lexical_judge(model, words):
    texts = texts_about(words, 30, 31)
    idf = np.ones(len(words.names))
    idf[int(words.word_of[31])] = 3.0

    found = TextJudges(model, words, idf, texts).scores([[int(words.word_of[t]) for t in (30, 31)]])["lexical"]

    assert found[0, 1] == 3 * found[0, 0]


def test_the_oracle_names_what_stands_out(words):
    texts = texts_about(words, 30, 31, 32)

    found = oracle(words, texts, 1)

    assert found == [[int(words.word_of[token])] for token in (30, 31, 32)]


def test_the_oracle_prefers_what_recurs_to_what_occurs_once(words):
    texts = torch.full((3, 4, 5), 1)
    texts[0, :, 0] = 40  # in every continuation of the first, and in one of each other
    texts[1:, 0, 0] = 40
    texts[0, 0, 1] = 41  # once, and nowhere else

    assert oracle(words, texts, 2)[0] == [int(words.word_of[40]), int(words.word_of[41])]
