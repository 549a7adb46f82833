"""What a reader can walk through: where features come from and go to, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from reproductions.common.edits import unembed
from reproductions.common.explorers import active, weighted
from reproductions.common.model import Model
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.graphs import Edge, Node
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.taxonomy import STATES, Thresholds

SEEDS = 50  # features offered first, a window
CONTEXTS, BEFORE, BEHIND = 3, 8, 2  # contexts of a feature, and tokens on either side of its largest activation
PROJECTED = 10  # tokens promoted, and suppressed
NODES_AT_ONCE = 64
COUSINS = 2  # other features of R_L that a predecessor is shown to flow into
KINDS = {
    "translated": "carried over: an earlier feature of the residual stream points the same way, no module's does",
    "processed": "earlier features of the residual stream and of a module both point the same way",
    "newborn": "only a feature of a module, attention or MLP, points the same way",
    "unexplained": "no earlier feature points the same way beyond chance",
}


@dataclass(frozen=True, eq=False)
class WindowCards:
    """The features of a window around some seeds of its R_L."""

    model: Model
    matched: Matched
    readings: Readings
    seeds: Sequence[Node]

    def to_json(self, chance: Thresholds) -> dict[str, Any]:
        """The window as the site draws it, with the cosine below which edges from each module are noise.

        Nodes are the seeds, their predecessors in all three places, near or not, and what else comes of these.
        """
        layer = self.matched.window.layer
        edges = self._edges()
        ends = [node for edge in edges for node in (edge.source, edge.target)]
        nodes = sorted({*self.seeds, *ends}, key=lambda node: (self.matched.window.sites.index(node.site), node.latent))
        return {
            "name": f"layers {layer - 1} and {layer}",
            "places": self._places(chance),
            "nodes": list(self._nodes(nodes)),
            "edges": [
                {"from": self._id(edge.source), "to": self._id(edge.target), "weight": round(edge.score, 3)}
                for edge in edges
            ],
            "starts": [self._id(seed) for seed in self.seeds],
        }

    def words(self, nodes: Sequence[Node]) -> dict[Node, str]:
        """The first tokens that each node promotes."""
        return {node: ", ".join(up[:3]) for node, (up, _) in zip(nodes, self._projected(nodes), strict=True)}

    def _places(self, chance: Thresholds) -> list[dict[str, Any]]:
        layer = self.matched.window.layer
        before, mlp, attention, after = self._names.values()
        return [
            {
                "name": before,
                "title": f"residual stream after layer {layer - 1}",
                "column": 0,
                "chance": chance.residual,
            },
            {"name": attention, "title": f"attention of layer {layer}", "column": 1, "chance": chance.attention},
            {"name": mlp, "title": f"MLP of layer {layer}", "column": 1, "chance": chance.mlp},
            {"name": after, "title": f"residual stream after layer {layer}", "column": 2},
        ]

    @cached_property
    def _names(self) -> dict[str, str]:
        """What each site is called."""
        layer = self.matched.window.layer
        names = f"R{layer - 1}", f"M{layer}", f"A{layer}", f"R{layer}"
        return dict(zip(self.matched.window.sites, names, strict=True))

    def _id(self, node: Node) -> str:
        return f"{self._names[node.site]}/{node.latent}"

    def _edges(self) -> list[Edge]:
        """Into each seed, all three; out of its predecessors, the best of those above the thresholds."""
        graph = self.matched.graph
        found = [edge for seed in self.seeds for edge in self._into(seed)]
        for source in {edge.source for edge in found}:
            found += sorted(graph.forward(source), key=lambda edge: -edge.score)[:COUSINS]
        once = {(edge.target, edge.source): edge for edge in found}
        return [once[ends] for ends in sorted(once)]

    def _into(self, seed: Node) -> Iterable[Edge]:
        for module, found in zip(self.matched.window.modules, self.matched.cosine, strict=True):
            source = Node(module.site, int(found.source[seed.latent]))
            yield Edge(source, seed, round(found.best[seed.latent].item(), 6))

    def _nodes(self, nodes: Sequence[Node]) -> Iterable[dict[str, Any]]:
        rates = {site: self.readings.rates(site) for site in self.matched.window.sites}
        states = self.matched.states.tolist()
        for node, (up, down) in zip(nodes, self._projected(nodes), strict=True):
            behind = node.site == self.matched.window.after.site
            texts = [self._context(node, *place) for place in self._peaks(node)]
            yield {
                "name": self._id(node),
                "place": self._names[node.site],
                "kind": STATES[states[node.latent]] if behind else None,
                "facts": [active(rates[node.site][node.latent].item())],
                "parts": [
                    {"title": "Tokens", "lists": [{"lists": {"promoted": up, "suppressed": down}}]},
                    {"title": "Contexts", "texts": texts},
                ],
            }

    @torch.no_grad()
    def _projected(self, nodes: Sequence[Node]) -> Iterable[tuple[list[str], list[str]]]:
        """The tokens that each node's direction promotes most, and suppresses most."""
        dictionaries = {each.site: each for each in self.matched.window.dictionaries}
        for start in range(0, len(nodes), NODES_AT_ONCE):
            part = nodes[start : start + NODES_AT_ONCE]
            rows = torch.stack([dictionaries[node.site].directions[node.latent] for node in part])
            logits = unembed(self.model, self.model.ln_final(rows))
            for up, down in zip(logits.topk(PROJECTED).indices, (-logits).topk(PROJECTED).indices, strict=True):
                yield self._tokens(up), self._tokens(down)

    def _peaks(self, node: Node) -> list[tuple[int, int]]:
        return self.readings.peaks(node.site, node.latent, CONTEXTS)

    def _context(self, node: Node, text: int, position: int) -> dict[str, Any]:
        places = range(max(1, position - BEFORE), min(self.readings.tokens.shape[1], position + BEHIND + 1))
        values = self.readings.along(node.site, node.latent, text, places)
        tokens = self._tokens(self.readings.tokens[text, places.start : places.stop])
        return weighted(tokens, [round(float(value), 1) or 0 for value in values])

    def _tokens(self, tokens: Tensor) -> list[str]:
        return [self.model.tokenizer.decode([token]) for token in tokens.tolist()]


def flow_graph(windows: Sequence[WindowCards]) -> dict[str, Any]:
    """All windows, with the cosine below which an edge is noise in every one of them."""
    by_module = zip(*(each.matched.thresholds for each in windows), strict=True)
    chance = Thresholds(*(round(max(thresholds), 3) for thresholds in by_module))
    return {
        "title": "Flow graph",
        "about": "Where a feature comes from and where it goes. Choose one to see which features of earlier layers "
        "point the same way, and which later ones do; each edge carries the cosine of the two directions.",
        "node": {"one": "feature", "many": "features"},
        "weight": "cosine",
        "kinds": [{"name": state, "about": KINDS[state]} for state in STATES],
        "graphs": [each.to_json(chance) for each in windows],
    }
