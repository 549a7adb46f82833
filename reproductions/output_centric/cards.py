"""What a reader can look at: for each feature its contexts, its tokens, what it makes the model write, its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reproductions.output_centric.descriptions import Ends, TokenChange
from reproductions.output_centric.features import Feature
from reproductions.output_centric.passages import Readings
from reproductions.output_centric.steering import PROMPTS, TARGETS
from reproductions.output_centric.words import Words

CONTEXTS, PROJECTED = 5, 15


@dataclass(frozen=True)
class Album:
    """Everything that was found out about some features [n].

    steered: what the model wrote with a feature clamped [targets, prompts, 25], of the rows that were, and as it is.
    """

    features: Sequence[Feature]
    words: Words
    readings: Readings
    projected: Ends
    changed: TokenChange
    steered: Mapping[int, Tensor]
    clean: Tensor | None
    descriptions: Sequence[Mapping[str, Sequence[int]]]
    scores: Sequence[Mapping[str, Mapping[str, float]]]

    def cards(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Some of them, as the site draws them."""
        rates = self.readings.rates
        return [
            {
                "name": self.features[row].name,
                "title": self.features[row].title,
                "family": self.features[row].source.family,
                "layer": self.features[row].source.layer,
                "rate": round(rates[row].item(), 5),
                "largest": round(self.readings.values[row].max().item(), 2),
                "contexts": [self._context(row, passage) for passage in self.readings.top_passages(row, CONTEXTS)],
                "promoted": self._tokens(self.projected.top[row, :PROJECTED]),
                "suppressed": self._tokens(self.projected.bottom[row, :PROJECTED]),
                "token_change": {
                    name: {"up": self._tokens(ends.top[row]), "down": self._tokens(ends.bottom[row])}
                    for name, ends in (("amplified", self.changed.amplified), ("negated", self.changed.negated))
                },
                "steered": self._steered(row),
                "descriptions": {method: self.words.named(found) for method, found in self.descriptions[row].items()},
                "scores": self.scores[row],
            }
            for row in rows
        ]

    def _context(self, row: int, passage: int) -> dict[str, Any]:
        values = self.readings.values[row, passage].tolist()
        return {
            "tokens": self._tokens(self.readings.passages[passage, 1:]),
            "activations": [round(value, 2) for value in values],
        }

    def _steered(self, row: int) -> list[dict[str, Any]]:
        if row not in self.steered or self.clean is None:
            return []
        return [
            *({"prompt": p, "text": self._text(text), "kl": 0} for p, text in zip(PROMPTS, self.clean, strict=True)),
            *(
                {"prompt": prompt, "text": self._text(self.steered[row][target, number]), "kl": kl}
                for target, kl in enumerate(TARGETS)
                for number, prompt in enumerate(PROMPTS)
            ),
        ]

    def _tokens(self, tokens: Tensor) -> list[str]:
        return [self.words.tokens[token] for token in tokens.tolist()]

    def _text(self, tokens: Tensor) -> str:
        return self.words.text(tokens)
