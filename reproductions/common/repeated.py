"""Units that were measured several times, by other draws of what is sampled: a unit's value is the mean over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, mean_of


def mean_of_repeats(values: Sequence[Tensor]) -> list[float]:
    """Of values [n] from several draws, each unit's mean over those in which it could be measured; else NaN."""
    found: list[float] = torch.stack([own.double() for own in values]).nanmean(0).tolist()
    return found


def means_of_repeats(draws: Sequence[Mapping[str, Tensor]]) -> list[Metric]:
    """Metrics of n units, from the values [n] by name of each draw."""
    return [mean_of(name, mean_of_repeats([draw[name] for draw in draws])) for name in draws[0]]
