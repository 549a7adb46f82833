"""Tokens as a reader sees them: ` Paris`, `Paris` and ` PARIS` are one word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model


@dataclass(frozen=True)
class Words:
    """The vocabulary of a model, folded into words: without the space before a token, and in lower case."""

    tokens: Sequence[str]  # [vocabulary], as they are in a text
    names: Sequence[str]  # [words]
    word_of: Tensor  # [vocabulary] of word numbers
    tokenizer: Any

    @classmethod
    def of(cls, model: Model) -> Words:
        """The words of a model's vocabulary; tokens of white space alone stay as they are."""
        tokens = [model.tokenizer.decode([token]) for token in range(len(model.W_E))]
        folded = [token.strip().lower() or token for token in tokens]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(folded))}
        return cls(tokens, list(numbers), torch.tensor([numbers[name] for name in folded]), model.tokenizer)

    def folded(self, tokens: Iterable[int]) -> list[int]:
        """The words of some tokens, each once, in the order of their first tokens."""
        return list(dict.fromkeys(int(self.word_of[token]) for token in tokens))

    def named(self, words: Iterable[int]) -> list[str]:
        """The names of words."""
        return [self.names[word] for word in words]

    def text(self, tokens: Tensor) -> str:
        """Tokens [n] as the text that they are."""
        return str(self.tokenizer.decode(tokens.tolist()))

    def counts(self, tokens: Tensor) -> Tensor:
        """How often each word occurs in texts: from tokens [n, position] to [n, words]."""
        rows = self.word_of[tokens]
        found = torch.zeros(len(rows), len(self.names))
        return found.scatter_add_(1, rows, torch.ones(rows.shape))

    def summed(self, by_token: Tensor) -> Tensor:
        """Sums over the tokens of each word: from [n, vocabulary] to [n, words]."""
        found = torch.zeros(len(by_token), len(self.names), dtype=by_token.dtype)
        return found.index_add_(1, self.word_of, by_token)
