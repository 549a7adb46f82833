"""A model as a graph of edges, the score of each from gradients, and runs in which only some of them are left.

Sources u are the embedding, each head and each MLP: what they add to the residual stream. Destinations v are what
reads it: the query of each head, key and value of each key-value head, each MLP, and the logits. What v reads is the
sum of all earlier sources, so that an edge u -> v can be cut alone: v is given what u says in another run, while all
others still read what u says in this one.

    score(u -> v) = (z'_u - z_u) . dL / d(input of v),     summed over positions (Syed et al., arXiv 2310.10348),

with z_u what u adds in the clean run, z'_u in the corrupted one, and the gradient in the clean run (EAP) or averaged
over runs from embeddings between the two (EAP-IG; Hanna et al., arXiv 2403.17806).

Where a norm stands behind the heads (Gemma), a head's share of what that norm makes of their sum is what it adds: the
norm's scale is that of the run, so that shares add up in each run.

Shapes: L layers, H heads, K key-value heads, S sources, D destinations, T positions that follow the shared beginning,
d = d_model, h = d_head, n circuits or points, V tokens. A circuit is [S, D], 1 where an edge is left and 0 where not;
what lies between gives the edge a mixture.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import Tensor

from reproductions.common.continued import Continued
from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.common.patching import Recorded

Metric = Callable[[Tensor], Tensor]  # logits [..., V] to numbers [...]
EMBEDDING, HEAD, MLP = range(3)  # kinds of sources
QUERY, KEY, VALUE, MLP_INPUT, LOGITS = range(5)  # kinds of destinations
ROWS = 64  # circuits in one pass
UNEQUAL = 1e-3  # of the longest state: what differs by more is not the same


FLOWS = HEADS_OUT, MIDDLE, MLP_OUT = "attn.hook_z", "ln2.hook_in", "hook_mlp_out"
ATTENTION, READ = ("attn.hook_q", "attn.hook_k", "attn.hook_v"), "ln2.hook_out"


class EdgesError(Exception):
    """A model whose residual stream is not the sum of its sources."""


@dataclass(frozen=True)
class Graph:
    """Which edges there are. Sources are in the order in which they are computed; so are destinations, q, k, v, MLP."""

    layers: int
    heads: int
    groups: int

    @classmethod
    def of(cls, model: Model) -> Graph:
        """A model's."""
        return cls(model.cfg.n_layers, model.cfg.n_heads, model.W_V.shape[1])

    @property
    def reads(self) -> int:
        """Destinations of an attention."""
        return self.heads + 2 * self.groups

    def before(self, layer: int) -> int:
        """How many sources an attention reads; those of its heads follow, then that of the layer's MLP."""
        return 1 + layer * (self.heads + 1)

    def first(self, layer: int) -> int:
        """The first destination of a layer."""
        return layer * (self.reads + 1)

    @cached_property
    def source_kinds(self) -> Tensor:
        """[S]"""
        return torch.tensor([EMBEDDING] + ([HEAD] * self.heads + [MLP]) * self.layers)

    @cached_property
    def destination_kinds(self) -> Tensor:
        """[D]"""
        layer = [*[QUERY] * self.heads, *[KEY] * self.groups, *[VALUE] * self.groups, MLP_INPUT]
        return torch.tensor([*layer * self.layers, LOGITS])

    @cached_property
    def edges(self) -> Tensor:
        """Which edges there are, [S, D]."""
        read = [[self.before(layer)] * self.reads + [self.before(layer) + self.heads] for layer in range(self.layers)]
        limits = torch.tensor([*(limit for layer in read for limit in layer), len(self.source_kinds)])
        return torch.arange(len(self.source_kinds))[:, None] < limits

    @cached_property
    def feeds(self) -> Tensor:
        """Which destinations belong to which sources, [D, S]: a head's own query, and its group's key and value."""
        found = torch.zeros(self.edges.T.shape, dtype=torch.bool)
        shared = torch.arange(self.heads) // (self.heads // self.groups)
        for layer in range(self.layers):
            at, own = self.first(layer), self.before(layer) + torch.arange(self.heads)
            for place in (torch.arange(self.heads), self.heads + shared, self.heads + self.groups + shared):
                found[at + place, own] = True
            found[at + self.reads, self.before(layer) + self.heads] = True
        return found

    def nodes(self, circuit: Tensor) -> Tensor:
        """Which sources have an edge in a circuit, on either side, [S]."""
        return circuit.bool().any(1) | (circuit.bool().any(0)[:, None] & self.feeds).any(0)

    def live(self, circuit: Tensor) -> Tensor:
        """A circuit without edges from sources that nothing of the embedding reaches; it does the same, [S, D]."""
        reached = self.source_kinds == EMBEDDING
        for _ in range(2 * self.layers):
            reached = reached | ((circuit.bool() & reached[:, None]).any(0)[:, None] & self.feeds).any(0)
        return circuit.bool() & reached[:, None]

    def source_names(self) -> list[str]:
        """`embedding`, `3.1` for head 1 of layer 3, `mlp 3`."""
        layers = ([f"{layer}.{head}" for head in range(self.heads)] + [f"mlp {layer}"] for layer in range(self.layers))
        return ["embedding", *(name for layer in layers for name in layer)]


