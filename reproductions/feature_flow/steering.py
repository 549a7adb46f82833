"""Does a flow graph steer better than its seed alone? The paper's third experiment (sections 4.3 and B.2).

A theme is amplified by adding directions at all tokens but the first, and suppressed by scaling activations,

    h <- h + s V        and        h <- h + (r - 1) sum_j a_j v_j,        r < 1,

at the sites of one layer, or of all layers of a graph. V is the sum of the decoder rows of a graph's latents at the
site. The paper compares ways to steer at the same s or r; for amplification they are also compared at *equal KL*, each
made as strong as it must be for the model's next token to change by the same amount.

Only the sites of a few windows have autoencoders. "Cumulative" therefore means the sites of one window and of the
windows below it, not those of every layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.edits import Edit
from reproductions.common.latents import Dictionary
from reproductions.common.steering import Divergence, reach
from reproductions.feature_flow.graphs import Node, Window
from reproductions.feature_flow.method import top_matches

START = 10.0  # the norm of what is added when a search begins, all sites together

Flow = Mapping[str, Sequence[int]]  # the latents to steer with at each site
Editor = Callable[[Sequence[int], Tensor, int], dict[str, Edit]]
"""(numbers of interventions [m], strengths [m], rows): the edits of a batch in which each has so many rows in turn."""


def by_site(nodes: Iterable[Node]) -> dict[str, list[int]]:
    """The latents among nodes, at each of their sites: `by_site(graph.nodes)` is the flow of a whole graph."""
    found: dict[str, list[int]] = {}
    for node in nodes:
        found.setdefault(node.site, []).append(node.latent)
    return found


def reached(
    seed: Node, windows: Sequence[Window], dictionaries: Mapping[str, Dictionary], least: float
) -> dict[str, list[int]]:
    """The latents that a seed flows from and to, in its own window and across the gaps to the others.

    windows: in the order of layers, each with its graph. The paper composes neighbouring layers. Between windows there
    are none with autoencoders, so that the residual latents at a gap's one side are matched with those at its other
    directly, by the largest cosine, if that is above `least`: looser than the paper's rule.

    Raises:
        GraphError: the seed is in none of the windows.
    """
    own = next((number for number, window in enumerate(windows) if seed.site in window.sizes), 0)
    nodes = dict.fromkeys(windows[own].component(seed).nodes)
    gap = partial(_beyond, dictionaries=dictionaries, least=least)
    for window, lower in pairwise(windows[own::-1]):
        for entry in gap(_at(nodes, window.steps[0].residual), lower.steps[-1].after):
            nodes |= dict.fromkeys((entry, *lower.component(entry).ancestors))
    for window, upper in pairwise(windows[own:]):
        for entry in gap(_at(nodes, window.steps[-1].after), upper.steps[0].residual):
            nodes |= dict.fromkeys((entry, *upper.component(entry).descendants))
    return by_site(sorted(nodes, key=lambda node: (layer_of(node.site), node)))


def _at(nodes: Iterable[Node], site: str) -> list[Node]:
    return [node for node in nodes if node.site == site]


def _beyond(nodes: Sequence[Node], site: str, dictionaries: Mapping[str, Dictionary], least: float) -> list[Node]:
    """The latents of the site at a gap's other side that these nodes, all of one site, point along most."""
    if not nodes:
        return []
    rows = dictionaries[nodes[0].site].directions[[node.latent for node in nodes]]
    matches = top_matches(rows, dictionaries[site].directions)
    pairs = zip(matches.source.tolist(), matches.best.tolist(), strict=True)
    return list(dict.fromkeys(Node(site, latent) for latent, score in pairs if score > least))


def up_to(flow: Flow, layer: int) -> Flow:
    """Cumulative steering: the sites of a layer and of all layers below it that have any."""
    return {site: latents for site, latents in flow.items() if layer_of(site) <= layer}


def at_layer(flow: Flow, layer: int) -> Flow:
    """Single-layer steering: the sites of one layer."""
    return {site: latents for site, latents in flow.items() if layer_of(site) == layer}


@dataclass(frozen=True)
class Steering:
    """What is added at each site for each unit of strength: [d_model]."""

    vectors: Mapping[str, Tensor]

    @property
    def norm(self) -> float:
        """Of all of it together."""
        return math.hypot(*(vector.norm().item() for vector in self.vectors.values()))


