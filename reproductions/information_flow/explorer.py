"""Routes to explore: a lattice of token states by layers, with what every part of it says about the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model
from reproductions.common.promoted import Said
from reproductions.information_flow.method import Flow, Layer, Route, flow, layers, route

SENTENCES = (
    "When Anna and Mark went to the park, Mark gave a book to",
    "The capital of France is",
    "for name in names:\n    print(",
)
LONGEST = 24  # tokens of a sentence of one's own
APART = 2  # heads of an edge and neurons of an MLP that are told apart
KINDS = {"state": "the residual stream at a token", "MLP": "what the MLP adds there", "embedding": "where routes end"}


def sentences(text: str) -> list[str]:
    """One's own sentence, where there is one, and three of ours."""
    return ([text] if text.strip() else []) + list(SENTENCES)


def cut_to_size(model: Model, text: str) -> tuple[Tensor, str]:
    """A sentence's tokens [T], and a note where only its end is taken."""
    first, *rest = model.to_tokens(text)[0].tolist()
    note = f" (its last {LONGEST} tokens of {len(rest)})" if len(rest) > LONGEST else ""
    return torch.tensor([first, *rest[-LONGEST:]]), note


@dataclass(frozen=True)
class Drawn:
    """One sentence as it is drawn: its tokens, layers, importances, route, and what its parts say."""

    tokens: Sequence[str]
    passed: Sequence[Layer]
    flow: Flow
    route: Route
    said: Said

    def name(self, token: int, place: str) -> str:
        """Of a node: "8 park: after 3"."""
        return " ".join([str(token), *self.tokens[token].split()]) + f": {place}"

    def nodes(self) -> list[dict[str, Any]]:
        """The states and MLPs on the route."""
        met = self.route
        found = [self._state("embedding", at, self.passed[0].before) for at in _places(met.states[0])]
        for layer, passed in enumerate(self.passed):
            found += [self._state(f"between {layer}", at, passed.between) for at in _places(met.between[layer])]
            found += [self._mlp(layer, at) for at in _places(met.mlps[layer])]
            found += [self._state(f"after {layer}", at, passed.after) for at in _places(met.states[layer + 1])]
        return found

    def _state(self, place: str, token: int, states: Tensor) -> dict[str, Any]:
        kind = place if place in KINDS else "state"
        return self._node(token, place, kind, "Logit lens", [{"lists": self.said.state(states[token])}])

    def _mlp(self, layer: int, token: int) -> dict[str, Any]:
        passed, importance = self.passed[layer], self.passed[layer].neurons(token)
        parts = {"all of it": passed.after[token] - passed.between[token]}
        for neuron in importance.topk(APART).indices.tolist():
            title = f"neuron {neuron}, importance {importance[neuron]:.3f}"
            parts[title] = passed.active[token, neuron] * passed.out[neuron]
        return self._node(token, f"MLP {layer}", "MLP", "What it adds", self._rows(parts))

    def _rows(self, parts: dict[str, Tensor]) -> list[dict[str, Any]]:
        return [{"title": title, "lists": self.said.part(vector)} for title, vector in parts.items()]

    def _node(self, token: int, place: str, kind: str, title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [{"title": title, "lists": rows}]
        return {"name": self.name(token, place), "place": place, "kind": kind, "across": token, "parts": parts}

    def edges(self) -> list[dict[str, Any]]:
        """Into the states of a layer, and on past its MLP or through it."""
        found = []
        for layer in range(len(self.passed)):
            found += [self._brought(layer, to, source) for to, source in self.route.edges[layer].nonzero().tolist()]
            found += [edge for at in _places(self.route.between[layer]) for edge in self._on(layer, at)]
        return found

    def _brought(self, layer: int, to: int, source: int) -> dict[str, Any]:
        heads, whole = self.flow.heads[layer, :, to, source], self.flow.joined[layer, to, source].item()
        brought = self.passed[layer].weight[:, to, source, None] * self.passed[layer].value[:, source]
        told = [head for head in heads.topk(APART).indices.tolist() if heads[head] > 0.1 * whole]
        rows = self._rows({f"head {layer}.{head}, importance {heads[head]:.3f}": brought[head] for head in told})
        start = f"after {layer - 1}" if layer else "embedding"
        parts = [{"title": "The heads that bring most", "lists": rows}] if rows else []
        return self._edge((source, start), (to, f"between {layer}"), whole) | {"parts": parts}

    def _on(self, layer: int, at: int) -> list[dict[str, Any]]:
        share = self.flow.mlp[layer, at].item()
        start, through, end = ((at, f"{place} {layer}") for place in ("between", "MLP", "after"))
        past = [self._edge(start, end, 1 - share)] if self.route.past[layer, at] else []
        by = [self._edge(start, through, share), self._edge(through, end, share)]
        return past + by if self.route.mlps[layer, at] else past

    def _edge(self, start: tuple[int, str], end: tuple[int, str], weight: float) -> dict[str, Any]:
        return {"from": self.name(*start), "to": self.name(*end), "weight": round(weight, 3)}


def _places(mask: Tensor) -> list[int]:
    return [int(place) for place in mask.nonzero()[:, 0]]


def places(n_layers: int) -> list[dict[str, Any]]:
    """Where nodes stand: the embeddings, and in each layer the states between and after, and the MLP."""
    found: list[dict[str, Any]] = [{"name": "embedding", "title": "embedding", "column": 0, "label": "0"}]
    for layer in range(n_layers):
        titles = f"state after the attention of layer {layer}", f"MLP of layer {layer}", f"state after layer {layer}"
        names = f"between {layer}", f"MLP {layer}", f"after {layer}"
        for column, (name, title) in enumerate(zip(names, titles, strict=True), start=3 * layer + 1):
            found.append({"name": name, "title": title, "column": column})
        found[-1] |= {"label": str(layer + 1)} if (layer + 1) % 5 == 0 or layer + 1 == n_layers else {}
    return found


@torch.no_grad()
def graph(model: Model, text: str, tau: float) -> dict[str, Any]:
    """One sentence's route as a graph of the explorer."""
    tokens, note = cut_to_size(model, text)
    passed, said = layers(model, tokens), Said(model)
    parts, words = flow(passed), [model.tokenizer.decode([token]) for token in tokens.tolist()]
    drawn = Drawn(words, passed, parts, route(parts, tau), said)
    nodes, edges, short = drawn.nodes(), drawn.edges(), " ".join(text.split())
    said.fill()
    return {
        "name": (short if len(short) <= 60 else f"{short[:59].strip()}…") + note,
        "across": words,
        "places": places(len(passed)),
        "nodes": nodes,
        "edges": edges,
        "starts": [drawn.name(len(words) - 1, f"after {len(passed) - 1}")],
    }


def explorer(model: Model, texts: Sequence[str], tau: float) -> dict[str, Any]:
    """What an explorer of kind `graph` is fed with."""
    return {
        "title": "Information flow",
        "about": "What reaches the prediction at the last token: tokens from left to right, layers from the bottom up. "
        "Raise the threshold; press a line for its heads, a red square for an MLP's neurons, a dot for the logit lens.",
        "node": {"one": "state", "many": "states"},
        "weight": "importance",
        "slider": {"least": tau, "step": 0.01},
        "kinds": [{"name": name, "about": about} for name, about in KINDS.items()],
        "graphs": [graph(model, text, tau) for text in texts],
    }
