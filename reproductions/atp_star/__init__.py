"""AtP*: which parts of a model matter, estimated from gradients (Kramar et al. 2024, arXiv 2403.00745)

On a model of your own, and two prompts of equal length that are to be answered differently:

    texts = Texts("The capital of France is", "The capital of Spain is", ("Paris",), ("Madrid",))
    pair = paired(model, texts)
    patching = Patching(model, pair.clean, pair.corrupted, POINTS)
    nodes, runs = nodes_of(patching), (patching, patching.clean, patching.corrupted)
    found = estimates(*runs, asked(pair), nodes, layers=range(model.cfg.n_layers))
    best = [nodes[place] for place in found["star"].topk(4).indices]  # by AtP*, to be patched first
    effects = true_effects(*runs, asked(pair), [[node] for node in best])
"""

from reproductions.atp_star.method import POINTS, estimates, nodes_of, true_effects
from reproductions.common.patching import Patching
from reproductions.common.prompt_pairs import Texts, paired
from reproductions.common.questions import asked

__all__ = ["POINTS", "Patching", "Texts", "asked", "estimates", "nodes_of", "paired", "true_effects"]
