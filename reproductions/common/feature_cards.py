"""Cards of an autoencoder's latents: what `inspection` found, as the site's explorer of cards draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import torch
from torch import Tensor

from reproductions.common.explorers import active, weighted
from reproductions.common.inspection import BINS, DENSE, Fired, Seen, Wording, draw_examples
from reproductions.common.model import Model

AROUND, LOWERED = 10, 6  # tokens in front of an example, and of those that lose most
SORTS = ("active on so many tokens", "share of its word", "kept in another context")


@dataclass(frozen=True)
class Album:
    """Latents of a dictionary as the site draws them; numbers [n] by title are further ones to sort by."""

    model: Model
    fired: Fired
    words: Wording
    seen: Seen
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def explorer(self, title: str = "Features") -> dict[str, Any]:
        """The explorer's data, of kind `cards`."""
        about = (
            "Features of an autoencoder: one example from each level of activation, what the tokens before it "
            "contribute, the words that its direction points to, and what taking it out does."
        )
        return {
            "title": title,
            "about": about,
            "card": {"one": "feature", "many": "features"},
            "filters": [{"name": "kind", "title": "Kind"}],
            "sorts": [{"name": name, "title": name} for name in (*SORTS, *self.numbers)],
            "cards": [self._card(row, latent) for row, latent in enumerate(self.seen.latents)],
        }

    def kind(self, latent: int) -> str:
        """Whether a latent is dense, or stands for one word."""
        if self.fired.rates[latent] > DENSE:
            return "dense"
        pure = self.words.purity[latent]
        return "too rare to say" if pure.isnan() else "one word" if pure > 0.5 else "several words"

    def _card(self, row: int, latent: int) -> dict[str, Any]:
        rate, largest = self.fired.rates[latent].item(), self.fired.largest[latent].item()
        told = [rate, self.words.purity[latent].item(), self.seen.kept_elsewhere[row].item()]
        told += [values[latent].item() for values in self.numbers.values()]
        return {
            "name": str(latent),
            "facts": [self.kind(latent), active(rate), f"largest activation {largest:.1f}"],
            "words": self._tokens(self.seen.up[row]),
            "filters": {"kind": self.kind(latent)},
            "numbers": dict(zip((*SORTS, *self.numbers), map(_known, told), strict=True)),
            "parts": [self._histogram(row, latent), self._examples(latent), self._ablated(row), self._lists(row)],
        }

    def _histogram(self, row: int, latent: int) -> dict[str, Any]:
        counts, share = self.seen.counts[row], self.words.by_bin[latent]
        step, word = self.fired.largest[latent].item() / BINS, self._tokens(self.words.word[latent, None].clamp(min=0))
        rows = [
            {
                "title": f"{step * number:.1f} to {step * (number + 1):.1f}: {counts[number]} times",
                "values": [round(counts[number].item() / counts.sum().item(), 4), _known(share[number].item())],
            }
            for number in reversed(range(BINS))
        ]
        columns = [{"title": "of its activations"}, {"title": f"of these, {word[0].strip() or word[0]!r}"}]
        return {"title": "How strongly it is active", "numbers": {"columns": columns, "row": "Level", "rows": rows}}

    def _examples(self, latent: int) -> dict[str, Any]:
        span = self.fired.span
        places = [place for place in draw_examples(self.fired, latent, BINS).tolist() if place >= 0]
        return {
            "title": "Uniform examples",
            "about": "One drawn at random from each level, the strongest first; each ends in its token",
            "texts": [self._text(latent, place // span, place % span) for place in places],
        }

    def _text(self, latent: int, row: int, column: int) -> dict[str, Any]:
        """What stands in front of a token, and the token, tinted by activation."""
        span, own = self.fired.span, self.fired.of(latent)
        first = max(0, column - AROUND)
        weights = torch.zeros(column + 1 - first)
        here = (own.place >= row * span + first) & (own.place <= row * span + column)
        weights[own.place[here] - row * span - first] = own.value[here]
        pieces = self._tokens(self.fired.tokens[row, 1 + first : 2 + column])
        return weighted(pieces, [round(weight, 2) for weight in weights.tolist()])

    def _ablated(self, row: int) -> dict[str, Any]:
        texts = []
        seen = (self.seen.windows[row], self.seen.there[row], self.seen.without[row])
        for tokens, there, without in zip(*seen, strict=True):
            if there > 0:
                lost = [*(1 - without / there).clamp(min=0).tolist(), 0]
                texts.append(weighted(self._tokens(tokens[1:]), [round(weight, 2) for weight in lost]))
        about = "The feature is read at the last token; a token is tinted by the share that is lost where it is removed"
        return {"title": "Ablated text", "about": about, "texts": texts}

    def _lists(self, row: int) -> dict[str, Any]:
        taken = [
            {
                "title": f"Example {number + 1}: tokens that lose most when it is taken out",
                "lists": {"less likely": self._tokens(lowered[:LOWERED])},
            }
            for number, (there, lowered) in enumerate(zip(self.seen.there[row], self.seen.lowered[row], strict=True))
            if there > 0
        ]
        ends = {"promoted": self._tokens(self.seen.up[row]), "suppressed": self._tokens(self.seen.down[row])}
        return {
            "title": "What it does to the output",
            "lists": [{"title": "Logit lens of its direction", "lists": ends}, *taken],
        }

    def _tokens(self, tokens: Tensor) -> list[str]:
        found: list[str] = self.model.tokenizer.batch_decode(tokens.view(-1, 1))
        return found


def _known(value: float) -> float | None:
    return None if isnan(value) else round(value, 4)