class Attending(Model, Protocol):
    """A model whose queries and keys can be written: weights [L, H, d, h] and [L, K, d, h]."""

    W_Q: Tensor
    W_K: Tensor


@dataclass(frozen=True)
class Flow:
    """A run: what each source adds, [S, T, d], and the residual stream before each norm, [2 L + 1, T, d]."""

    sources: Tensor
    inputs: Tensor


class Edges:
    """Two texts [P + T] that begin alike, the clean and the corrupted one, as runs of a model's graph.

    Raises:
        EdgesError: the model's blocks do not add up in the way described above.
    """

    def __init__(self, model: Attending, clean: Tensor, corrupted: Tensor) -> None:
        self.model, self.graph = model, Graph.of(model)
        first = int((clean != corrupted).nonzero()[0, 0])
        follow = torch.stack([clean, corrupted])[:, first:].to(model.W_E.device)
        self.blocks = Continued(model, clean[:first].to(follow.device), follow[:1])
        self.parts = _Parts(model)
        self.clean, self.corrupted = self.flows(self.blocks.embedded(follow))

    @torch.no_grad()
    def flows(self, x: Tensor) -> list[Flow]:
        """Runs from states x [n, T, d] before the first block."""
        points = (*ATTENTION, *FLOWS)
        names = [f"blocks.{layer}.{point}" for layer in range(len(self.blocks)) for point in points]
        states = [x]
        with Recorded(self.model, names) as found:
            for block in range(len(self.blocks)):
                states.append(self.blocks.run(states[-1], block, block + 1))
        *attention, z, middle, mlps = ([found.values[name] for name in names[k :: len(points)]] for k in range(6))
        self.parts.check(states[:-1], attention)
        heads = [self.parts.heads(layer, each) for layer, each in enumerate(z)]
        said = [part for pair in zip(heads, mlps, strict=True) for part in (pair[0], pair[1][:, None])]
        sources = torch.cat([x[:, None], *said], dim=1)
        alike(sources.sum(1).diff(dim=0), states[-1].diff(dim=0))
        read = [state for pair in zip(states, middle, strict=False) for state in pair]
        inputs = torch.stack([*read, states[-1]], dim=1)
        return [Flow(*flow) for flow in zip(sources, inputs, strict=True)]

    def logits(self, final: Tensor) -> Tensor:
        """Logits [..., V] for what the final norm reads at the last position, [..., d]."""
        found: Tensor = self.model.original_model.lm_head(self.model.ln_final(final))
        return found

    @torch.no_grad()
    def ends(self) -> Tensor:
        """Logits [2, V] at the last position of the clean and of the corrupted run."""
        return self.logits(torch.stack([self.clean.inputs[-1, -1], self.corrupted.inputs[-1, -1]]))

    @torch.no_grad()
    def left(self, circuits: Tensor, donor: Flow | None = None) -> Tensor:
        """Logits [n, V] at the last position, where only the edges of each circuit [n, S, D] are left.

        All others carry what they carry in the donor run, which is the corrupted one unless another is given.
        """
        parts = [self._final(part, donor or self.corrupted) for part in circuits.split(ROWS)]
        return self.logits(torch.cat(parts))

    def _final(self, circuits: Tensor, donor: Flow) -> Tensor:
        with Cut(self, circuits.to(donor.sources), donor) as cut:
            self.blocks.run(self.clean.sources[:1].expand(len(circuits), -1, -1), 0, len(self.blocks))
        return cut.read(2 * len(self.blocks), slice(-1, None))[:, 0, -1]

    def between(self, steps: int) -> Tensor:
        """Embeddings [steps + 1, T, d], in even steps from the corrupted to the clean one."""
        share = torch.linspace(0, 1, steps + 1, device=self.clean.sources.device)[:, None, None]
        return self.corrupted.sources[0] + share * (self.clean.sources[0] - self.corrupted.sources[0])

    @torch.enable_grad()
    def gradients(self, x: Tensor, metrics: Sequence[Metric]) -> Iterator[Tensor]:
        """The gradient [n, D, T, d] of each metric at the input of every destination, in runs from x [n, T, d]."""
        layers, states = range(len(self.blocks)), [x.detach().requires_grad_()]
        names = [f"blocks.{layer}.{point}" for layer in layers for point in (*ATTENTION, READ)]
        with Recorded(self.model, [*names, *(f"blocks.{layer}.{MIDDLE}" for layer in layers)]) as found:
            for block in layers:
                states.append(self.blocks.run(states[-1], block, block + 1))
        logits = self.logits(states[-1][:, -1])
        reads = [*(found.values[name] for name in names), states[-1]]
        middle = [found.values[f"blocks.{layer}.{MIDDLE}"] for layer in layers]
        for place, metric in enumerate(metrics, 1):
            slopes = torch.autograd.grad(metric(logits).sum(), reads, retain_graph=place < len(metrics))
            each = [slopes[4 * layer : 4 * layer + 4] for layer in layers]
            inputs = [self.parts.before(k, states[k], middle[k], *each[k]) for k in layers]
            yield torch.cat([*inputs, slopes[-1][:, None]], dim=1)

    def scores(self, gradient: Tensor) -> Tensor:
        """The score [S, D] of each edge from a gradient [D, T, d]: what cutting it adds to the metric, to first order.

        0 where there is no edge.
        """
        change = self.corrupted.sources - self.clean.sources
        return (change.flatten(1) @ gradient.flatten(1).T).cpu() * self.graph.edges


