"""Single-token words of a model's vocabulary by their first letters, dealt into some to fit to and some held out."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from reproductions.common.model import Model

LETTERS = string.ascii_lowercase
FEWEST, HELD_OUT = 80, 5  # words of a letter; one in five is held out


@dataclass(frozen=True)
class Words:
    """Single-token words of the letters that have enough, and examples; which letter each has, and if it is held out.

    tokens, letter, held: [n].
    """

    letters: str
    examples: list[str]
    texts: list[str]
    tokens: Tensor
    letter: Tensor
    held: Tensor


def vocabulary(model: Model) -> dict[str, list[tuple[str, int]]]:
    """By first letter, the words of three and more small letters that are one token behind a space, with that token."""
    found: dict[str, list[tuple[str, int]]] = {letter: [] for letter in LETTERS}
    for piece, token in sorted(model.tokenizer.get_vocab().items()):
        if re.fullmatch("[Ġ▁][a-z]{3,}", piece):
            found[piece[1]].append((piece[1:], token))
    return {letter: words for letter, words in found.items() if len(words) >= FEWEST}


def deal(model: Model, most: int, examples: int, seed: int) -> Words:
    """At most so many words of each letter in random order, the first fifth of them held out; examples are none."""
    random, known = Random(seed), vocabulary(model)
    shown = [random.choice(words) for words in random.sample(list(known.values()), examples)]
    texts, tokens, letters, held = [], [], [], []
    for letter, words in enumerate(known.values()):
        some = [word for word in random.sample(words, len(words)) if word not in shown][:most]
        texts += [text for text, _ in some]
        tokens += [token for _, token in some]
        letters += [letter] * len(some)
        held += [place < len(some) // HELD_OUT for place in range(len(some))]
    examples_in_words = [text for text, _ in shown]
    return Words("".join(known), examples_in_words, texts, *map(torch.tensor, (tokens, letters, held)))
