"""Flow graphs: where a latent came from, and where it goes, through a window of layers.

A node is a latent of a site, an edge joins a latent of the residual stream R_L with one of its predecessors. In each
layer attention reads R_{L-1}, the MLP reads R_{L-1} + A_L, and all three are summed in R_L:

    R_{L-1} ----> R_L <---- M_L        and        A_L ----> R_L.

A decoder row says what a latent writes, not what it reads; there are therefore no edges into A_L or M_L, and longer
paths are made of neighbouring layers only (paper, section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reproductions.feature_flow.method import ATTENTION, MLP, RESIDUAL, Matches, Predecessors
from reproductions.feature_flow.taxonomy import Thresholds

# The paper's cut-offs, for d = 2304 and 16k latents: those of appendix B.2, and that of table 5 for the MLP's latents.
PAPER = Thresholds(residual=0.5, mlp=0.15, attention=0.15)
PAPER_TABLE_5_MLP = 0.25


class GraphError(ValueError):
    """A node that is not in the window; the message says what is."""


@dataclass(frozen=True, order=True)
class Node:
    """A latent of a site."""

    site: str
    latent: int


@dataclass(frozen=True, order=True)
class Edge:
    """A predecessor and the latent of R_L that it may have become, with their cosine."""

    source: Node
    target: Node
    score: float


@dataclass(frozen=True)
class Step:
    """One layer of a window: the names of its sites, the predecessors of R_L's latents, and which of them count."""

    residual: str  # R_{L-1}
    attention: str  # A_L
    mlp: str  # M_L
    after: str  # R_L
    predecessors: Predecessors
    thresholds: Thresholds

    @property
    def sizes(self) -> dict[str, int]:
        """How many latents each site has, in the order in which the layer goes through them."""
        sizes = {site: matches.n_sources for site, matches, _ in self._sources}
        return sizes | {self.after: len(self.predecessors.residual)}

    def edges(self) -> list[Edge]:
        """The first predecessor of each latent in each source, where its score is above the threshold."""
        return [
            Edge(Node(site, source), Node(self.after, target), score)
            for site, matches, least in self._sources
            for target, (source, score) in enumerate(zip(matches.source.tolist(), matches.best.tolist(), strict=True))
            if score > least  # which NaN, of a match that there is not, never is
        ]

    @property
    def _sources(self) -> list[tuple[str, Matches, float]]:
        """Site, matches and threshold of each, in the order in which the layer goes through them."""
        sites = {RESIDUAL: self.residual, ATTENTION: self.attention, MLP: self.mlp}
        return [(site, self.predecessors[module], self.thresholds[module]) for module, site in sites.items()]


@dataclass(frozen=True)
class FlowGraph:
    """A seed, whom it came from and what came of it; nodes in the order of the sites and then by number."""

    seed: Node
    ancestors: tuple[Node, ...]
    descendants: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of them: ancestors, seed, descendants."""
        return (*self.ancestors, self.seed, *self.descendants)


@dataclass(frozen=True)
class Window:
    """Layers, from the first to the last; where R_L of one is R_{L-1} of the next, paths go through both."""

    steps: tuple[Step, ...]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sites in the order in which a token passes them, and how many latents each has."""
        return {site: size for step in self.steps for site, size in step.sizes.items()}

    def backward(self, node: Node) -> tuple[Edge, ...]:
        """The edges from a latent's predecessors: at most three, none for a latent of a module.

        Raises:
            GraphError: the window has no such latent.
        """
        self._refuse_unknown(node)
        return tuple(self._edges[0].get(node, ()))

    def forward(self, node: Node) -> tuple[Edge, ...]:
        """The edges to all latents that have this one as a predecessor.

        Raises:
            GraphError: the window has no such latent.
        """
        self._refuse_unknown(node)
        return tuple(self._edges[1].get(node, ()))

    def component(self, seed: Node) -> FlowGraph:
        """All ancestors and all descendants of a latent: backward and forward from a seed, as in appendix B.2.

        What else flows into a descendant, or from an ancestor, is not among them.

        Raises:
            GraphError: the window has no such latent.
        """
        self._refuse_unknown(seed)
        back, on = (_followed(edges, seed) for edges in self._edges)
        return FlowGraph(
            seed,
            self._in_order({edge.source for edge in back}),
            self._in_order({edge.target for edge in on}),
            tuple(sorted({*back, *on}, key=lambda edge: (self._place(edge.target), self._place(edge.source)))),
        )

    @cached_property
    def _edges(self) -> tuple[Mapping[Node, Sequence[Edge]], Mapping[Node, Sequence[Edge]]]:
        """The edges by their targets, and by their sources."""
        into: dict[Node, list[Edge]] = {}
        out: dict[Node, list[Edge]] = {}
        for edge in (edge for step in self.steps for edge in step.edges()):
            into.setdefault(edge.target, []).append(edge)
            out.setdefault(edge.source, []).append(edge)
        return into, out

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {site: rank for rank, site in enumerate(self.sizes)}

    def _place(self, node: Node) -> tuple[int, int]:
        return self._rank[node.site], node.latent

    def _in_order(self, nodes: set[Node]) -> tuple[Node, ...]:
        return tuple(sorted(nodes, key=self._place))

    def _refuse_unknown(self, node: Node) -> None:
        size = self.sizes.get(node.site)
        if size is None:
            raise GraphError(f"{node.site} is no site of this window: it has {', '.join(self.sizes)}")
        if not 0 <= node.latent < size:
            raise GraphError(f"{node.site} has no latent {node.latent}: they are 0 to {size - 1}")


def _followed(edges: Mapping[Node, Sequence[Edge]], seed: Node) -> set[Edge]:
    """All edges on paths from a seed, against the flow where `edges` are by their targets, and with it otherwise."""
    found: set[Edge] = set()
    left = [seed]
    while left:
        node = left.pop()
        new = [edge for edge in edges.get(node, ()) if edge not in found]
        found.update(new)
        left += [edge.source if edge.target == node else edge.target for edge in new]
    return found