def alike(found: Tensor, true: Tensor) -> None:
    """Refuse a model that computes something else.

    Raises:
        EdgesError: they differ.
    """
    if not torch.allclose(found, true, atol=UNEQUAL * float(true.norm(dim=-1).max())):
        raise EdgesError("this model's residual stream is not the sum of its heads and MLPs: it has no such graph")


class _Parts:
    """Weights and norms of a model's blocks."""

    def __init__(self, model: Attending) -> None:
        self.blocks, self.out = model.blocks, model.W_O
        self.weights = model.W_Q, model.W_K, model.W_V  # each [L, H or K, d, h]
        like = model.W_E.new_ones(1, 1, model.cfg.d_model)
        like[..., 1::2] = -1  # of mean 0 and length sqrt(d): a norm only multiplies it by its gain
        self.gains = [block.ln1_post(like) * like if hasattr(block, "ln1_post") else None for block in model.blocks]
        self.biases: list[list[Tensor]] = []  # of queries, keys and values, each [H or K, h]

    def project(self, kind: int, layer: int, given: Tensor) -> Tensor:
        """Queries, keys or values [n, T, m, h], without their bias, of heads that each read their own [n, m, T, d]."""
        return torch.einsum("nhtd,hde->nthe", given, self.weights[kind][layer])

    def check(self, x: Sequence[Tensor], said: Sequence[Sequence[Tensor]]) -> None:
        """Take biases from what attention reads, [n, T, d], and its queries, keys and values of each layer."""
        for layer, read in enumerate(x):
            given, biases = self.blocks[layer].ln1(read)[:, None], list[Tensor]()
            for kind, values in enumerate(said):
                heads = self.weights[kind].shape[1]
                own = self.project(kind, layer, given.expand(-1, heads, -1, -1))
                biases.append((values[layer].view_as(own) - own)[0, 0])
                alike(own + biases[-1], values[layer].view_as(own))
            self.biases.append(biases)

    def heads(self, layer: int, z: Tensor) -> Tensor:
        """What each head adds, [n, H, T, d], from z [n, T, H, h]."""
        shares, gain = torch.einsum("nthe,hed->nhtd", z, self.out[layer]), self.gains[layer]
        if gain is None:
            return shares
        total = shares.sum(1)
        scale = (self.blocks[layer].ln1_post(total) * total * gain).sum(-1) / (total * gain).square().sum(-1)
        return shares * gain * scale[:, None, :, None]

    def before(self, layer: int, x: Tensor, middle: Tensor, *slopes: Tensor) -> Tensor:
        """The gradient [n, D of the layer, T, d] where its norms read, from those of q, k, v and behind the MLP's norm.

        x, middle [n, T, d]: what the two norms read.
        """
        behind = [
            torch.einsum("nthe,hde->nhtd", slope, weight[layer])
            for slope, weight in zip(slopes[:3], self.weights, strict=True)
        ]
        block = self.blocks[layer]
        return torch.cat(
            [through(block.ln1, x, torch.cat(behind, dim=1)), through(block.ln2, middle, slopes[3][:, None])], dim=1
        )


