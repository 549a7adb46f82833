"""Judges are right in cases that can be worked out by hand, and blind where there is nothing to see."""

import itertools
import math

import numpy as np
import pytest
import torch

from reproductions.output_centric import judges
from reproductions.output_centric.judges import (
    JUDGES,
    Library,
    WordJudges,
    asked,
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

    assert (found.accuracy, found.area, found.retrieved) == (1, 1, 4)  # the fifth, at random, spoils nothing


def test_the_accuracy_is_the_mean_of_the_papers_rule_over_draws(words):
    shelf, rows = library(words)
    peaks = torch.rand(40, generator=torch.Generator().manual_seed(5)) + 0.3 * (rows[:, 1:] == 7).any(1)
    best = shelf.ranked([int(words.word_of[7])])
    rest = peaks[[row for row in range(40) if row not in best]]
    drawn = rest[torch.randint(len(rest), (3000, 5), generator=torch.Generator().manual_seed(0))]
    rule = (peaks[best[:5]].mean() > drawn.mean(1)).float().mean().item()

    found = input_score(shelf, [int(words.word_of[7])], peaks, torch.Generator().manual_seed(1))

    assert len(best) >= 5
    assert found.accuracy == pytest.approx(rule, abs=0.1)
    pairs = [(peaks[row] > rest).float().mean().item() for row in best]
    assert found.area == pytest.approx(np.mean(pairs))


def test_a_silent_feature_is_a_failure_by_the_papers_rule_and_chance_by_the_area(words):
    found = input_score(library(words)[0], [int(words.word_of[30])], torch.zeros(40), torch.Generator())

    assert (found.accuracy, found.area) == (0, 0.5)


def test_where_too_few_passages_are_found_random_ones_fill_up(words):
    shelf, peaks = library(words)[0], torch.rand(40, generator=torch.Generator().manual_seed(3))
    nothing, one = ([], [int(words.word_of[45])]), [int(words.word_of[30])]

    for description in nothing:
        found = input_score(shelf, description, peaks, torch.Generator().manual_seed(0))
        assert found.accuracy == pytest.approx(0.5, abs=0.12)
        assert (found.area, found.retrieved) == (0.5, 0)
    peaks[:4] = 0.9  # the four passages that hold the word
    assert 0.8 < input_score(shelf, one, peaks, torch.Generator().manual_seed(0)).accuracy <= 1


def test_random_activations_score_at_chance_on_average(words):
    shelf, generator = library(words)[0], torch.Generator().manual_seed(1)
    found = [
        input_score(shelf, [int(words.word_of[30])], torch.rand(40, generator=generator), generator) for _ in range(400)
    ]

    assert sum(score.accuracy for score in found) / 400 == pytest.approx(0.5, abs=0.08)
    assert sum(score.area for score in found) / 400 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("others", [[1, 2, 3], [2, 2, 3], [0, 0, 0, 5], [2, 2], [2, 2, 2, 1, 4]])
def test_the_chance_to_be_chosen_is_the_mean_over_all_pairs(others):
    own = 2.0
    by_hand = []
    for pair in itertools.combinations(others, 2):
        best = max(own, *pair)
        by_hand.append((own == best) / (1 + pair.count(own)) if own == best else 0.0)

    found = chosen(torch.tensor([own]), torch.tensor([others], dtype=torch.float))
    assert found.item() == pytest.approx(np.mean(by_hand))


def test_three_texts_at_least_are_needed():
    with pytest.raises(ValueError, match="two other texts"):
        chosen(torch.tensor([1.0]), torch.tensor([[1.0]]))


def test_who_has_too_few_others_cannot_be_compared():
    assert comparable(list("abacaabb"), rivals=2) == [0, 1, 2, 4, 5, 6, 7]
    assert comparable(["a"] * 11) == []
    assert len(comparable(["a"] * 12)) == 12


def test_any_one_description_is_right_for_a_third_of_the_texts():
    """Which is why shuffled descriptions must come out at one third, whatever the texts are like."""
    scores = torch.randn(7, generator=torch.Generator().manual_seed(0)).repeat(7, 1)  # one description for all

    assert output_scores(scores, ["group"] * 7).mean().item() == pytest.approx(1 / 3)


def test_texts_are_told_apart_within_their_group_only():
    scores = torch.eye(6)
    scores[0, 3:] = 9.0  # a text of the other group fits better, and does not matter

    assert output_scores(scores, list("aaabbb")).tolist() == [1] * 6


def texts_about(words, *tokens):
    """A text for each token, in which it is to be expected often and others now and then: [texts, words]."""
    expected = torch.rand(len(tokens), len(words.names), generator=torch.Generator().manual_seed(2))
    for row, token in zip(expected, tokens, strict=True):
        row[int(words.word_of[token])] += 6
    return expected


def test_judges_of_words_find_the_text_that_has_them(model, words):
    texts = texts_about(words, 30, 31, 32, 33)
    descriptions = [[int(words.word_of[token])] for token in (30, 31, 32, 33)]

    found = WordJudges(model, words, np.ones(len(words.names)), texts).scores(descriptions)

    assert set(found) == set(JUDGES)
    for judge in JUDGES:
        assert (found[judge].argmax(1) == torch.arange(4)).all()


def test_word_judges_equal_their_formulas(model, words):
    texts, idf = texts_about(words, 30, 31, 32), np.linspace(1, 3, len(words.names))
    description = [int(words.word_of[token]) for token in (30, 7, 9)]

    found = WordJudges(model, words, idf, texts).scores([[4], description])

    embedded = model.W_E[[int((words.word_of == word).nonzero()) for word in range(len(words.names))]]
    embedded = embedded - embedded.mean(0)
    for text in range(3):
        lexical = sum(idf[word] * texts[text, word].item() for word in description)
        cosine = torch.cosine_similarity(embedded[description].sum(0), texts[text] @ embedded, dim=0)
        assert found["lexical"][1, text].item() == pytest.approx(lexical, rel=1e-5)
        assert found["embedding"][1, text].item() == pytest.approx(cosine.item(), abs=1e-5)


def test_a_description_without_words_fits_all_texts_alike(model, words):
    found = WordJudges(model, words, np.ones(len(words.names)), texts_about(words, 30, 31, 32)).scores([[]])

    assert all(
        output_scores(scores.repeat(3, 1), "aaa").tolist() == pytest.approx([1 / 3] * 3) for scores in found.values()
    )


def test_the_model_is_asked_how_much_likelier_a_text_makes_the_words(model, words, monkeypatch):
    texts = torch.randint(1, 51, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(judges, "ASKED", "w10 w11")

    found = asked(model, words, texts)

    question = torch.tensor(model.tokenizer("w10 w11", add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        neutral = model(torch.cat([torch.tensor([0]), question])[None])[0, -1].log_softmax(-1)
        for column, text in enumerate(texts):
            told = model(torch.cat([torch.tensor([0]), text.flatten(), question])[None])[0, -1].log_softmax(-1)
            for word in (5, 9):
                token = int((words.word_of == word).nonzero())
                assert found[column, word].item() == pytest.approx((told - neutral)[token].item(), abs=1e-4)


def test_the_oracle_names_what_stands_out(words):
    texts = texts_about(words, 30, 31, 32)

    assert oracle(texts, "aaa", 1) == [[int(words.word_of[token])] for token in (30, 31, 32)]


def test_the_oracle_knows_what_is_usual_in_its_group_alone():
    texts = torch.tensor([[9.0, 3.0, 0.0], [9.0, 0.0, 3.0], [0.0, 5.0, 4.0], [2.0, 5.0, 0.0]])

    assert oracle(texts, "aabb", 1) == [[1], [2], [2], [0]]
