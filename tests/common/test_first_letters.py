"""Words are dealt by their first letters, some of them held out; examples are none of them."""

from tests.common.tiny_speller import PIECES, tiny_deal, tiny_speller


def test_words_are_dealt_by_letter_and_examples_are_none_of_them(tmp_path):
    known, words = tiny_deal(tiny_speller(tmp_path))
    assert {letter: len(own) for letter, own in known.items()} == {"a": 6, "b": 6, "c": 6}
    assert words.letters == "abc" and len(set(words.texts)) == len(words.texts) == 16
    assert not set(words.examples) & set(words.texts)
    for text, token, letter in zip(words.texts, words.tokens.tolist(), words.letter.tolist(), strict=True):
        assert PIECES[token] == f"Ġ{text}" and words.letters[letter] == text[0]
    held = [sum(words.held[words.letter == letter].tolist()) for letter in range(3)]
    assert held == [(words.letter == letter).sum() // 2 for letter in range(3)]
