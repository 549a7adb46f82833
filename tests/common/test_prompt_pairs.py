"""Pairs of prompts, on a tokenizer that has all their words and on those of the pinned models."""

from __future__ import annotations

import re
from random import Random
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from reproductions.common import fetch, prompt_pairs
from reproductions.common.catalogue import model_card
from reproductions.common.prompt_pairs import FAMILIES, PairError, Texts, paired, pairs


def words_of(draws):
    """A model whose tokenizer makes one token of each word, digit and sign in some texts."""
    said = {text for texts in draws for text in (texts.clean, texts.corrupted, *texts.right, *texts.wrong)}
    words = sorted({piece for text in said for piece in re.findall(r"\d|\w+|[^\w\s]", text)} - set("0123456789"))
    vocabulary = {word: n for n, word in enumerate(["<s>", *"0123456789", *words])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<s>"))
    made.normalizer = normalizers.Strip()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    return opened(PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>"))


def opened(tokenizer):
    def to_tokens(text):
        return torch.tensor([[tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]])

    return SimpleNamespace(tokenizer=tokenizer, to_tokens=to_tokens)


def many(draw, n=400):
    random = Random(1)
    return [draw(random) for _ in range(n)]


@pytest.fixture(scope="module")
def words():
    return words_of([texts for draw in FAMILIES.values() for texts in many(draw)])


@pytest.fixture(scope="module", params=["smollm2-135m", "gemma3-270m"])
def pinned(request):
    return opened(AutoTokenizer.from_pretrained(fetch.ensure(model_card(request.param)), local_files_only=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_has_one_length_one_opening_and_answers_of_its_own(words, family):
    for pair in pairs(words, family, 30):
        assert len(pair.clean) == len(pair.corrupted)
        assert pair.clean[0] == pair.corrupted[0]
        assert (pair.clean != pair.corrupted).sum() == (2 if family == "names" else 1)
        assert not set(pair.right.tolist()) & set(pair.wrong.tolist())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokenizers_of_the_pinned_models_give_pairs_of_every_family(pinned, family):
    found = pairs(pinned, family, 24)
    assert len({pair.texts for pair in found}) == 24
    assert all(len(pair.clean) == len(pair.corrupted) for pair in found)


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_depend_on_the_seed_alone(words, family):
    drawn = [[pair.texts for pair in pairs(words, family, 8, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("corrupt", "differing"),
    [
        ("giver", {"third"}),
        ("another", {"third"}),
        ("swap", {"gets"}),
        ("names", {"third", "fourth"}),
        ("others", {"third", "fourth"}),
    ],
)
def test_what_is_corrupted_of_indirect_objects(corrupt, differing):
    for texts in many(lambda random: prompt_pairs.indirect_objects(random, corrupt), 50):
        (gets,), (giver,) = texts.right, texts.wrong
        clean, corrupted = ([word.strip(",") for word in text.split()] for text in (texts.clean, texts.corrupted))
        assert clean.count(giver) == 2
        assert clean.count(gets) == 1
        new = {now for was, now in zip(clean, corrupted, strict=True) if was != now}
        assert len(new) == len(differing)
        assert ({gets} == new) == (differing == {"gets"})
        assert corrupted.count(giver) == 1


@pytest.mark.parametrize("family", ["giver", "another", "swap", "names", "others"])
def test_what_is_corrupted_changes_nothing_else(family):
    both = (
        many(lambda random, corrupt=corrupt: prompt_pairs.indirect_objects(random, corrupt), 20)
        for corrupt in ("giver", family)
    )
    assert [texts.clean for texts in next(both)] == [texts.clean for texts in next(both)]


def test_verbs_follow_the_first_noun_and_an_attractor_has_the_other_number():
    plural = set(prompt_pairs.NOUNS.values())
    for texts in many(prompt_pairs.attraction, 50):
        nouns = [word for word in texts.clean.split() if word in plural | set(prompt_pairs.NOUNS)]
        assert (nouns[0] in plural) == (texts.right == ("are",)) != (nouns[1] in plural)
        assert texts.corrupted.split()[-1] == texts.clean.split()[-1]


def test_the_years_end_is_above_its_beginning():
    for texts in many(prompt_pairs.greater_than, 50):
        begun, end = re.findall(r"\d+", texts.clean)
        assert begun.startswith(end)
        assert {int(digit) > int(begun[2]) for digit in texts.right} == {True}
        assert {int(digit) < int(begun[2]) for digit in texts.wrong} == {True}
        assert re.findall(r"\d+", texts.corrupted)[0][2] == "0"


@pytest.mark.parametrize(
    "texts",
    [
        Texts("The key", "The old key", ("is",), ("are",)),
        Texts("The key", "The key", ("is",), ("are",)),
        Texts("The key", "The keys", ("is not",), ("are",)),
    ],
    ids=["lengths differ", "nothing differs", "an answer of two tokens"],
)
def test_what_is_no_pair_is_left_out(texts):
    said = Texts("The old key keys", "", ("is", "not"), ("are",))
    assert paired(words_of([said]), texts) is None


def test_too_few_pairs_and_unknown_families_are_said(words):
    with pytest.raises(PairError, match="gives 1 pairs of that family, not 2"):
        pairs(words, lambda _: Texts("The key", "The keys", ("is",), ("are",)), 2)
    with pytest.raises(PairError, match="no family 'capital' of prompts; there are indirect objects, agreement"):
        pairs(words, "capital", 1)
