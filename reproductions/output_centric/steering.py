"""What features do: text written while a feature is clamped, each time as strongly as it takes for the same effect.

Section 4.2 of the paper: clamps at which KL(clean || steered) is 0.25 and 0.5, of either sign, on three short prompts;
25 tokens behind each. The paper searches among whole numbers; here a clamp is any real multiple of the standard
deviation of the feature's own activation.

A judge counts words. Which words are written is a matter of luck; how likely each was at every step of the text is not.
So the model's expectation is kept beside the text: the same number on average, without the luck of the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.edits import Edit, generate
from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.common.progress import counting, working
from reproductions.common.steering import Divergence, reach
from reproductions.output_centric.features import Feature, clamps
from reproductions.output_centric.words import Words

PROMPTS = ("The explanation is simple:", "I think", "We")
TARGETS = (0.25, 0.5, -0.25, -0.5)  # nats; the sign is that of the clamp
WRITTEN = 25  # tokens
TEMPERATURE = 0.75
START = 10.0  # deviations that the search for a clamp begins with
ROWS_AT_ONCE, LOGITS_AT_ONCE = 256, 2**25  # texts written in one pass, and the logits of a step that fit


@torch.no_grad()
def matched_clamps(model: Model, features: Sequence[Feature], spread: Tensor, most: float = 1e4) -> Tensor:
    """The clamps [features, targets] that reach each target, or NaN where none of up to `most` deviations does.

    spread: the standard deviation [features] of each feature's activation, the unit of the search.
    """
    divergence, targets = Divergence(model, PROMPTS), torch.tensor(TARGETS)
    rows = [feature for feature in features for _ in TARGETS]
    units = (spread[:, None] * targets.sign()).flatten()

    def effect(chosen: Tensor, strengths: Tensor) -> Tensor:
        values = units[chosen] * strengths

        def edits(part: Tensor) -> dict[str, Edit]:
            return clamps([rows[int(row)] for row in chosen[part]], values[part], divergence.n_prompts)

        return divergence.in_parts(len(chosen), edits)

    with working(f"clamps: {len(rows)} searches"):
        strengths = reach(effect, targets.abs().repeat(len(features)), torch.full_like(units, START), most=most)
    return (strengths * units).view(len(features), len(TARGETS))


@dataclass(frozen=True)
class Written:
    """What the model wrote: with each feature clamped [features, targets, prompts, 25], and as it is [prompts, 25].

    expected: how often each word was to be expected in all that a feature wrote: [features, words].
    """

    steered: Tensor
    clean: Tensor
    expected: Tensor


@torch.no_grad()
def write(model: Model, words: Words, features: Sequence[Feature], to: Tensor, seed: int) -> Written:
    """Let the model write behind each prompt with each of a feature's clamps: `to` [features, targets].

    The last row of a pass is without any.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, values = [feature for feature in features for _ in TARGETS], to.flatten()
    steered, clean, expected = [], [], torch.zeros(len(features), len(words.names))
    with counting("writing", len(rows) * len(PROMPTS), "texts") as advance:
        for prompt in map(model.to_tokens, PROMPTS):
            for part in torch.arange(len(rows)).split(_at_once(model)):
                edits = clamps([rows[int(row)] for row in part], values[part], 1)
                uniform = torch.rand(len(part) + 1, WRITTEN, generator=generator)
                texts, likely = _written(model, prompt, uniform, edits)
                steered.append(texts[:-1])
                expected.index_add_(0, part // len(TARGETS), words.summed(likely))
                advance(len(part))
            clean.append(texts[-1])
    joined = torch.cat(steered).view(len(PROMPTS), len(features), len(TARGETS), WRITTEN)
    return Written(joined.permute(1, 2, 0, 3), torch.stack(clean), expected)


def _at_once(model: Model) -> int:
    return min(ROWS_AT_ONCE, LOGITS_AT_ONCE // len(model.W_E))


def _written(model: Model, prompt: Tensor, uniform: Tensor, edits: Mapping[str, Edit]) -> tuple[Tensor, Tensor]:
    """Texts [batch + 1, 25], and how often each token was to be expected in all but the last: [batch, vocabulary]."""
    above = {name: _above_the_last(edit) for name, edit in edits.items()}
    with Expectation(model) as expectation:
        texts = generate(model, prompt.repeat(len(uniform), 1), uniform, above, TEMPERATURE).cpu()
    return texts, expectation.counts[:-1].cpu()


class Expectation(Hooked):
    """A context that adds up, over the steps of a text, how likely each token is to come next: [batch, vocabulary]."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.counts = torch.zeros(())

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on the logits."""
        return [("unembed.hook_out", self._add)]

    def _add(self, logits: Tensor, hook: Any) -> None:
        self.counts = self.counts + (logits[:, -1].float() / TEMPERATURE).softmax(-1)


def _above_the_last(edit: Edit) -> Edit:
    """All rows of a batch but the last, which the model writes as it is."""
    return lambda values: torch.cat([edit(values[:-1]), values[-1:]])
