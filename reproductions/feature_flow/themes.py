"""Themes to steer towards, found by a rule, and how much of a theme is in a text.

A theme is a latent whose direction, read through the final norm and the unembedding, promotes words that belong
together. Of the words that it promotes most, those at even ranks choose the theme and those at odd ranks, which had no
say in that, score texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from reproductions.common.edits import logit_lens
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model
from reproductions.feature_flow.graphs import Node

WORD = re.compile(r" [A-Za-z]{4,}")  # a token that starts a word and is long enough to mean something
RUN = re.compile(r"[a-z]+")  # a word in a text
FREQUENT = 2000  # tokens that a tokenizer learnt first: words of every text, of no theme
LEXICON = 20  # words of a theme, half of which choose and half of which score
PROJECTED = 8 * LEXICON  # tokens looked through for so many different words
DRAWS = 1000  # random lexica
QUANTILE = 0.99  # of their coherence, which a theme must exceed
APART = 0.5  # the cosine above which two lexica are about the same
LATENTS_AT_ONCE = 256
NO_WORD = -1


@dataclass(frozen=True)
class Vocabulary:
    """Which tokens are words, folded so that ` Wedding` and ` wedding` are one, and where words lie."""

    word_of: Tensor  # [vocabulary] number of the word, NO_WORD for other tokens
    names: Sequence[str]  # [words]
    places: Tensor  # [words, d_model] of norm 1: see `_places`

    @classmethod
    def of(cls, model: Model, texts: Iterable[str], frequent: int = FREQUENT) -> Vocabulary:
        """The words of a model's tokenizer that stand in the texts as words, without its first `frequent` tokens.

        Without texts to tell, beginnings of words would pass as words: ` dismant`, ` strugg`. Tokenizers have
        thousands, hardly ever trained, and they lie closer to each other than the words of any theme.
        """
        written = {word for text in texts for word in RUN.findall(text.lower())}
        tokens = [model.tokenizer.decode([token]) for token in range(len(model.W_E))]
        folded = [_folded(text, written) if token >= frequent else "" for token, text in enumerate(tokens)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, folded)))}
        word_of = torch.tensor([numbers.get(name, NO_WORD) for name in folded])
        return cls(word_of, list(numbers), _places(model.W_E.detach().cpu(), word_of, len(numbers)))

    def __len__(self) -> int:
        return len(self.names)

    def tokens_of(self, words: Sequence[int]) -> Tensor:
        """Which tokens are one of these words: [vocabulary] of bool."""
        return torch.isin(self.word_of, torch.tensor(words, dtype=torch.long))

    def coherence(self, words: Tensor) -> Tensor:
        """The mean cosine of all pairs among n words [..., n] of a list: [...]."""
        n = words.shape[-1]
        total = self.places[words].sum(-2).square().sum(-1)
        return (total - n) / (n * (n - 1))

    def chance(self, n: int, seed: int = 0) -> Tensor:
        """The coherence of lists of n random words: [draws]."""
        generator = torch.Generator().manual_seed(seed)
        return self.coherence(torch.randint(len(self), (DRAWS, n), generator=generator))

    def first_words(self, tokens: Tensor, n: int) -> list[int]:
        """The first n different words among tokens [k], in their order."""
        words = (word for word in self.word_of[tokens].tolist() if word != NO_WORD)
        return list(dict.fromkeys(words))[:n]


def _folded(token: str, written: Set[str]) -> str:
    """The word that a token is, in lower case, or nothing."""
    name = token.strip().lower()
    return name if WORD.fullmatch(token) and name in written else ""


def _places(W_E: Tensor, word_of: Tensor, n: int) -> Tensor:
    """The mean embedding of each word's tokens, less the mean of all and their first d / 100 principal components.

    Those tell frequent words from rare ones, not what they mean (Mu and Viswanath, "All-but-the-Top", 2018).
    """
    kept = word_of != NO_WORD
    sums = torch.zeros(n, W_E.shape[1]).index_add_(0, word_of[kept], W_E[kept])
    means = sums / torch.bincount(word_of[kept], minlength=n)[:, None]
    centred = means - means.mean(0)
    first = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, : W_E.shape[1] // 100]
    return torch.nn.functional.normalize(centred - centred @ first @ first.T)


@dataclass(frozen=True)
class Theme:
    """A latent and the words that it promotes, the most promoted first."""

    seed: Node
    vocabulary: Vocabulary
    words: tuple[int, ...]
    coherence: float  # of the choosing words

    @property
    def choosing(self) -> tuple[int, ...]:
        """The words at even ranks."""
        return self.words[::2]

    @property
    def scoring(self) -> tuple[int, ...]:
        """The words at odd ranks."""
        return self.words[1::2]

    def named(self, words: Sequence[int]) -> list[str]:
        """Words as they are written, in lower case."""
        return [self.vocabulary.names[word] for word in words]

    @property
    def name(self) -> str:
        """Its first three words."""
        return ", ".join(self.named(self.words[:3]))

    @cached_property
    def tokens(self) -> Tensor:
        """Which tokens are scoring words: [vocabulary] of bool."""
        return self.vocabulary.tokens_of(self.scoring)

    def hits(self, texts: Tensor) -> Tensor:
        """The share of a text's tokens [..., position] that are scoring words: [...]."""
        return self.tokens[texts].float().mean(-1)


@torch.no_grad()
def find_themes(
    model: Model,
    dictionaries: Sequence[Dictionary],
    vocabulary: Vocabulary,
    n: int,
    alive: Sequence[Tensor] | None = None,
) -> list[Theme]:
    """The n most coherent themes, no two alike; fewer where there are not as many.

    A latent is a candidate if its ten choosing words have a mean pairwise cosine above that of 99 % of random lists.
    The most coherent comes first; then each next one that shares no word with those before it and whose choosing words
    lie, on the mean, at a cosine below 0.5 with theirs. alive: for each dictionary, which latents [n] may be seeds.
    """
    lots = alive or [torch.ones(each.n, dtype=torch.bool) for each in dictionaries]
    found = chain.from_iterable(
        _candidates(model, each, vocabulary, lot.cpu()) for each, lot in zip(dictionaries, lots, strict=True)
    )
    least = vocabulary.chance(LEXICON // 2).quantile(QUANTILE).item()
    chosen: list[Theme] = []
    for theme in sorted(found, key=lambda theme: (-theme.coherence, theme.seed)):
        if len(chosen) == n or theme.coherence <= least:
            break
        if all(_apart(theme, other) for other in chosen):
            chosen.append(theme)
    return chosen


def _candidates(model: Model, dictionary: Dictionary, vocabulary: Vocabulary, alive: Tensor) -> list[Theme]:
    latents = alive.nonzero()[:, 0]
    allowed = (vocabulary.word_of != NO_WORD).nonzero()[:, 0]
    found = []
    for part in latents.split(LATENTS_AT_ONCE):
        logits = logit_lens(model, dictionary.directions[part]).cpu()[:, allowed]
        tokens = allowed[logits.topk(min(PROJECTED, len(allowed)), dim=-1).indices]
        for latent, row in zip(part.tolist(), tokens, strict=True):
            words = vocabulary.first_words(row, LEXICON)
            if len(words) == LEXICON:
                coherence = vocabulary.coherence(torch.tensor(words[::2])).item()
                found.append(Theme(Node(dictionary.site, latent), vocabulary, tuple(words), coherence))
    return found


def _apart(one: Theme, other: Theme) -> bool:
    first, second = (theme.vocabulary.places[list(theme.choosing)].mean(0) for theme in (one, other))
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=0).item()
    return cosine < APART and not set(one.words) & set(other.words)
