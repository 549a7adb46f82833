"""AtP*: which parts of a model matter, estimated from gradients (Kramar et al. 2024, arXiv 2403.00745)

On a model of your own, and a pair of prompts of equal length of which another answer is right:

    texts = Texts("The capital of France is", "The capital of Spain is", ("Paris",), ("Madrid",))
    plan = Plan.of(model, halves=48, checked=10, dropped=0, seed=0)
    found = measure(model, "capitals", paired(model, texts), plan)
    best = found.estimates["star"].topk(10).indices  # the nodes to patch first, by AtP*
    nodes = found.places[best]  # layer, kind and head of each; found.true has what patching says
"""

from reproductions.atp_star.method import KINDS, Plan, estimates, measure, metrics
from reproductions.common.prompt_pairs import Texts, paired

__all__ = ["KINDS", "Plan", "Texts", "estimates", "measure", "metrics", "paired"]
