"""Attribution patching: what each patch would do, to first order, from one backward pass instead of a run for each.

For a metric L of the base run and a node with value a there and a' in the donor run, the patch changes L by about

    (a' - a) . dL/da.

Shapes: T positions that follow the shared beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.patching import Node, Patching, Recorded, Run

Metric = Callable[[Tensor], Tensor]  # logits [V] to one number


@torch.enable_grad()
def slopes(patching: Patching, x: Tensor, metric: Metric) -> tuple[Run, dict[str, Tensor]]:
    """A run from states x [T, d], and the gradient [T, ...] of its metric with respect to what passes each point."""
    states = [x.detach().requires_grad_()]
    with Recorded(patching.model, patching.names) as found:
        for block in range(len(patching.blocks)):
            states.append(patching.blocks.run(states[-1][None], block, block + 1)[0])
    read = list(found.values.values())
    gradients = torch.autograd.grad(metric(patching.logits(states[-1])), read)
    run = Run([state.detach() for state in states], {name: a.detach()[0] for name, a in found.values.items()})
    return run, {name: gradient[0] for name, gradient in zip(found.values, gradients, strict=True)}


def attributed(base: Run, donor: Run, gradients: Mapping[str, Tensor], nodes: Sequence[Node]) -> Tensor:
    """(a' - a) . dL/da of each node, [n]."""
    return torch.stack(
        [
            ((donor.values[node.name] - base.values[node.name]) * gradients[node.name])[node.place].sum()
            for node in nodes
        ]
    )
