"""What features read: held-out text in passages of equal length, how active each feature is in each, and where most.

Half of the texts shows what excites a feature (MaxAct); the other half, which no description has seen, tests it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reproductions.common.edits import Edit, Edited
from reproductions.common.held_out import held_out
from reproductions.common.model import Model
from reproductions.common.progress import working
from reproductions.common.text import opening
from reproductions.common.workers import side_by_side
from reproductions.output_centric.features import Feature, Source

LENGTH = 32  # tokens of a passage, without the first, special one
AT_ONCE = 32  # passages in one pass
DEEPEST = 1e-6  # what a feature must reach to count as active


def passages(model: Model, n: int) -> tuple[Tensor, Tensor]:
    """Two sets of passages [n, 1 + 32] from different texts: to describe features by, and to test descriptions on."""
    first = opening(model)
    sets: tuple[list[Tensor], list[Tensor]] = ([], [])
    for number, excerpt in enumerate(held_out()):
        tokens = torch.tensor(model.tokenizer(excerpt.text, add_special_tokens=False)["input_ids"])
        whole = tokens[: len(tokens) // LENGTH * LENGTH].view(-1, LENGTH)
        sets[number % 2].append(torch.cat([torch.full((len(whole), 1), first), whole], dim=1))
    described, tested = (_spread(torch.cat(found), n) for found in sets)
    return described, tested


def _spread(rows: Tensor, n: int) -> Tensor:
    """n rows, evenly from all of them."""
    return rows[torch.linspace(0, len(rows) - 1, min(n, len(rows))).long()]


@dataclass(frozen=True)
class Readings:
    """How active features are in passages; position p of a reading is token p + 1 of its passage."""

    passages: Tensor  # [passages, 1 + 32]
    values: Tensor  # [features, passages, 32] in float16

    def of(self, features: Sequence[int]) -> Readings:
        """Those of some of the features."""
        return Readings(self.passages, self.values[list(features)])

    @property
    def peaks(self) -> Tensor:
        """The largest activation in each passage: [features, passages]."""
        return self.values.amax(-1).float()

    @property
    def rates(self) -> Tensor:
        """The share of tokens on which each feature is active: [features]."""
        return (self.values > DEEPEST).float().mean((1, 2))

    def spread(self) -> Tensor:
        """The standard deviation of each feature's activation over tokens: [features]."""
        return self.values.float().std((1, 2))

    def top_passages(self, feature: int, k: int) -> list[int]:
        """The passages with the feature's largest activations, if it is active in any."""
        peaks = self.values[feature].amax(-1).float()
        found = peaks.topk(min(k, len(peaks)))
        return [int(row) for row, peak in zip(found.indices, found.values, strict=True) if peak > DEEPEST]

    def top_tokens(self, feature: int) -> list[int]:
        """Tokens by the mean activation at a passage's peak, then those that never are a peak by their own mean."""
        values, tokens = self.values[feature].float(), self.passages[:, 1:]
        peaks = values.max(-1)
        at_peak = tokens.gather(1, peaks.indices[:, None]).squeeze(1)
        ranked = [*_by_mean(at_peak, peaks.values), *_by_mean(tokens.flatten(), values.flatten())]
        return list(dict.fromkeys(ranked))


def _by_mean(tokens: Tensor, values: Tensor) -> list[int]:
    """Tokens by the mean of their values where these are above zero, the largest first."""
    active = values > DEEPEST
    found, where = tokens[active].unique(return_inverse=True)
    sums = torch.zeros(len(found)).index_add_(0, where, values[active])
    counts = torch.zeros(len(found)).index_add_(0, where, torch.ones(len(where)))
    return [int(token) for token in found[(sums / counts).argsort(descending=True, stable=True)]]


@torch.no_grad()
def read(model: Model, features: Sequence[Feature], rows: Tensor) -> Readings:
    """Run the passages through the model once and read all features."""
    with working(f"reading: {rows[:, 1:].numel():,} tokens"):
        found = side_by_side([partial(_read, model, features, batch) for batch in rows.split(AT_ONCE)])
    return Readings(rows, torch.cat(found, dim=1))


def _read(model: Model, features: Sequence[Feature], batch: Tensor) -> Tensor:
    """The activations [features, passages, 32] of one batch, in float16."""
    found = torch.empty(len(features), len(batch), LENGTH)
    by_source: dict[Source, list[int]] = {}
    for number, feature in enumerate(features):
        by_source.setdefault(feature.source, []).append(number)

    def reader(source: Source, numbers: list[int]) -> Edit:
        indices = torch.tensor([features[number].index for number in numbers])

        def keep(values: Tensor) -> Tensor:
            found[numbers] = source.activations(values, indices.to(values.device)).permute(2, 0, 1).cpu()
            return values

        return keep

    with Edited(model, {source.hook: reader(source, numbers) for source, numbers in by_source.items()}):
        model.original_model.base_model(batch.to(model.W_E.device), use_cache=False)
    return found.half()
