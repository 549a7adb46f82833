"""TODO: the idea in two sentences, and its equation (section, equation number).

The skeleton measures how far each block moves the residual stream,

    size = |y - x| / |x|,

for the states x that a block reads and y that it leaves. Shapes: n texts, T tokens, L blocks, d = d_model.
"""

from __future__ import annotations

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge


@torch.no_grad()
def update_sizes(model: TransformerBridge, tokens: Tensor) -> Tensor:
    """How far each block moves the stream, mean over the tokens of a text but the first: tokens [n, T] to [n, L]."""
    ends = [[f"blocks.{block}.hook_resid_{end}" for end in ("pre", "post")] for block in range(model.cfg.n_layers)]
    _, cache = model.run_with_cache(tokens, names_filter=[name for pair in ends for name in pair])
    states = [(cache[pre][:, 1:], cache[post][:, 1:]) for pre, post in ends]
    return torch.stack([((y - x).norm(dim=-1) / x.norm(dim=-1)).mean(-1) for x, y in states], dim=1)


def draw(sizes: Tensor) -> Figure:
    """The sizes [n, L] by block: a line for each text, and their mean."""
    figure, axes = plt.subplots(figsize=(7, 3.4))
    axes.plot(sizes.T.cpu(), color=plt.rcParams["grid.color"], linewidth=0.8)
    axes.plot(sizes.mean(0).cpu(), marker=".", label="mean over texts")
    axes.set(xlabel="block", yscale="log", title="How far each block moves the residual stream")
    axes.legend()
    return figure
