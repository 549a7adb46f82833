"""Pairs of prompts of equal length that differ in few tokens, so that a model says something else behind each.

Four families, all our own words:

- `indirect objects`: "When Anna and Mark went to the park, Mark gave a book to" (Anna, not Mark);
- `agreement` and `attraction`: "I think that the keys" and "I think that the keys near the box" (are, not is);
- `greater than`: "The war lasted from the year 1745 to the year 17": a digit above 4, not one below;
- `capitals`: "The capital of France is" (Paris).

Only pairs whose prompts have the same length for a model's tokenizer are taken. Which answer is right is said of the
clean prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch
from torch import Tensor

from reproductions.common.model import Model

NAMES = [
    "Anna",
    "Mark",
    "Mary",
    "John",
    "Tom",
    "James",
    "Sarah",
    "Paul",
    "Laura",
    "Peter",
    "Kate",
    "David",
    "Alice",
    "Robert",
    "Emma",
    "Michael",
    "Lisa",
    "Daniel",
    "Helen",
    "Kevin",
    "Susan",
    "George",
    "Julia",
    "Simon",
]
PLACES = ["park", "school", "office", "station", "garden", "museum", "hospital", "market"]
THINGS = ["book", "ring", "drink", "letter", "key", "ball", "map", "ticket"]
GIVING = (
    "When {one} and {two} went to the {place}, {giver} gave a {thing} to",
    "After {one} and {two} left the {place}, {giver} handed a {thing} to",
    "While {one} and {two} were at the {place}, {giver} passed a {thing} to",
    "Because {one} and {two} met at the {place}, {giver} offered a {thing} to",
)
NOUNS = {  # singular and plural
    "key": "keys",
    "picture": "pictures",
    "letter": "letters",
    "teacher": "teachers",
    "book": "books",
    "student": "students",
    "car": "cars",
    "house": "houses",
    "doctor": "doctors",
    "window": "windows",
    "author": "authors",
    "farmer": "farmers",
    "table": "tables",
    "river": "rivers",
    "friend": "friends",
    "machine": "machines",
}
OPENINGS = (
    "I think that the {noun}",
    "Everyone knows that the {noun}",
    "We were told that the {noun}",
    "Today the {noun}",
)
NEAR = "near", "behind", "beside"
LASTING = ["war", "siege", "journey", "reign", "project", "trial", "drought", "festival", "voyage", "study"]
CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Russia": "Moscow",
    "Greece": "Athens",
    "Egypt": "Cairo",
    "Poland": "Warsaw",
    "Ireland": "Dublin",
    "Austria": "Vienna",
    "Portugal": "Lisbon",
    "Turkey": "Ankara",
    "Cuba": "Havana",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "England": "London",
}
ASKING = ("The capital of {country} is", "The capital city of {country} is", "The government of {country} sits in")


class PairError(Exception):
    """A family that there is not, or of which a model's tokenizer gives too few pairs; the message says which."""