def through(norm: Any, x: Tensor, slopes: Tensor) -> Tensor:
    """Gradients [n, m, T, d] where a norm reads x [n, T, d], from those behind it."""
    given = x.detach()[:, None].expand_as(slopes).requires_grad_()
    (found,) = torch.autograd.grad(norm(given), given, slopes)
    return found


class Cut(Hooked):
    """A context in which the n rows of a batch are runs of circuits [n, S, D]: each destination reads its own sum.

    change [n, S, T, d]: how much more each source says than in the donor run.
    """

    def __init__(self, edges: Edges, circuits: Tensor, donor: Flow) -> None:
        super().__init__(edges.model)
        self.graph, self.parts, self.circuits, self.donor = edges.graph, edges.parts, circuits, donor
        self.change = donor.sources.new_zeros(len(circuits), *donor.sources.shape)
        self.change[:, 0] = edges.clean.sources[0] - donor.sources[0]
        self.given = self.change  # what the queries, keys and values of a layer read, behind its norm

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """On all that reads, and on all that writes."""
        attention = [(point, partial(self._attend, kind)) for kind, point in enumerate(ATTENTION)]
        own: list[tuple[str, Callable[..., Any]]] = [
            *attention,
            (HEADS_OUT, self._heads),
            (MIDDLE, self._middle),
            (MLP_OUT, self._mlp),
        ]
        layers = range(self.graph.layers)
        return [(f"blocks.{layer}.{point}", partial(hook, layer)) for layer in layers for point, hook in own]

    def read(self, place: int, destinations: slice) -> Tensor:
        """What destinations read at a norm, [n, m, T, d]: the donor's, and what their edges change."""
        layer, mlp = divmod(place, 2)
        sources = self.graph.before(layer) + self.graph.heads * mlp
        left = self.circuits[:, :sources, destinations].mT
        return self.donor.inputs[place] + (left @ self.change[:, :sources].flatten(2)).unflatten(
            2, self.donor.inputs.shape[1:]
        )

    def _attend(self, kind: int, layer: int, activation: Tensor, hook: Any) -> Tensor:
        if kind == QUERY:
            first, reads = self.graph.first(layer), self.graph.reads
            self.given = self.parts.blocks[layer].ln1(self.read(2 * layer, slice(first, first + reads)))
        own = self.given.split([self.graph.heads, self.graph.groups, self.graph.groups], dim=1)[kind]
        said = self.parts.project(kind, layer, own) + self.parts.biases[layer][kind]
        return said.reshape(activation.shape)

    def _heads(self, layer: int, activation: Tensor, hook: Any) -> None:
        self._write(self.graph.before(layer), self.parts.heads(layer, activation))

    def _middle(self, layer: int, activation: Tensor, hook: Any) -> Tensor:
        place = self.graph.first(layer) + self.graph.reads
        return self.read(2 * layer + 1, slice(place, place + 1))[:, 0]

    def _mlp(self, layer: int, activation: Tensor, hook: Any) -> None:
        self._write(self.graph.before(layer) + self.graph.heads, activation[:, None])

    def _write(self, first: int, said: Tensor) -> None:
        own = slice(first, first + said.shape[1])
        self.change[:, own] = said - self.donor.sources[own]


