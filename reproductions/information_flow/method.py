"""Information flow routes: what reaches one prediction, read off a single pass. (Ferrando and Voita, arXiv 2403.00824)

Every state of the residual stream is a sum. After the attention of layer l, at token i,

    y_i = x_i + sum over heads h and tokens j <= i of  A_ij (v_j W_O)        (head h's own A, v and W_O),

and after its MLP z_i = y_i + MLP(y_i). The importance of a part p in a whole y is how much nearer the part brings it,

    max(|y|_1 - |y - p|_1, tiny), over the same of all the parts:          (as in contributions.py of the authors' tool)

so that the parts' importances sum to one, and a part that points against the whole counts as nothing. The route of a
prediction is what is met on the way down from the last token's last state over edges whose importance is above tau.

Where a model norms what attention and MLP add (Gemma), the norm's scale is taken as it was in the pass and given to
each part alike: linear then, and the parts still sum to the whole. Grouped heads share keys and values.

Shapes: T tokens, L layers, H heads of width w, n neurons, d = d_model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reproductions.common.hooks import hook_points
from reproductions.common.model import Model
from reproductions.common.patching import Recorded

TINY = 1e-5  # the least nearness of a part, as in the authors' tool
POINTS = "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "attn.hook_pattern", "attn.hook_v", "mlp.out.hook_in"
NORMS = "ln1_post.hook_scale", "ln2_post.hook_scale"  # of models that norm what is added


def nearness(whole: Tensor, parts: Tensor) -> Tensor:
    """max(|y|_1 - |y - p|_1, tiny) [...] for wholes and parts [..., d]."""
    return (whole.abs().sum(-1) - (whole - parts).abs_().sum(-1)).clamp(min=TINY)


@dataclass(frozen=True)
class Layer:
    """A layer as it ran: its states [T, d] before, between and after, and the parts that it adds.

    pattern [H, T, T]: attention of i to j. weight [H, T, T], value [H, T, d]: head h brings weight[h, i, j] value[h, j]
    to token i from token j.
    active [T, n] and out [n, d]: neuron k adds active[i, k] out[k] at token i.
    """

    before: Tensor
    between: Tensor
    after: Tensor
    pattern: Tensor
    weight: Tensor
    value: Tensor
    active: Tensor
    out: Tensor

    def heads(self) -> Tensor:
        """The nearness [H, T, T] of what each head brings to token i from token j; 0 where j is behind i."""
        found = torch.zeros_like(self.weight)
        for to, whole in enumerate(self.between):
            parts = self.weight[:, to, : to + 1, None] * self.value[:, : to + 1]
            found[:, to, : to + 1] = nearness(whole, parts)
        return found

    def neurons(self, token: int) -> Tensor:
        """The importance [n] of each neuron in the state after the MLP; the state before it is a part as well."""
        parts = torch.cat([self.between[token, None], self.active[token, :, None] * self.out])
        found = nearness(self.after[token], parts)
        return (found / found.sum())[1:]


@torch.no_grad()
def layers(model: Model, tokens: Tensor) -> list[Layer]:
    """The layers of one pass of a text [T]."""
    normed = [name for name in NORMS if f"blocks.0.{name}" in hook_points(model)]
    names = [f"blocks.{layer}.{point}" for layer in range(model.cfg.n_layers) for point in (*POINTS, *normed)]
    with Recorded(model, names) as found:
        model.original_model.base_model(tokens[None].to(model.W_E.device), use_cache=False)
    values = [found.values[name][0] for name in names]
    width = len(POINTS) + len(normed)
    return [_layer(model, layer, values[layer * width :][:width]) for layer in range(model.cfg.n_layers)]


def _layer(model: Model, layer: int, values: Sequence[Tensor]) -> Layer:
    before, between, after, pattern, v, active, *scales = values
    block, W_O = model.blocks[layer], model.blocks[layer].attn.W_O
    value = torch.einsum("thw,hwd->htd", v.repeat_interleave(len(W_O) // v.shape[1], dim=1), W_O)
    weight, out = pattern, block.mlp.out.weight.mT
    if scales:
        attended, fed = (norm(torch.ones_like(before[:1])) for norm in (block.ln1_post, block.ln2_post))
        value, out = value * attended, out * fed
        weight, active = pattern / scales[0], active / scales[1]
    return Layer(before, between, after, pattern, weight, value, active, out)


@dataclass(frozen=True)
class Flow:
    """Importances in a text: heads [L, H, T, T] (to i, from j) and stay [L, T], what stays of the state before, sum to
    one in each state between; mlp [L, T] is the MLP's in the state after, of which 1 - mlp is the state between's.
    """

    heads: Tensor
    stay: Tensor
    mlp: Tensor

    @property
    def joined(self) -> Tensor:
        """The edges between token states [L, T, T], to i from j: of all heads, and on the diagonal what stays."""
        return self.heads.sum(1) + torch.diag_embed(self.stay)

    def without_first(self) -> Flow:
        """The same where nothing comes from the first token, the sink of attention; the rest sums to one."""
        heads = self.heads.clone()
        heads[:, :, 1:, 0] = 0
        whole = heads.sum((1, 3)) + self.stay
        return replace(self, heads=heads / whole[:, None, :, None], stay=self.stay / whole)

    def share(self) -> Tensor:
        """The importance [L, H, T] of each head at each token, from all tokens together."""
        return self.heads.sum(-1)


def flow(passed: Sequence[Layer]) -> Flow:
    """The importances in the layers of one pass."""
    heads = torch.stack([layer.heads() for layer in passed])
    before, between, after = (
        torch.stack([getattr(layer, name) for layer in passed]) for name in ("before", "between", "after")
    )
    stay, kept, mlp = nearness(between, before), nearness(after, between), nearness(after, after - between)
    whole = heads.sum((1, 3)) + stay
    return Flow(heads / whole[:, None, :, None], stay / whole, mlp / (mlp + kept))


@dataclass(frozen=True)
class Route:
    """What is met on the way down: states [L + 1, T] before each layer and after the last, those between [L, T], edges
    past MLPs and through them [L, T], and the edges [L, T, T] that lead on to states before a layer, to i from j."""

    states: Tensor
    between: Tensor
    past: Tensor
    mlps: Tensor
    edges: Tensor

    @property
    def size(self) -> int:
        """How many edges there are, those between states, through MLPs and past them."""
        return int(self.edges.sum() + self.past.sum() + 2 * self.mlps.sum())

    def heads(self, flow: Flow) -> Tensor:
        """The importance [L, H] of heads on the route, over all of its edges."""
        return (flow.heads * self.edges[:, None]).sum((-1, -2))


def route(flow: Flow, tau: float) -> Route:
    """Down from the last token's last state, over edges whose importance is above tau."""
    n_layers, n = flow.mlp.shape
    states = torch.zeros(n_layers + 1, n, dtype=torch.bool, device=flow.mlp.device)
    past, mlps, taken = 1 - flow.mlp > tau, flow.mlp > tau, flow.joined > tau
    states[-1, -1] = True
    for layer in reversed(range(n_layers)):
        past[layer] &= states[layer + 1]
        mlps[layer] &= states[layer + 1]
        taken[layer] &= (past | mlps)[layer, :, None]
        states[layer] = taken[layer].any(0)
    return Route(states, past | mlps, past, mlps, taken)
