"""What features do: text written while a feature is clamped, each time as strongly as it takes for the same effect.

Section 4.2 of the paper: clamps at which KL(clean || steered) is 0.25 and 0.5, of either sign, on three short prompts;
25 tokens behind each. The paper searches among whole numbers; here a clamp is any real multiple of the standard
deviation of the feature's own activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.edits import Edit, generate
from reproductions.common.progress import counting, working
from reproductions.common.steering import Divergence, reach
from reproductions.output_centric.features import Feature, clamps

PROMPTS = ("The explanation is simple:", "I think", "We")
TARGETS = (0.25, 0.5, -0.25, -0.5)  # nats; the sign is that of the clamp
WRITTEN = 25  # tokens
START = 10.0  # deviations that the search for a clamp begins with
ROWS_AT_ONCE = 256  # texts written in one pass


@torch.no_grad()
def matched_clamps(model: Any, features: Sequence[Feature], spread: Tensor, most: float = 1e4) -> Tensor:
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
    """What the model wrote: with each feature clamped [features, targets, prompts, 25], and as it is [prompts, 25]."""

    steered: Tensor
    clean: Tensor


@torch.no_grad()
def write(model: Any, features: Sequence[Feature], to: Tensor, seed: int) -> Written:
    """Let the model write behind each prompt with each of a feature's clamps: `to` [features, targets].

    The last row of a pass is without any.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, values = [feature for feature in features for _ in TARGETS], to.flatten()
    steered, clean = [], []
    with counting("writing", len(rows) * len(PROMPTS), "texts") as advance:
        for prompt in map(model.to_tokens, PROMPTS):
            for part in torch.arange(len(rows)).split(ROWS_AT_ONCE):
                edits = clamps([rows[int(row)] for row in part], values[part], 1)
                uniform = torch.rand(len(part) + 1, WRITTEN, generator=generator)
                above = {name: _above_the_last(edit) for name, edit in edits.items()}
                texts = generate(model, prompt.repeat(len(part) + 1, 1), uniform, above).cpu()
                steered.append(texts[:-1])
                advance(len(part))
            clean.append(texts[-1])
    joined = torch.cat(steered).view(len(PROMPTS), len(features), len(TARGETS), WRITTEN)
    return Written(joined.permute(1, 2, 0, 3), torch.stack(clean))


def _above_the_last(edit: Edit) -> Edit:
    """All rows of a batch but the last, which the model writes as it is."""
    return lambda values: torch.cat([edit(values[:-1]), values[-1:]])