@dataclass(frozen=True)
class Texts:
    """A pair before it is tokens: two prompts, and the words that would be right and wrong behind the clean one."""

    clean: str
    corrupted: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two prompts as tokens [T] of equal length, and the tokens that would be right and wrong behind the clean one."""

    texts: Texts
    clean: Tensor
    corrupted: Tensor
    right: Tensor
    wrong: Tensor


def indirect_objects(random: Random, corrupt: str = "giver") -> Texts:
    """Two names, one of which gives; the other is who gets.

    corrupt: `giver`, who becomes somebody else of whom nothing was said, so that neither name is right, and `another`,
    who becomes a second such person; `swap`, where the other of the two gives; `names`, where both names of the
    beginning are others, and `others`, where they are two more. What is random does not depend on it.
    """
    one, two, three, four, five, six = random.sample(NAMES, 6)
    giver, gets = random.choice([(one, two), (two, one)])
    said = {"one": one, "two": two, "giver": giver, "place": random.choice(PLACES), "thing": random.choice(THINGS)}
    changes: dict[str, dict[str, str]] = {
        "giver": {"giver": three},
        "another": {"giver": four},
        "swap": {"giver": gets},
        "names": {"one": three, "two": four},
        "others": {"one": five, "two": six},
    }
    template = random.choice(GIVING)
    return Texts(template.format(**said), template.format(**{**said, **changes[corrupt]}), (gets,), (giver,))


def agreement(random: Random, attractor: bool = False) -> Texts:
    """A noun and its verb; with an attractor of the other number between them. The corrupted noun has that number."""
    nouns = random.sample(list(NOUNS.items()), 2)
    number = random.randrange(2)
    (noun, other), behind = (pair[:: -1 if number else 1] for pair in nouns), f" {random.choice(NEAR)} the {{}}"
    template = random.choice(OPENINGS) + (behind.format(other[1]) if attractor else "")
    verbs = ("is",), ("are",)
    return Texts(template.format(noun=noun[0]), template.format(noun=noun[1]), verbs[number], verbs[1 - number])


def attraction(random: Random) -> Texts:
    """`agreement` with an attractor."""
    return agreement(random, attractor=True)


def greater_than(random: Random) -> Texts:
    """A span of years within a century, digit by digit: the tens of its end. The corrupted year has 0 as its tens."""
    century, tens, ones = random.randrange(11, 19), random.randrange(2, 8), random.randrange(2, 9)
    template = f"The {random.choice(LASTING)} lasted from the year {century}{{}}{ones} to the year {century}"
    digits = [str(digit) for digit in range(10)]
    return Texts(template.format(tens), template.format(0), tuple(digits[tens + 1 :]), tuple(digits[:tens]))


def capitals(random: Random) -> Texts:
    """A country's capital; the corrupted prompt asks for another country's, which is the wrong answer."""
    (country, right), (other, wrong) = random.sample(list(CAPITALS.items()), 2)
    template = random.choice(ASKING)
    return Texts(template.format(country=country), template.format(country=other), (right,), (wrong,))


FAMILIES: Mapping[str, Callable[[Random], Texts]] = {
    "indirect objects": indirect_objects,
    "agreement": agreement,
    "attraction": attraction,
    "greater than": greater_than,
    "capitals": capitals,
}
TRIES = 200  # draws for each pair that is wanted


def pairs(model: Model, family: str | Callable[[Random], Texts], n: int, seed: int = 0) -> list[Pair]:
    """So many different pairs of a family, drawn at random among those of which this model's tokenizer makes pairs.

    Raises:
        PairError: there is no such family, or there are too few.
    """
    if isinstance(family, str) and family not in FAMILIES:
        raise PairError(f"there is no family {family!r} of prompts; there are {', '.join(FAMILIES)}")
    draw = FAMILIES[family] if isinstance(family, str) else family
    found = list(islice(_different(model, draw, Random(seed), n * TRIES), n))
    if len(found) < n:
        raise PairError(f"this model's tokenizer gives {len(found)} pairs of that family, not {n}: ask for fewer")
    return found


def _different(model: Model, draw: Callable[[Random], Texts], random: Random, tries: int) -> Iterator[Pair]:
    seen: set[Texts] = set()
    for texts in (draw(random) for _ in range(tries)):
        if texts not in seen and (pair := paired(model, texts)):
            seen.add(texts)
            yield pair


def paired(model: Model, texts: Texts) -> Pair | None:
    """The tokens of a pair; None where its prompts differ in length or not at all, or an answer is no single token."""
    clean, corrupted = (model.to_tokens(text)[0].cpu() for text in (texts.clean, texts.corrupted))
    right, wrong = (_answers(model, answers) for answers in (texts.right, texts.wrong))
    if len(clean) != len(corrupted) or bool((clean == corrupted).all()) or right is None or wrong is None:
        return None
    return Pair(texts, clean, corrupted, right, wrong)


def _answers(model: Model, answers: Sequence[str]) -> Tensor | None:
    """The token [a] of each answer: a digit goes on with a number, other words follow a space."""
    spaced = [answer if answer.isdigit() else f" {answer}" for answer in answers]
    found = [model.tokenizer.encode(answer, add_special_tokens=False) for answer in spaced]
    return torch.tensor(found)[:, 0] if all(len(tokens) == 1 for tokens in found) else None
