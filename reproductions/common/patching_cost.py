"""What patching costs: many patches in one growing pass, beside a plain loop and beside the machine's own rate.

A plain loop runs the whole text once for each node, with one hook on it. The machine's rate is that of one product of
matrices of the same size as a block's, in operations a processor-second; a pass is told as the share of it that it
reaches. All is in processor-seconds, since others may be at work on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model
from reproductions.common.patching import ROWS, Node, Patching, Run

PRODUCT = 0.2  # processor-seconds that products are timed for, at the least


@dataclass(frozen=True)
class Cost:
    """Processor-seconds of n patches together and of a plain loop over them; operations of products, and their rate."""

    patches: int
    together: float
    loop: float
    operations: float
    rate: float

    @property
    def ratio(self) -> float:
        """How many times as long the loop takes."""
        return self.loop / self.together

    @property
    def share(self) -> float:
        """The share of the machine's rate of matrix products that the patches reach together."""
        return self.operations / self.together / self.rate


def patching_cost(patching: Patching, clean: Tensor, nodes: Sequence[Node], looped: int = 8) -> Cost:
    """Of patching each node of the clean text [P + T] alone; the loop is run for so many nodes, spread evenly."""
    base, donor = patching.clean, patching.corrupted
    some = [nodes[place] for place in torch.linspace(0, len(nodes) - 1, min(looped, len(nodes))).long()]
    _, together = timed(lambda: patching.patched(base, donor, [[node] for node in nodes]))
    _, loop = timed(lambda: one_by_one(patching.model, clean, donor, some))
    operations, rows = product_operations(patching, nodes), min(len(nodes), ROWS) * len(base.x)
    return Cost(len(nodes), together, loop / len(some) * len(nodes), operations, product_rate(patching.model, rows))


@torch.no_grad()
def one_by_one(model: Model, clean: Tensor, donor: Run, nodes: Sequence[Node]) -> Tensor:
    """The plain loop: logits [n, V] at the last position of a text [P + T], from a whole pass for each node."""
    text = clean[None].to(donor.x.device)
    found = []
    for node in nodes:
        with model.hooks(fwd_hooks=[(node.name, _replacing(donor, node))]):
            found.append(model(text)[0, -1])
    return torch.stack(found)


def _replacing(donor: Run, node: Node) -> Callable[..., Tensor]:
    def replace(activation: Tensor, hook: Any) -> Tensor:
        changed = activation.clone()
        changed[0, -len(donor.x) :][node.place] = donor.values[node.name][node.place]
        return changed

    return replace


def product_operations(patching: Patching, nodes: Sequence[Node]) -> float:
    """Of the products with blocks' weights: two for each weight, token and patch, from the block of its node on."""
    weights = [sum(w.numel() for w in block.parameters() if w.ndim == 2) for block in patching.model.blocks]
    return 2.0 * len(patching.clean.x) * sum(sum(weights[node.layer :]) for node in nodes)


def product_rate(model: Model, rows: int) -> float:
    """Operations a processor-second of products of matrices [rows, d] and [d, 3 d]."""
    d = model.cfg.d_model
    left, right = torch.ones(rows, d, device=model.W_E.device), torch.ones(d, 3 * d, device=model.W_E.device)
    torch.mm(left, right)
    spent, times = 0.0, 0
    while spent < PRODUCT:
        spent, times = spent + timed(lambda: torch.mm(left, right))[1], times + 1
    return times * 2.0 * rows * d * 3 * d / spent


def timed(compute: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives back, and the processor-seconds that it takes."""
    begin = process_time()
    found = compute()
    return found, process_time() - begin