def along(flow: Flow, dictionaries: Mapping[str, Dictionary], folded: Mapping[str, Tensor] | None = None) -> Steering:
    """V: the sum of the decoder rows of the flow's latents at each site; `folded`, times typical activations [n]."""
    vectors = {}
    for site, latents in flow.items():
        rows = dictionaries[site].directions[list(latents)]
        vectors[site] = (rows * folded[site][list(latents), None].to(rows) if folded else rows).sum(0)
    return Steering(vectors)


def repeated_seed(like: Steering, direction: Tensor) -> Steering:
    """Control: the seed's own direction at all the sites of a steering, as long as what is there."""
    unit = torch.nn.functional.normalize(direction, dim=0)
    return Steering({site: vector.norm() * unit for site, vector in like.vectors.items()})


def random_graph(
    like: Steering, flow: Flow, dictionaries: Mapping[str, Dictionary], generator: torch.Generator
) -> Steering:
    """Control: at each site of a steering as many other latents, drawn at random, together as long as what is there."""
    vectors = {}
    for site, vector in like.vectors.items():
        others = torch.tensor(sorted(set(range(dictionaries[site].n)) - set(flow[site])))
        drawn = others[torch.randperm(len(others), generator=generator)[: len(flow[site])]]
        rows = dictionaries[site].directions[drawn].sum(0)
        vectors[site] = torch.nn.functional.normalize(rows, dim=0) * vector.norm()
    return Steering(vectors)


def amplifier(steerings: Sequence[Steering]) -> Editor:
    """h <- h + s V, with s the strength."""
    sites = dict.fromkeys(site for steering in steerings for site in steering.vectors)
    vectors = {site: _stacked(steerings, site) for site in sites}

    def edits(chosen: Sequence[int], strengths: Tensor, rows: int) -> dict[str, Edit]:
        return {site: _adding(vectors[site][list(chosen)], strengths, rows) for site in sites}

    return edits


def _stacked(steerings: Sequence[Steering], site: str) -> Tensor:
    """What each steering adds at a site [n, d_model], 0 for those that leave it alone."""
    nothing = torch.zeros_like(next(each.vectors[site] for each in steerings if site in each.vectors))
    return torch.stack([each.vectors.get(site, nothing) for each in steerings])


def _adding(vectors: Tensor, strengths: Tensor, rows: int) -> Edit:
    added = (vectors * strengths.to(vectors)[:, None]).repeat_interleave(rows, dim=0)[:, None]
    return lambda values: values + added.to(values)


def suppressor(flows: Sequence[Flow], dictionaries: Mapping[str, Dictionary]) -> Editor:
    """h <- h + (r - 1) sum_j a_j v_j for the latents of each flow, with r = 1 - strength and a_j as they are by then.

    Strength 1 takes the latents away. At a token that is an outlier nothing is active.
    """
    sites = dict.fromkeys(site for flow in flows for site in flow)

    def edits(chosen: Sequence[int], strengths: Tensor, rows: int) -> dict[str, Edit]:
        masks = {site: torch.zeros(len(chosen), dictionaries[site].n) for site in sites}
        for row, number in enumerate(chosen):
            for site, latents in flows[number].items():
                masks[site][row, list(latents)] = strengths[row].item()
        return {site: _damping(dictionaries[site], mask, rows) for site, mask in masks.items()}

    return edits


def _damping(dictionary: Dictionary, mask: Tensor, rows: int) -> Edit:
    def edit(values: Tensor) -> Tensor:
        weights = mask.to(values).repeat_interleave(rows, dim=0)[:, None]
        codes = dictionary.codes(values) * dictionary.ordinary(values)[..., None]
        return values - (codes * weights) @ dictionary.directions

    return edit


@torch.no_grad()
def matched_strengths(divergence: Divergence, editor: Editor, start: Tensor, targets: Sequence[float]) -> Tensor:
    """The strengths [n, targets] at which each of n interventions changes the next token by each target, in nats.

    start: what each search begins with [n]. NaN where no strength up to 10,000 does: there is nothing to add, say.
    """
    owner = torch.arange(len(start)).repeat_interleave(len(targets))

    def effect(chosen: Tensor, strengths: Tensor) -> Tensor:
        def edits(part: Tensor) -> dict[str, Edit]:
            return editor(owner[chosen[part]].tolist(), strengths[part], divergence.n_prompts)

        return divergence.in_parts(len(chosen), edits)

    wanted = torch.tensor(targets).repeat(len(start))
    return reach(effect, wanted, start[owner]).view(len(start), len(targets))
