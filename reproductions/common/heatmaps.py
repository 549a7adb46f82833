"""A matrix of numbers between -1 and 1, drawn in two colours with each number written in."""

from __future__ import annotations

from itertools import product

from matplotlib import pyplot as plt
from torch import Tensor


def heatmap(axes: plt.Axes, values: Tensor) -> None:
    """Values [rows, columns], the first row at the top."""
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    for row, column in product(*map(range, values.shape)):
        value = values[row, column].item()
        ink = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, f"{value:z.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set(xticks=range(values.shape[1]), yticks=range(values.shape[0]))
