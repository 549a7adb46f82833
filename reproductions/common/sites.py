"""Sites of a model: their kinds, what is before them, their activations, and numbers of theirs as an explorer's grid.

Shapes: N texts of T positions, d = d_model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from reproductions.common.activations import activations, layer_of
from reproductions.common.model import Model

KINDS = {"resid": "residual stream", "attn": "attention outputs", "mlp": "MLP outputs"}
Shown = tuple[float | None, float | None]  # a number and its control


def kind_of(site: str) -> str:
    """resid, attn or mlp."""
    return site.rpartition("hook_")[2].partition("_")[0]


def before_of(site: str) -> str:
    """The residual stream one block before a site of it; empty for other sites."""
    layer = layer_of(site)
    return f"blocks.{layer - 1}.hook_resid_post" if kind_of(site) == "resid" and layer else ""


def collected(model: Model, sites: Sequence[str], tokens: Tensor) -> dict[str, Tensor]:
    """Activations [N, T - 1, d] of each site, without position 0."""
    n, length = tokens.shape
    found = {site: torch.empty(n, length - 1, model.cfg.d_model) for site in sites}
    start = 0
    for batch in activations(model, sites, tokens):
        for site, values in batch.items():
            found[site][start : start + len(values)] = values
        start += len(batch[sites[0]])
    return found


def grid(title: str, about: str, numbers: Mapping[str, Mapping[str, Shown]], control: str) -> dict[str, Any]:
    """What an explorer of kind `grid` is fed with: by layer and kind, the numbers of each site by what they are.

    control: what each number's control is, in words.
    """
    layers = sorted({layer_of(site) for site in numbers})
    titles = dict.fromkeys(title for of_site in numbers.values() for title in of_site)
    cells: dict[str, list[list[list[float | None]]]] = {
        name: [[[None] * len(KINDS) for _ in layers] for _ in ("found", "control")] for name in titles
    }
    for site, of_site in numbers.items():
        row, column = layers.index(layer_of(site)), list(KINDS).index(kind_of(site))
        for name, shown in of_site.items():
            for table, value in zip(cells[name], shown, strict=True):
                table[row][column] = None if value is None else round(value, 4)
    return {
        "title": title,
        "about": about,
        "rows": {"title": "layer", "names": layers},
        "columns": {"title": "site", "names": list(KINDS.values())},
        "cell": {"one": "a site", "many": "sites"},
        "item": {"one": "a number", "many": "numbers"},
        "measures": [
            {"name": "found", "title": "as it is", "short": "as it is"},
            {"name": "control", "title": control, "short": "control"},
        ],
        "items": [
            {"name": str(place), "title": name, "values": {"found": found, "control": beside}}
            for place, (name, (found, beside)) in enumerate(cells.items())
        ],
    }
