"""Curves of R trainings, measured after so many updates: where they fall below a level, and what an explorer shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def crossing(at: Sequence[int], values: Tensor, level: float) -> Tensor:
    """Where values [t, R] are first below a level, between two looks by interpolation; at the last one if never. [R]"""
    found = torch.full((values.shape[1],), float(at[-1]))
    for network, own in enumerate(values.T.tolist()):
        place = next((place for place, value in enumerate(own) if value < level), None)
        if place is not None:
            share = (own[place] - level) / (own[place] - own[place - 1]) if place else 0.0
            found[network] = at[place] - share * (at[place] - at[max(place - 1, 0)])
    return found


def mean_and_range(at: Sequence[int], values: Tensor, places: Sequence[int]) -> dict[str, list[float | None]]:
    """Of values [t, R], for an explorer of curves: mean, least and largest at each place, None where none was measured.

    Four digits behind the point.
    """
    columns = {"values": values.mean(1), "low": values.amin(1), "high": values.amax(1)}
    known = {key: dict(zip(at, column.tolist(), strict=True)) for key, column in columns.items()}
    return {key: [round(own[at], 4) if at in own else None for at in places] for key, own in known.items()}
