"""Information flow routes: what reaches a prediction, read off one pass (Ferrando and Voita, arXiv 2403.00824).

On a model of your own:

    parts = flow(layers(model, model.to_tokens("The capital of France is")[0]))
    heads = parts.share()  # [layers, heads, tokens]: how much of each state a head brings
    found = route(parts, tau=0.05)  # what leads to the last token's last state over edges above 0.05
    sizes = found.size, found.states.sum()  # edges, and states that are met
"""

from reproductions.information_flow.method import Flow, Layer, Route, flow, layers, nearness, route

__all__ = ["Flow", "Layer", "Route", "flow", "layers", "nearness", "route"]
