"""AtP*: which parts of a model matter, estimated from gradients, and what that misses (Kramar et al., 2403.00745)

A node n is a query, a key, a head's output or an MLP's output; L is a metric of the model's answer. Its effect is what
happens to L when it takes its value n' from another prompt while all else follows from the first one:

    I(n) = L(with n') - L        in truth, a pass for each node;
    AtP:      (n' - n) . dL/dn   for all nodes at once, two passes and a gradient;
    QK fix:   (p' - p) . dL/dp   for queries and keys, with p' the attention probabilities that n' really gives;
    GradDrop: sum over layers l of |I_l(n)| / (layers - 1), where I_l has no gradient through what layer l adds.

AtP* is the last two together. The paper's equations were not seen: these are those of summaries, and of an unofficial
replication's comments. Attention and MLP of a layer are dropped together. The bound on what was missed is derived
here (`common/patching_estimates.py`).

Shapes: n nodes, T positions that follow the shared beginning, K positions in all, R gradients, S random halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, product
from math import log2
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.common.metrics import Metric, mean_of, missing, plain, share_of
from reproductions.common.model import Model
from reproductions.common.patching import HEADS, MLPS, Node, Patching, Recorded, Replaced, Run
from reproductions.common.patching_cost import Cost, patching_cost, timed
from reproductions.common.patching_estimates import bound, by_halves, checks, halves, places, ranks, recall
from reproductions.common.prompt_pairs import Pair, pairs
from reproductions.common.questions import asked
from reproductions.common.stats import spearman

Answer = Callable[[Patching, Tensor], Tensor]  # states [..., T, d] after the last block, to L [...]
QUERIES, KEYS, PATTERN, ATTENTION = "attn.hook_q", "attn.hook_k", "attn.hook_pattern", "hook_attn_out"
KINDS = (QUERIES, KEYS, HEADS, MLPS)
POINTS = (*KINDS, PATTERN)
GROUPS = {"all": KINDS, "attention": (QUERIES, KEYS), "outputs": (HEADS, MLPS)}
QUESTIONS = ("indirect objects", "greater than", "capitals")  # families whose answers have nothing in common


def nodes_of(patching: Patching, apart: bool = False) -> list[Node]:
    """Every node, at all T positions together or at each one apart; a key belongs to a group of heads."""
    runs = patching.clean.values
    whole = [
        Node(layer, kind, part)
        for layer, kind in product(range(len(patching.blocks)), KINDS)
        for part in ([None] if kind == MLPS else range(runs[f"blocks.{layer}.{kind}"].shape[1]))
    ]
    return [node._replace(position=t) for node in whole for t in range(len(patching.clean.x))] if apart else whole


def true_effects(
    patching: Patching, base: Run, donor: Run, answer: Answer, patches: Sequence[Sequence[Node]]
) -> Tensor:
    """L with each patch less L without, by running it."""
    return answer(patching, patching.patched(base, donor, patches)) - answer(patching, base.states[-1])


class Dropped(Hooked):
    """A context in which row 1 + i of a batch has no gradient through what attention and MLP of layers[i] add."""

    def __init__(self, model: Model, layers: Sequence[int]) -> None:
        super().__init__(model)
        self.layers = layers

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """Two for each layer."""
        rows = enumerate(self.layers, 1)
        return [(f"blocks.{layer}.{point}", partial(_drop, row)) for row, layer in rows for point in (ATTENTION, MLPS)]


def _drop(row: int, activation: Tensor, hook: Any) -> Tensor:
    passed = activation.clone()
    passed[row] = activation[row].detach()
    return passed


@torch.enable_grad()
def slopes(patching: Patching, base: Run, answer: Answer, layers: Sequence[int] = ()) -> dict[str, Tensor]:
    """dL/da of what passes each point, [1 + layers, T, ...]: as it is, and then with each of these layers dropped."""
    x = base.x.detach().expand(1 + len(layers), -1, -1).clone().requires_grad_()
    with Recorded(patching.model, patching.names) as found, Dropped(patching.model, layers):
        end = patching.blocks.run(x, 0, len(patching.blocks))
    total = answer(patching, end).sum()
    return dict(zip(found.values, torch.autograd.grad(total, list(found.values.values())), strict=True))


def first_order(base: Run, donor: Run, gradients: Mapping[str, Tensor], nodes: Sequence[Node]) -> Tensor:
    """AtP, (n' - n) . dL/dn of each node under each gradient, [n, R]."""
    names = {node.name for node in nodes}
    moved = {name: ((donor.values[name] - base.values[name]) * gradients[name]).sum(-1) for name in names}
    parts = {name: found.reshape(*found.shape[:2], -1) for name, found in moved.items()}  # an MLP's output is one part
    rows = [parts[node.name][:, *node.place] for node in nodes]
    return torch.stack([found.reshape(len(found), -1).sum(1) for found in rows])


@torch.no_grad()
def pattern_changes(patching: Patching, base: Run, donor: Run, nodes: Iterable[Node]) -> dict[Node, Tensor]:
    """p' - p [heads, T, K] where all queries, or all keys, of a layer are the donor's; by node without its head.

    The model's own block makes p', with its norms, rotations and masks. Heads do not see each other's queries and keys,
    so that one pass serves them all.
    """
    changes: dict[Node, Tensor] = {}
    for layer, own in groupby(sorted({node._replace(part=None) for node in nodes}, key=str), lambda node: node.layer):
        whole, name = list(own), f"blocks.{layer}.{PATTERN}"
        with Replaced(patching.model, donor, enumerate(whole)), Recorded(patching.model, [name]) as found:
            patching.blocks.run(base.states[layer].expand(len(whole), -1, -1), layer, layer + 1)
        changes |= dict(zip(whole, found.values[name] - base.values[name], strict=True))
    return changes


def qk_fixed(
    patching: Patching, base: Run, donor: Run, gradients: Mapping[str, Tensor], nodes: Sequence[Node]
) -> Tensor:
    """The QK fix, (p' - p) . dL/dp of queries and keys under each gradient, [n, R]."""
    changes, found = pattern_changes(patching, base, donor, nodes), []
    for node in nodes:
        change, slope = changes[node._replace(part=None)], gradients[f"blocks.{node.layer}.{PATTERN}"]
        group = len(change) // base.values[node.name].shape[1]  # heads that have this key; 1 for a query
        own = slice((node.part or 0) * group, ((node.part or 0) + 1) * group)
        found.append((change[own] * slope[:, own]).sum((1, 2, 3)))
    return torch.stack(found)


def estimates(
    patching: Patching, base: Run, donor: Run, answer: Answer, nodes: Sequence[Node], layers: Sequence[int]
) -> dict[str, Tensor]:
    """Estimated effects [n]: `atp`; `qk`, with the QK fix; `star`, AtP*, which has no sign. layers: those dropped."""
    gradients, depth = slopes(patching, base, answer, layers), len(patching.blocks)
    atp = first_order(base, donor, gradients, nodes)
    fixed, own = atp.clone(), [place for place, node in enumerate(nodes) if node.point in GROUPS["attention"]]
    fixed[own] = qk_fixed(patching, base, donor, gradients, [nodes[place] for place in own])
    star = fixed[:, 1:].abs().mean(1) * depth / (depth - 1)
    return {"atp": atp[:, 0], "qk": fixed[:, 0], "star": star}


def by_members(nodes: Sequence[Node], member: Tensor) -> list[list[Node]]:
    """The nodes of each half [S, n]."""
    return [[nodes[place] for place in row.nonzero()[:, 0].tolist()] for row in member]


@dataclass(frozen=True)
class Found:
    """What was found on a pair: effects [n] of nodes, in truth and as estimated, and how long each took.

    places: layer, number among KINDS, and part (-1 for none) of each node, [n, 3]. bounds, missed: after patching the
    best nodes by AtP*, and then as many at random: the bound, and the largest effect among those not patched.
    seconds: of a processor, by what was computed. seed: of all that is drawn at random, another for each pair.
    """

    family: str
    places: Tensor
    true: Tensor
    estimates: dict[str, Tensor]
    seconds: dict[str, float]
    seed: int
    bounds: tuple[float, ...] = ()
    missed: tuple[float, ...] = ()

    def group(self, name: str) -> Tensor:
        """Which nodes [n] are of a group."""
        return torch.isin(self.places[:, 1], torch.tensor([KINDS.index(kind) for kind in GROUPS[name]]))


def other_questions(model: Model, family: str) -> Sequence[Answer]:
    """Two metrics of other families, which have nothing to do with this one's answers."""
    return [asked(pairs(model, other, 1)[0]) for other in QUESTIONS if other != family][:2]


@dataclass(frozen=True)
class Plan:
    """How a pair is measured: random halves, the percentage of nodes patched before the bound, layers to drop, seed."""

    halves: int
    checked: int
    layers: tuple[int, ...]
    seed: int = 0

    @classmethod
    def of(cls, model: Model, halves: int, checked: int, dropped: int, seed: int) -> Plan:
        """With so many layers to drop, drawn at random; 0 is all of them."""
        order = torch.randperm(model.cfg.n_layers, generator=_drawn(seed)).tolist()
        return cls(halves, checked, tuple(sorted(order[: dropped or None])), seed)


def measure(model: Model, family: str, pair: Pair, plan: Plan, apart: bool = False) -> Found:
    """True and estimated effects of every node on a pair; `apart`, at single positions, without halves and bounds."""
    patching = Patching(model, pair.clean, pair.corrupted, POINTS)
    run, answer, nodes = (patching, patching.clean, patching.corrupted), asked(pair), nodes_of(patching, apart)
    true, whole = timed(lambda: true_effects(*run, answer, [[node] for node in nodes]))
    guessed, both = timed(lambda: estimates(*run, answer, nodes, plan.layers))
    _, alone = timed(lambda: first_order(*run[1:], slopes(*run[:2], answer), nodes))
    for place, other in enumerate(other_questions(model, family)):
        guessed[f"other {place}"] = first_order(*run[1:], slopes(*run[:2], other), nodes)[:, 0]
    seconds, seed = {"true": whole, "star": both, "atp": alone}, plan.seed + int(pair.clean.sum())
    found = Found(family, torch.tensor([_place(node) for node in nodes]), true, guessed, seconds, seed)
    if apart:
        return found
    member = halves(len(nodes), plan.halves, seed)
    effects, seconds["halves"] = timed(lambda: true_effects(*run, answer, by_members(nodes, member)))
    guessed["halves"] = by_halves(member, effects)
    orders = guessed["star"], torch.rand(len(nodes), generator=_drawn(seed))
    left = [places(order) >= len(nodes) * plan.checked // 100 for order in orders]
    patches = [by_members(nodes, halves(len(nodes), plan.halves, seed + 1, some)) for some in left]
    bounds = tuple(bound(true_effects(*run, answer, own)) for own in patches)
    return replace(found, bounds=bounds, missed=tuple(true[some].abs().max().item() for some in left))


def _place(node: Node) -> tuple[int, int, int]:
    return node.layer, KINDS.index(node.point), -1 if node.part is None else node.part


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# How good estimates are


@dataclass(frozen=True)
class Score:
    """A pair's nodes of one group, and how many of them count as top."""

    found: Found
    group: str
    top: int

    def of(self, measure: Callable[[Tensor, Tensor, int], float], estimate: str | Tensor) -> float:
        """`recall` or `checks` of an estimate, given by its name or as what it says of all nodes."""
        own, values = self.found.group(self.group), self._named(estimate)
        return measure(self.found.true[own], values[own], self.top)

    def saved(self, one: str, other: str | Tensor) -> float:
        """Halvings of the checks that it takes, from one estimate to the other."""
        return self.of(checks, one) - self.of(checks, other)

    def gained(self, one: str, other: str) -> float:
        """How much recall rises from one estimate to the other."""
        return self.of(recall, other) - self.of(recall, one)

    def dealt(self, other: str, one: str = "") -> Tensor:
        """What an estimate says beyond another, or beyond nothing, dealt anew among nodes of a kind, on top of that."""
        end, random = self._named(other), _drawn(self.found.seed)
        start = self._named(one) if one else torch.zeros_like(end)
        if other == "star":  # which has no sign
            start = start.abs()
        change, kinds = torch.zeros_like(end), self.found.places[:, 1]
        for own in ((kinds == kind).nonzero()[:, 0] for kind in range(len(KINDS))):
            change[own] = (end - start)[own[torch.randperm(len(own), generator=random)]]
        return start + change

    def less_short(self, fixed: str | Tensor) -> float:
        """The share of the true top nodes that AtP puts at less than half, less that of an estimate with the QK fix."""
        return self.among_top(short, "atp") - self.among_top(short, fixed)

    def closer(self, fixed: str | Tensor) -> float:
        """Halvings of AtP's mean error by the QK fix."""
        own = self.found.group(self.group)
        errors = [(self._named(estimate) - self.found.true)[own].abs().mean() for estimate in ("atp", fixed)]
        return (errors[0] / errors[1]).log2().item()

    def among_top(self, condition: Callable[[Tensor, Tensor], Tensor], estimate: str | Tensor) -> float:
        """The share of the true top nodes whose effect and estimate meet a condition."""
        own = self.found.group(self.group)
        true, guess = self.found.true[own], self._named(estimate)[own]
        best = true.abs().topk(self.top).indices
        return condition(true[best], guess[best]).double().mean().item()

    def agreement(self, estimate: str) -> float:
        """Spearman's rho of the sizes of true and estimated effects."""
        own = self.found.group(self.group)
        return spearman(self.found.true[own].abs(), self._named(estimate)[own].abs())

    def _named(self, estimate: str | Tensor) -> Tensor:
        return self.found.estimates[estimate] if isinstance(estimate, str) else estimate


def same_sign(true: Tensor, estimate: Tensor) -> Tensor:
    """Whether both have the same sign."""
    return true.sign() == estimate.sign()


def short(true: Tensor, estimate: Tensor) -> Tensor:
    """Whether the estimate is less than half of the truth."""
    return estimate.abs() < true.abs() / 2


COMPARED: Mapping[str, tuple[str, Callable[[Score], float]]] = {  # metrics by name: the nodes, and a pair's value
    "recall_atp": ("all", lambda score: score.of(recall, "atp")),
    "recall_atp_dealt": ("all", lambda score: score.of(recall, score.dealt("atp"))),
    "recall_star": ("all", lambda score: score.of(recall, "star")),
    "slope": ("all", lambda score: score.gained("other 0", "atp")),
    "slope_other": ("all", lambda score: score.gained("other 0", "other 1")),
    "sign": ("all", lambda score: score.among_top(same_sign, "atp") - 0.5),
    "sign_other": ("all", lambda score: score.among_top(same_sign, "other 0") - 0.5),
    "rank": ("all", lambda score: score.agreement("atp")),
    "rank_other": ("all", lambda score: score.agreement("other 0")),
    "short_attention": ("attention", lambda score: score.among_top(short, "atp")),
    "short_saved": ("attention", lambda score: score.less_short("qk")),
    "short_saved_dealt": ("attention", lambda score: score.less_short(score.dealt("qk", "atp"))),
    "recall_outputs": ("outputs", lambda score: score.of(recall, "atp")),
    "recall_attention": ("attention", lambda score: score.of(recall, "atp")),
    "qk_saved": ("attention", lambda score: score.saved("atp", "qk")),
    "qk_saved_dealt": ("attention", lambda score: score.saved("atp", score.dealt("qk", "atp"))),
    "qk_closer": ("attention", lambda score: score.closer("qk")),
    "qk_closer_dealt": ("attention", lambda score: score.closer(score.dealt("qk", "atp"))),
    "drop_saved": ("all", lambda score: score.saved("qk", "star")),
    "drop_saved_dealt": ("all", lambda score: score.saved("qk", score.dealt("star", "qk"))),
    "star_saved": ("all", lambda score: score.saved("atp", "star")),
    "star_saved_dealt": ("all", lambda score: score.saved("atp", score.dealt("star", "atp"))),
    "star_recall": ("all", lambda score: score.gained("atp", "star")),
    "rival": ("all", lambda score: score.saved("halves", "atp")),
    "rival_other": ("all", lambda score: score.saved("halves", "other 0")),
    "rival_works": ("all", lambda score: score.of(recall, "halves")),
}
APART = ("qk_saved", "drop_saved", "star_saved")


def metrics(found: Sequence[Found], apart: Sequence[Found], top: int, costs: Sequence[Cost]) -> list[Metric]:
    """Means over pairs of all that is compared, of nodes at all positions and of those at single ones."""
    toys = {"qk_toy": saturation_toy(), "drop_toy": cancellation_toy()}
    named = [mean_of(name, values) for name, values in toys.items()]
    for name, (group, of) in COMPARED.items():
        named.append(mean_of(name, [of(Score(one, group, top)) for one in found]))
    for name in APART:
        group, of = COMPARED[name]
        values = [of(Score(one, group, top)) for one in apart]
        named.append(mean_of(f"{name}_apart", values) if values else missing(f"{name}_apart"))
    return [*named, *of_bounds(found, top), *of_costs(found, costs)]


def of_bounds(found: Sequence[Found], top: int) -> list[Metric]:
    """How often the bound was exceeded, how it compares with the top's least effect, and with what was missed."""
    least = [one.true.abs().topk(top).values[-1].item() for one in found]
    ratios = {
        "bound_tight": [effect / one.bounds[0] for effect, one in zip(least, found, strict=True)],
        "bound_tight_drawn": [effect / one.bounds[1] for effect, one in zip(least, found, strict=True)],
        "bound_wide": [one.bounds[0] / one.missed[0] for one in found],
    }
    exceeded = share_of("bound_exceeded", sum(one.missed[0] > one.bounds[0] for one in found), len(found))
    return [exceeded, *(mean_of(name, list(map(log2, values))) for name, values in ratios.items())]


def of_costs(found: Sequence[Found], costs: Sequence[Cost]) -> list[Metric]:
    """Processor-seconds of a pair, how much longer a plain loop takes, and the share of the rate of products."""
    seconds = {f"seconds_{name}": [one.seconds[name] for one in found] for name in ("true", "atp", "star", "halves")}
    spent = {**seconds, "loop_ratio": [cost.ratio for cost in costs], "product_share": [cost.share for cost in costs]}
    return [plain(name, sum(values) / len(values), len(values)) for name, values in spent.items()]


def cost(model: Model, pair: Pair) -> Cost:
    """Of patching every node of a pair."""
    patching = Patching(model, pair.clean, pair.corrupted, KINDS)
    return patching_cost(patching, pair.clean, nodes_of(patching), looped=4)


# Cases whose answer is known


def saturated(gap: Tensor, moved: Tensor, value: Tensor) -> dict[str, Tensor]:
    """A query that prefers the first of two keys by gap, and by gap + moved when patched; L = value * p(first).

    What follows the softmax is linear, so that the QK fix must be exact.
    """
    before, after = torch.sigmoid(gap), torch.sigmoid(gap + moved)
    atp = value * before * (1 - before) * moved
    return {"true": value * torch.sigmoid(gap + moved) - value * before, "atp": atp, "qk": (after - before) * value}


def cancelling(size: Tensor, layers: int, slack: Tensor) -> dict[str, Tensor]:
    """A node that adds `size` to L directly, and takes all but a share `slack` of it away by way of a later layer.

    That layer adds -(1 - slack) min(x, size / 2), which follows the node only half of the way: in truth about half of
    its size is left, while the slope says next to nothing. Gradients are taken with each layer dropped.
    """
    x = torch.zeros_like(size).requires_grad_()
    later = -(1 - slack) * (x * size).minimum(size / 2)
    whole, direct = (torch.autograd.grad(end.sum(), x, retain_graph=True)[0] for end in (x * size + later, x * size))
    true = size - (1 - slack) * size / 2
    return {"true": true, "atp": whole, "star": (direct.abs() + (layers - 2) * whole.abs()) / (layers - 1)}


def fewer_checks(case: Mapping[str, Tensor], mended: str, top: int = 10) -> float:
    """Halvings of the checks that an estimate saves over AtP."""
    return checks(case["true"], case["atp"], top) - checks(case["true"], case[mended], top)


def saturation_toy(worlds: int = 24, nodes: int = 100) -> list[float]:
    """The positive control of the QK fix: worlds of queries of which many are saturated."""
    drawn = (torch.randn(3, nodes, generator=_drawn(seed)) for seed in range(worlds))
    return [fewer_checks(saturated(4 * gap, 4 * moved, value), "qk") for gap, moved, value in drawn]


def cancellation_toy(worlds: int = 24, nodes: int = 100, layers: int = 6) -> list[float]:
    """The positive control of GradDrop: worlds where five of the ten top nodes nearly cancel themselves, by slope.

    The others have no later layer that answers them, which a slack of 1 says.
    """
    strong = torch.arange(nodes) < 5
    sizes = (torch.randn(nodes, generator=_drawn(seed)).abs() + 8 * strong for seed in range(worlds))
    return [fewer_checks(cancelling(size, layers, torch.where(strong, 0.01, 1.0)), "star") for size in sizes]


# What is shown

STYLES = {"atp": "AtP", "qk": "QK fix", "star": "AtP*", "halves": "random halves", "other 0": "another question's AtP"}
TAKES = {"atp": "atp", "qk": "atp", "star": "star", "halves": "halves", "other 0": "atp"}  # the time it takes, nearly


def draw_cases() -> plt.Figure:
    """Both constructed cases: estimates by the truth, over how saturated, and over how nearly cancelled it is."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    gap, slack = torch.linspace(0, 14, 57), torch.logspace(-3, 0, 40)
    case = saturated(gap, -2 * gap - 1, torch.ones_like(gap))
    for name, label in (("atp", "AtP"), ("qk", "QK fix")):
        left.plot(gap, case[name] / case["true"], label=label)
    case = cancelling(torch.ones_like(slack), 30, slack)
    for name, label in (("atp", "AtP"), ("star", "GradDrop, 30 layers")):
        right.plot(slack, case[name] / case["true"], label=label)
    left.set(xlabel="gap of the two scores", ylabel="estimate by truth", title="A saturated softmax", ylim=(1e-5, 10))
    right.set(xlabel="share not cancelled, by slope", title="A direct effect undone later", xscale="log")
    for axes in (left, right):
        axes.set(yscale="log")
        axes.legend(fontsize=8)
    return figure


def recall_curve(found: Sequence[Found], name: str, top: int) -> tuple[Tensor, Tensor]:
    """Mean processor-seconds [n] and mean share of the true top nodes [n] once 1 to n nodes were patched in order."""
    most = len(found[0].true)
    patched = torch.arange(1, most + 1)
    shares = [(ranks(one.true, one.estimates[name], top)[:, None] < patched).double().mean(0) for one in found]
    seconds = [one.seconds[TAKES[name]] + one.seconds["true"] * patched / most for one in found]
    return torch.stack(seconds).mean(0), torch.stack(shares).mean(0)


def draw(found: Sequence[Found], top: int, costs: Sequence[Cost]) -> plt.Figure:
    """Recall of the true top nodes by time, and estimated by true effects of all nodes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for name in ("atp", "star", "halves", "other 0"):
        left.plot(*recall_curve(found, name, top), label=STYLES[name])
    whole = sum(one.seconds["true"] for one in found) / len(found)
    shares = torch.arange(1, 101) / 100
    left.plot(whole * shares, shares, ":", label="true effects, in any order")
    left.plot([whole * sum(cost.ratio for cost in costs) / len(costs)], [1], "D", label="a plain loop over all nodes")
    left.set(xscale="log", xlabel="processor-seconds a pair", ylabel=f"share of the true top {top}")
    kinds = torch.cat([one.places[:, 1] for one in found])
    true, atp = (torch.cat(side) for side in zip(*((one.true, one.estimates["atp"]) for one in found), strict=True))
    for kind, label in enumerate(("queries", "keys", "head outputs", "MLP outputs")):
        right.plot(true[kinds == kind], atp[kinds == kind], ".", ms=3, label=label)
    right.axline((0, 0), slope=1, lw=0.8, color="0.5")
    right.set(xlabel="true effect", ylabel="AtP", xscale="symlog", yscale="symlog")
    for axes, title in ((left, "Cost and agreement"), (right, "Every node of every pair")):
        axes.set(title=title)
        axes.legend(fontsize=7)
    return figure


MEASURES = {"true": "true effects", "atp": "AtP", "star": "AtP*", "other 0": "AtP of another question, a control"}
SHOWN = {QUERIES: "queries", HEADS: "head outputs"}


def grid(found: Sequence[Found]) -> dict[str, Any]:
    """The explorer's data: mean sizes of effects by layer and head, for each family, of queries and of outputs."""
    families = [list(own) for _, own in groupby(found, lambda one: one.family)]
    items = [_item(own, kind) for own, kind in product(families, SHOWN)]
    first = items[0]["values"]["true"]
    about = "Mean size of the change in log odds when a head's query or output comes from the other prompt."
    return {
        "title": "Which heads matter, and which are said to",
        "about": about,
        "rows": {"title": "layer", "names": list(range(len(first)))},
        "columns": {"title": "head", "names": list(range(len(first[0])))},
        "cell": {"one": "head", "many": "heads"},
        "item": {"one": "task", "many": "tasks"},
        "measures": [{"name": name, "title": title, "short": title.split(",")[0]} for name, title in MEASURES.items()],
        "items": items,
    }


def _item(found: Sequence[Found], kind: str) -> dict[str, Any]:
    own, title = found[0].places[:, 1] == KINDS.index(kind), f"{found[0].family}, {SHOWN[kind]}"
    values, layers = {}, int(found[0].places[:, 0].max()) + 1
    for name in MEASURES:
        sizes = torch.stack([{"true": one.true, **one.estimates}[name][own].abs() for one in found]).mean(0)
        values[name] = [[round(size, 4) for size in row] for row in sizes.view(layers, -1).tolist()]
    return {"name": title.replace(" ", "-").replace(",", ""), "title": title, "group": SHOWN[kind], "values": values}


def by_family(found: Sequence[Found], top: int) -> list[tuple[str, ...]]:
    """For each family: pairs, rank agreement of AtP, recall of AtP and AtP*, share of top nodes with a wrong sign."""
    rows = []
    for family, own in groupby(found, lambda one: one.family):
        scores = [Score(one, "all", top) for one in own]
        rank = [score.agreement("atp") for score in scores]
        recalls = [[score.of(recall, name) for score in scores] for name in ("atp", "star")]
        wrong = [1 - score.among_top(same_sign, "atp") for score in scores]
        means = (f"{sum(values) / len(scores):.2f}" for values in (rank, *recalls, wrong))
        rows.append((family, str(len(scores)), *means))
    return rows