def greedy(graph: Graph, scores: Tensor, n: int) -> Tensor:
    """The first n edges [n, 2], source and destination, of a search from the logits upstream.

    Each time the edge with the largest |score| of all that end in what was reached, so that none leads to nowhere.
    """
    strengths, order = scores.abs().masked_fill(~graph.edges, -1.0).sort(0, descending=True)
    ranked, sources = strengths.T.tolist(), order.T.tolist()
    feeds = [own.nonzero()[:, 0].tolist() for own in graph.feeds.T]
    queue, opened, found = list[tuple[float, int, int]](), set[int](), list[tuple[int, int]]()
    waiting = [(len(ranked) - 1, 0)]  # destinations, and how many of their edges were taken
    while len(found) < n:
        for destination, taken in waiting:
            if taken < len(sources[destination]) and ranked[destination][taken] >= 0:
                heapq.heappush(queue, (-ranked[destination][taken], destination, taken))
        _, destination, taken = heapq.heappop(queue)
        found.append((sources[destination][taken], destination))
        new = [own for own in feeds[found[-1][0]] if own not in opened]
        opened.update(new)
        waiting = [(destination, taken + 1), *((own, 0) for own in new)]
    return torch.tensor(found)


def circuit(graph: Graph, edges: Tensor) -> Tensor:
    """The circuit [S, D] of some edges [n, 2]."""
    found = torch.zeros_like(graph.edges)
    found[edges[:, 0], edges[:, 1]] = True
    return found


def dealt(graph: Graph, circuit: Tensor, generator: torch.Generator) -> Tensor:
    """As many edges of each kind of source and of destination as a circuit has, drawn from all of these, [S, D]."""
    kinds = graph.source_kinds[:, None] * (LOGITS + 1) + graph.destination_kinds
    found = torch.zeros_like(circuit)
    for kind in kinds[circuit].unique():
        found |= drawn(graph.edges & (kinds == kind), int((circuit & (kinds == kind)).sum()), generator)
    return found


def among_nodes(graph: Graph, circuit: Tensor, generator: torch.Generator) -> Tensor:
    """As many edges as a circuit has, drawn from all that lie between its own nodes, or lead to the logits, [S, D]."""
    nodes = graph.nodes(circuit)
    ends = (graph.feeds & nodes).any(1) | (graph.destination_kinds == LOGITS)
    return drawn(graph.edges & nodes[:, None] & ends, int(circuit.sum()), generator)


def drawn(edges: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """So many of some edges, at random, [S, D]."""
    places = edges.nonzero()
    chosen = places[torch.randperm(len(places), generator=generator)[:n]]
    found = torch.zeros_like(edges)
    found[chosen[:, 0], chosen[:, 1]] = True
    return found
