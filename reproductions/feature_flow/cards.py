"""What a reader can walk through: where features come from and go to, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.edits import unembed
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.graphs import Edge, Node
from reproductions.feature_flow.matching import MODULES
from reproductions.feature_flow.readings import Readings
from reproductions.feature_flow.taxonomy import STATES

SEEDS = 50  # features offered first, a window
CONTEXTS, BEFORE, BEHIND = 3, 8, 2  # contexts of a feature, and tokens on either side of its largest activation
PROJECTED = 10  # tokens promoted, and suppressed
NODES_AT_ONCE = 64
COUSINS = 2  # other features of R_L that a predecessor is shown to flow into
SHORT = {"residual": "resid", "mlp": "mlp", "attention": "attn"}


@dataclass(frozen=True, eq=False)
class WindowCards:
    """The features of a window around some seeds of its R_L."""

    model: Any
    matched: Matched
    readings: Readings
    seeds: Sequence[Node]

    def to_json(self) -> dict[str, Any]:
        """The window as the site draws it.

        Nodes are the seeds, their predecessors in all three places, near or not, and what else comes of these.
        """
        layer = self.matched.window.layer
        edges = self._edges()
        ends = [node for edge in edges for node in (edge.source, edge.target)]
        nodes = sorted({*self.seeds, *ends}, key=lambda node: (self.matched.window.sites.index(node.site), node.latent))
        return {
            "name": f"layers {layer - 1} and {layer}",
            "layers": [layer - 1, layer],
            "sites": self._sites(),
            "nodes": list(self._nodes(nodes)),
            "edges": [
                {"from": self._id(edge.source), "to": self._id(edge.target), "score": round(edge.score, 3)}
                for edge in edges
            ],
            "seeds": [self._id(seed) for seed in self.seeds],
        }

    def words(self, nodes: Sequence[Node]) -> dict[Node, str]:
        """The first tokens that each node promotes."""
        return {node: ", ".join(up[:3]) for node, (up, _) in zip(nodes, self._projected(nodes), strict=True)}

    def _sites(self) -> list[dict[str, Any]]:
        layer = self.matched.window.layer
        return [
            {"id": f"R{layer - 1}", "title": f"residual stream after layer {layer - 1}", "column": 0},
            {"id": f"A{layer}", "title": f"attention of layer {layer}", "column": 1},
            {"id": f"M{layer}", "title": f"MLP of layer {layer}", "column": 1},
            {"id": f"R{layer}", "title": f"residual stream after layer {layer}", "column": 2},
        ]

    def _short(self, site: str) -> str:
        residual, mlp, attention, after = self.matched.window.sites
        layer = self.matched.window.layer
        return {residual: f"R{layer - 1}", mlp: f"M{layer}", attention: f"A{layer}", after: f"R{layer}"}[site]

    def _id(self, node: Node) -> str:
        return f"{self._short(node.site)}/{node.latent}"

    def _edges(self) -> list[Edge]:
        """Into each seed, all three; out of its predecessors, the best of those above the thresholds."""
        graph = self.matched.graph
        found = [edge for seed in self.seeds for edge in self._into(seed)]
        for source in {edge.source for edge in found}:
            found += sorted(graph.forward(source), key=lambda edge: -edge.score)[:COUSINS]
        once = {(edge.target, edge.source): edge for edge in found}
        return [once[ends] for ends in sorted(once)]

    def _into(self, seed: Node) -> Iterable[Edge]:
        for module, site in zip(MODULES, self.matched.window.sites, strict=False):
            found = getattr(self.matched.cosine, module)
            yield Edge(Node(site, int(found.source[seed.latent])), seed, round(found.best[seed.latent].item(), 6))

    def _nodes(self, nodes: Sequence[Node]) -> Iterable[dict[str, Any]]:
        rates = {site: self.readings.rates(site) for site in self.matched.window.sites}
        states = self.matched.states.tolist()
        for node, (up, down) in zip(nodes, self._projected(nodes), strict=True):
            yield {
                "id": self._id(node),
                "site": self._short(node.site),
                "latent": node.latent,
                "kind": STATES[states[node.latent]] if node.site == self.matched.window.after.site else None,
                "rate": round(rates[node.site][node.latent].item(), 5),
                "promoted": up,
                "suppressed": down,
                "contexts": [self._context(node, *place) for place in self._peaks(node)],
            }

    @torch.no_grad()
    def _projected(self, nodes: Sequence[Node]) -> Iterable[tuple[list[str], list[str]]]:
        """The tokens that each node's direction promotes most, and suppresses most."""
        dictionaries = {each.site: each for each in (*self.matched.window.modules, self.matched.window.after)}
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
        return {
            "tokens": self._tokens(self.readings.tokens[text, places.start : places.stop]),
            "activations": [round(float(value), 1) or 0 for value in values],
        }

    def _tokens(self, tokens: Tensor) -> list[str]:
        return [self.model.tokenizer.decode([token]) for token in tokens.tolist()]


def flow_graph(windows: Sequence[WindowCards]) -> dict[str, Any]:
    """All windows, with the cosine below which an edge is noise in every one of them."""
    thresholds = [each.matched.thresholds for each in windows]
    return {
        "threshold": {
            short: round(max(getattr(each, module) for each in thresholds), 3) for module, short in SHORT.items()
        },
        "kinds": list(STATES),
        "windows": [each.to_json() for each in windows],
    }
