"""Activation patching: a run of a model in which some activations are those of another run.

Two texts differ from some token on; what stands before it is run once. A node is a part of an activation in a block: a
head's output, a query, an MLP's output, a neuron, the residual stream, at every position or at one. A patch is a set of
nodes, which together take the values that they have in the donor run, while all else follows from the base run.

Many patches run together: each enters the batch in the block of its first node, where until then it is the base run,
and one pass of the blocks serves all.

Shapes: T positions that follow the shared beginning, d = d_model, n patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproductions.common.continued import Continued
from reproductions.common.hooks import Hooked
from reproductions.common.model import Model

ROWS = 512  # patches in one pass
HEADS, MLPS, RESIDUAL = "attn.hook_z", "hook_mlp_out", "hook_resid_pre"


class Node(NamedTuple):
    """A part of what passes a point of a block; part and position are counted from 0, None is all of them.

    point: of TransformerLens, without the block: `attn.hook_z` and `attn.hook_q` have heads as their parts,
    `mlp.hook_post` has neurons, `hook_mlp_out` and `hook_resid_pre` the dimensions of the residual stream.
    position: among those that follow the shared beginning.
    """

    layer: int
    point: str
    part: int | None = None
    position: int | None = None

    @property
    def name(self) -> str:
        """The hook point."""
        return f"blocks.{self.layer}.{self.point}"

    @property
    def place(self) -> tuple[Any, Any]:
        """What to index an activation [T, parts, ...] of one text with."""
        return (
            slice(None) if self.position is None else self.position,
            slice(None) if self.part is None else self.part,
        )


def head_nodes(model: Model, point: str = HEADS) -> list[Node]:
    """Every head of every layer."""
    return [Node(layer, point, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)]


def layer_nodes(model: Model, point: str = MLPS) -> list[Node]:
    """The same point of every layer."""
    return [Node(layer, point) for layer in range(model.cfg.n_layers)]


@dataclass(frozen=True)
class Run:
    """A text as it runs: states [T, d] before each block and after the last, and what passes the points, [T, ...]."""

    states: list[Tensor]
    values: dict[str, Tensor]

    @property
    def x(self) -> Tensor:
        """The states before the first block."""
        return self.states[0]


class Recorded(Hooked):
    """A context in which what passes named points is kept, with the gradient that it may carry."""

    def __init__(self, model: Model, names: Iterable[str]) -> None:
        super().__init__(model)
        self.names = list(names)
        self.values: dict[str, Tensor] = {}

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on each point."""
        return [(name, self._hook(name)) for name in self.names]

    def _hook(self, name: str) -> Callable[..., Tensor]:
        def keep(activation: Tensor, hook: Any) -> Tensor:
            self.values[name] = activation
            return activation  # heads are shown apart: what goes on must be what was kept, or no gradient comes back

        return keep


class Replaced(Hooked):
    """A context in which nodes of rows of a batch have the values of another run: (row, node) for each."""

    def __init__(self, model: Model, donor: Run, nodes: Iterable[tuple[int, Node]]) -> None:
        super().__init__(model)
        self.donor = donor
        self.by_name: dict[str, list[tuple[int, Node]]] = {}
        for row, node in nodes:
            self.by_name.setdefault(node.name, []).append((row, node))

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on each point that has a node."""
        return [(name, self._hook(self.donor.values[name], nodes)) for name, nodes in self.by_name.items()]

    @staticmethod
    def _hook(values: Tensor, nodes: Sequence[tuple[int, Node]]) -> Callable[..., Tensor]:
        def replace(activation: Tensor, hook: Any) -> Tensor:
            changed = activation.clone()
            for row, node in nodes:
                changed[row][node.place] = values[node.place]
            return changed

        return replace


class Patching:
    """Two texts [P + T] that begin alike, and what becomes of one where it is patched from the other.

    points: those whose nodes will be patched, without the block.
    """

    def __init__(self, model: Model, clean: Tensor, corrupted: Tensor, points: Sequence[str]) -> None:
        self.model, self.points = model, tuple(points)
        first = int((clean != corrupted).nonzero()[0, 0])
        follow = torch.stack([clean, corrupted])[:, first:].to(model.W_E.device)
        self.blocks = Continued(model, clean[:first].to(follow.device), follow[:1])
        self.clean, self.corrupted = (self.run(x) for x in self.blocks.embedded(follow))

    @property
    def names(self) -> list[str]:
        """The hook points that runs are read at."""
        return [f"blocks.{layer}.{point}" for layer in range(len(self.blocks)) for point in self.points]

    @torch.no_grad()
    def run(self, x: Tensor) -> Run:
        """A run from the states [T, d] before the first block, such as those of a text with noise on it."""
        states = [x]
        with Recorded(self.model, self.names) as found:
            for block in range(len(self.blocks)):
                states.append(self.blocks.run(states[-1][None], block, block + 1)[0])
        return Run(states, {name: values[0] for name, values in found.values.items()})

    def logits(self, states: Tensor) -> Tensor:
        """Logits [..., vocabulary] at the last position for states [..., T, d] after the last block."""
        found: Tensor = self.model.original_model.lm_head(self.model.ln_final(states[..., -1, :]))
        return found

    @torch.no_grad()
    def patched(self, base: Run, donor: Run, patches: Sequence[Sequence[Node]]) -> Tensor:
        """The states after the last block at the last position, [n, 1, d], of the base run under each patch."""
        first = [min(node.layer for node in patch) for patch in patches]
        order = sorted(range(len(patches)), key=first.__getitem__)
        found = base.x.new_empty(len(patches), 1, base.x.shape[1])
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            found[rows] = self._together(base, donor, [patches[row] for row in rows], [first[row] for row in rows])
        return found

    def _together(self, base: Run, donor: Run, patches: Sequence[Sequence[Node]], first: Sequence[int]) -> Tensor:
        """Of patches in the order of their first layers."""
        x = base.x.new_empty(0, *base.x.shape)
        for block in range(first[0], len(self.blocks)):
            x = torch.cat([x, base.states[block].expand(first.count(block), -1, -1)])
            here = [(row, node) for row, patch in enumerate(patches) for node in patch if node.layer == block]
            with Replaced(self.model, donor, here):
                x = self.blocks.run(x, block, block + 1)
        return x[:, -1:]
