"""Which edges of a model carry a task, scored by gradients along a path? (Hanna et al., arXiv 2403.17806)

On a model of your own, with prompts that differ in some tokens and are equally long:

    some = pairs(model, "agreement", 4)  # or Texts of your own, each through paired()
    found = score(model, "agreement", some, steps=5)  # EAP, EAP-IG, and EAP-IG with KL, of every edge
    graph = Graph.of(model)
    kept = circuit(graph, greedy(graph, found.scores["ig"], 500))  # [sources, destinations]
    logits = Edges(model, some[0].clean, some[0].corrupted).left(kept[None])  # where only these edges are left
"""

from reproductions.common.edges import Edges, Graph, circuit, greedy
from reproductions.common.prompt_pairs import Texts, paired, pairs
from reproductions.eap_ig.method import measure, score

__all__ = ["Edges", "Graph", "Texts", "circuit", "greedy", "measure", "paired", "pairs", "score"]
