"""Which edges of a model carry a task, scored by gradients along a path? (Hanna et al., arXiv 2403.17806)

On a model of your own, and two prompts of equal length that are to be answered differently:

    texts = Texts("The capital of France is", "The capital of Spain is", ("Paris",), ("Madrid",))
    pair = paired(model, texts)
    found = score(model, "capitals", [pair], steps=5)  # EAP, EAP-IG, and EAP-IG with KL, of every edge
    graph = Graph.of(model)
    kept = circuit(graph, greedy(graph, found.scores["ig"], 40))  # [sources, destinations]
    logits = Edges(model, pair.clean, pair.corrupted).left(kept[None])  # where only these edges are left
"""

from reproductions.common.edges import Edges, Graph, circuit, greedy
from reproductions.common.prompt_pairs import Texts, paired
from reproductions.eap_ig.method import measure, score

__all__ = ["Edges", "Graph", "Texts", "circuit", "greedy", "measure", "paired", "score"]
