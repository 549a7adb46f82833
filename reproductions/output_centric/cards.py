"""What a reader can look at: for each feature its contexts, its tokens, what it makes the model write, its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reproductions.common.explorers import active, weighted
from reproductions.output_centric.features import Feature
from reproductions.output_centric.judges import CHANCE
from reproductions.output_centric.method import Ends, TokenChange
from reproductions.output_centric.passages import Readings
from reproductions.output_centric.steering import PROMPTS, TARGETS
from reproductions.output_centric.words import Words

CONTEXTS, PROJECTED, NOTED = 5, 15, 20  # contexts, tokens, and words of a description
SORTS = {"output": "best output score", "input": "best input score", "gap": "largest gap between the two"}


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
    scores: Sequence[Mapping[str, Mapping[str, float | None]]]

    def explorer(self, rows: Sequence[int]) -> dict[str, Any]:
        """Some of them as the site draws them, those of early layers first."""
        return {
            "title": "Features",
            "about": "Features of the model, each with the text that makes it active, the tokens that it promotes and "
            "suppresses, what steering with it writes, and how well every kind of description did.",
            "card": {"one": "feature", "many": "features"},
            "filters": [{"name": "family", "title": "Family"}, {"name": "layer", "title": "Layer"}],
            "sorts": [{"name": name, "title": title} for name, title in SORTS.items()],
            "cards": [self._card(row) for row in sorted(rows, key=lambda row: self.features[row].source.layer)],
        }

    def _card(self, row: int) -> dict[str, Any]:
        feature, readings = self.features[row], self.readings
        largest = f"largest activation {readings.values[row].max().item():.2f}"
        return {
            "name": feature.name,
            "facts": [feature.title, feature.source.family, active(readings.rates[row].item()), largest],
            "filters": {"family": feature.source.family, "layer": feature.source.layer},
            "numbers": best_scores(self.scores[row]),
            "parts": [
                {
                    "title": "What makes it active",
                    "about": "Text on which it is most active (MaxAct), tinted by activation",
                    "texts": [self._context(row, passage) for passage in readings.top_passages(row, CONTEXTS)],
                },
                {
                    "title": "What it does to the output",
                    "about": "Tokens that its direction raises and lowers",
                    "lists": self._lists(row),
                },
                {
                    "title": "What steering with it writes",
                    "about": "Clamped so far that the model's predictions move by this KL divergence; minus turns the "
                    "feature down",
                    "written": {"setting": "Strength (KL)", "texts": self._steered(row)},
                },
                {
                    "title": "How well it is described",
                    "about": "How often a description tells what activates the feature (input), and which text was "
                    "steered with it (output)",
                    "numbers": self._described(row),
                },
            ],
        }

    def _context(self, row: int, passage: int) -> dict[str, Any]:
        values = self.readings.values[row, passage].tolist()
        return weighted(self._tokens(self.readings.passages[passage, 1:]), [round(value, 2) or 0 for value in values])

    def _lists(self, row: int) -> list[dict[str, Any]]:
        up, down = (self._tokens(ends[row, :PROJECTED]) for ends in (self.projected.top, self.projected.bottom))
        changes = {"amplified while the model runs": self.changed.amplified, "negated": self.changed.negated}
        changed = [
            {
                "title": f"TokenChange: {name}",
                "lists": {"more likely": self._tokens(ends.top[row]), "less likely": self._tokens(ends.bottom[row])},
            }
            for name, ends in changes.items()
        ]
        return [{"title": "VocabProj: read from the weights", "lists": {"promoted": up, "suppressed": down}}, *changed]

    def _steered(self, row: int) -> list[dict[str, Any]]:
        if row not in self.steered or self.clean is None:
            return []
        return [
            *({"prompt": p, "text": self._text(text), "at": 0} for p, text in zip(PROMPTS, self.clean, strict=True)),
            *(
                {"prompt": prompt, "text": self._text(self.steered[row][target, number]), "at": kl}
                for target, kl in enumerate(TARGETS)
                for number, prompt in enumerate(PROMPTS)
            ),
        ]

    def _described(self, row: int) -> dict[str, Any]:
        """The two scores of each description, and its words."""
        scores, words = self.scores[row], self.descriptions[row]
        return {
            "row": "Method",
            "note": "Description",
            "columns": [{"title": exam, "chance": round(chance, 4)} for exam, chance in CHANCE.items()],
            "rows": [
                {
                    "title": method,
                    "values": [scores[method][exam] for exam in CHANCE],
                    "note": self.words.named(found)[:NOTED],
                }
                for method, found in words.items()
            ],
        }

    def _tokens(self, tokens: Tensor) -> list[str]:
        return [self.words.tokens[token] for token in tokens.tolist()]

    def _text(self, tokens: Tensor) -> str:
        return self.words.text(tokens)


def best_scores(scores: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """What features are sorted by: the best score of any description on each exam, and the largest gap between them."""
    both = [(each["input"], each["output"]) for each in scores.values()]
    known = {
        "output": [right for _, right in both if right is not None],
        "input": [left for left, _ in both if left is not None],
        "gap": [round(abs(left - right), 2) for left, right in both if left is not None and right is not None],
    }
    return {name: max(values, default=None) for name, values in known.items()}
