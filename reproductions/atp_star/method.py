"""AtP*: which parts of a model matter, estimated from gradients, and what that misses (Kramar et al., 2403.00745)

A node n is a query, a key, a head's output or an MLP's output; L is a metric of the model's answer. Its effect is what
happens to L when it takes its value n' from another prompt while all else follows from the first one:

    I(n) = L(with n') - L        in truth, a pass for each node;
    AtP:      (n' - n) . dL/dn   for all nodes at once, two passes and a gradient;
    QK fix:   (p' - p) . dL/dp   for queries and keys, with p' the attention probabilities that n' really gives;
    GradDrop: sum over layers l of |I_l(n)| / (layers - 1), where I_l has no gradient through what layer l adds.

AtP* is the last two together. The paper's equations were not seen: these are those of summaries, and of an unofficial
replication's comments. Attention and MLP of a layer are dropped together. The bound on what was missed is derived here
(`bound`).

Shapes: n nodes, T positions that follow the shared beginning, K positions in all, R gradients, S subsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, product
from typing import Any

import torch
from matplotlib import pyplot as plt
from scipy.stats import chi2
from torch import Tensor

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.attribution import Metric as Answer
from reproductions.common.hooks import Hooked
from reproductions.common.metrics import Metric, mean_of, missing, plain, share_of
from reproductions.common.model import Model
from reproductions.common.patching import HEADS, MLPS, Node, Patching, Recorded, Replaced, Run
from reproductions.common.patching_cost import Cost, patching_cost, timed
from reproductions.common.prompt_pairs import Pair, pairs
from reproductions.common.stats import spearman

QUERIES, KEYS, PATTERN, ATTENTION = "attn.hook_q", "attn.hook_k", "attn.hook_pattern", "hook_attn_out"
KINDS = (QUERIES, KEYS, HEADS, MLPS)
GROUPS = {"all": KINDS, "attention": (QUERIES, KEYS), "outputs": (HEADS, MLPS)}
QUESTIONS = ("indirect objects", "greater than", "capitals")  # families whose answers have nothing in common
LEVEL = 0.95  # of the bound
BATCH = 128  # patches whose logits are held at once


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
    states = patching.patched(base, donor, patches)
    found = torch.cat([answer(patching.logits(some)) for some in states.split(BATCH)])
    return found - answer(patching.logits(base.states[-1]))


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
    total = answer(patching.logits(end)).sum()
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


def subsets(n: int, draws: int, seed: int, among: Tensor | None = None) -> Tensor:
    """Random halves of n nodes [S, n]: each of those `among` is in one with chance 1/2, whatever the others are."""
    halves = torch.rand(draws, n, generator=torch.Generator().manual_seed(seed)) < 0.5
    return halves if among is None else halves & among


def joint_effects(
    patching: Patching, base: Run, donor: Run, answer: Answer, nodes: Sequence[Node], member: Tensor
) -> Tensor:
    """The effect [S] of patching all nodes of a subset together."""
    patches = [[nodes[place] for place in row.nonzero()[:, 0].tolist()] for row in member]
    return true_effects(patching, base, donor, answer, patches)


def by_subsets(member: Tensor, effects: Tensor) -> Tensor:
    """A rival of AtP [n]: the mean effect of subsets that have a node less that of those that have not."""
    inside, outside = member.float(), (~member).float()
    return effects @ inside / inside.sum(0).clamp(min=1) - effects @ outside / outside.sum(0).clamp(min=1)


def bound(effects: Tensor) -> float:
    """An upper confidence bound for the largest effect of any one node, from joint effects [S] of random halves.

    Let f be the effect of a random half, and m(n) the mean over halves of the others of what adding n changes in f.
    Whatever the nodes do together, f = E f + sum over n of s_n m(n) / 2 + what is orthogonal to all these, with s_n = 1
    for members and -1 for others. So

        Var f >= sum over n of m(n)^2 / 4 >= max m(n)^2 / 4,

    and an upper bound for Var f, (S - 1) s^2 / chi2(0.05, S - 1) with the sample variance s^2, gives one for max |m|.
    The quantile is that of normal f. Where effects add up, m is what a node does alone, and f, a sum of signs, has
    lighter tails than a normal variable, which makes the bound safe in large samples; where nodes undo each other, m
    may be less than what a node does alone. Neither is certain in a model, so that it is put to the test.
    """
    freedom = len(effects) - 1
    return 2 * float(effects.std()) * (freedom / float(chi2.ppf(1 - LEVEL, freedom))) ** 0.5


@dataclass(frozen=True)
class Found:
    """What was found on a pair: effects [n] of nodes, in truth and as estimated, and how long each took.

    places: layer, number among KINDS, and part (-1 for none) of each node, [n, 3]. bounds, missed: after patching the
    best nodes by AtP*, and then as many at random: the bound, and the largest effect among those not patched.
    seconds: of a processor, by what was computed.
    """

    family: str
    places: Tensor
    true: Tensor
    estimates: dict[str, Tensor]
    seconds: dict[str, float]
    bounds: tuple[float, ...] = ()
    missed: tuple[float, ...] = ()

    def group(self, name: str) -> Tensor:
        """Which nodes [n] are of a group."""
        return torch.isin(self.places[:, 1], torch.tensor([KINDS.index(kind) for kind in GROUPS[name]]))


def asked(pair: Pair) -> Answer:
    """log p(right) - log p(wrong) behind the pair's clean prompt."""
    return lambda logits: logit_difference(logits, pair.right, pair.wrong)


def other_questions(model: Model, family: str) -> list[Answer]:
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
        order = torch.randperm(model.cfg.n_layers, generator=torch.Generator().manual_seed(seed)).tolist()
        return cls(halves, checked, tuple(sorted(order[: dropped or None])), seed)


def measure(model: Model, family: str, pair: Pair, plan: Plan, apart: bool = False) -> Found:
    """True and estimated effects of every node on a pair; `apart`, at single positions, without halves and bounds."""
    patching = Patching(model, pair.clean, pair.corrupted, (*KINDS, PATTERN))
    run, answer, nodes = (patching, patching.clean, patching.corrupted), asked(pair), nodes_of(patching, apart)
    true, whole = timed(lambda: true_effects(*run, answer, [[node] for node in nodes]))
    guessed, both = timed(lambda: estimates(*run, answer, nodes, plan.layers))
    _, alone = timed(lambda: first_order(*run[1:], slopes(*run[:2], answer), nodes))
    for place, other in enumerate(other_questions(model, family)):
        guessed[f"other {place}"] = first_order(*run[1:], slopes(*run[:2], other), nodes)[:, 0]
    seconds, places = {"true": whole, "star": both, "atp": alone}, torch.tensor([_place(node) for node in nodes])
    if apart:
        return Found(family, places, true, guessed, seconds)
    member = subsets(len(nodes), plan.halves, plan.seed)
    effects, seconds["halves"] = timed(lambda: joint_effects(*run, answer, nodes, member))
    guessed["halves"] = by_subsets(member, effects)
    left = [unpatched(order, plan.checked) for order in (guessed["star"], torch.rand(len(nodes), generator=_drawn(1)))]
    joint = [joint_effects(*run, answer, nodes, subsets(len(nodes), plan.halves, plan.seed + 1, some)) for some in left]
    missed = tuple(true[some].abs().max().item() for some in left)
    return Found(family, places, true, guessed, seconds, tuple(map(bound, joint)), missed)


def unpatched(order: Tensor, percent: int) -> Tensor:
    """Which nodes [n] are left when so many percent of them, the first by their estimates [n], were patched."""
    return order.abs().argsort(descending=True).argsort() >= len(order) * percent // 100


def _place(node: Node) -> tuple[int, int, int]:
    return node.layer, KINDS.index(node.point), -1 if node.part is None else node.part


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# How good estimates are


def ranks(true: Tensor, estimate: Tensor, top: int) -> Tensor:
    """The places, from 0 on, that an estimate gives to the nodes whose true effects are largest, [top]."""
    return estimate.abs().argsort(descending=True).argsort()[true.abs().topk(top).indices]


def recall(true: Tensor, estimate: Tensor, top: int) -> float:
    """The share of the true top nodes that are among the estimate's, above that of a draw at random."""
    return (ranks(true, estimate, top) < top).double().mean().item() - top / len(true)


def checks(true: Tensor, estimate: Tensor, top: int) -> float:
    """How many nodes must be patched, in the order of an estimate, to have met all true top nodes: doublings of top."""
    return ((ranks(true, estimate, top).max() + 1) / top).log2().item()


def dealt(found: Found, one: Tensor, other: Tensor) -> Tensor:
    """An estimate `one`, with what the `other` changes in it dealt anew among the nodes of the same kind."""
    change, random = torch.zeros_like(one), _drawn(int(found.true.abs().sum() * 1e4))
    for kind in range(len(KINDS)):
        own = (found.places[:, 1] == kind).nonzero()[:, 0]
        change[own] = (other - one)[own[torch.randperm(len(own), generator=random)]]
    return one + change


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

    def saved(self, one: str, other: str, shuffle: bool = False) -> float:
        """Halvings of the checks that it takes, from one estimate to the other; or to one dealt anew."""
        a, b = self._named(one).abs(), self._named(other).abs()
        return self.of(checks, a) - self.of(checks, dealt(self.found, a, b) if shuffle else b)

    def gained(self, one: str, other: str) -> float:
        """How much recall rises from one estimate to the other."""
        return self.of(recall, other) - self.of(recall, one)

    def fixed(self, shuffle: bool) -> Tensor:
        """AtP with the QK fix, or with its changes dealt anew."""
        atp, qk = self.found.estimates["atp"], self.found.estimates["qk"]
        return dealt(self.found, atp, qk) if shuffle else qk

    def fewer_short(self, shuffle: bool = False) -> float:
        """The share of the true top nodes that AtP puts at less than half, less that with the QK fix."""
        return self.among_top(short, "atp") - self.among_top(short, self.fixed(shuffle))

    def closer(self, shuffle: bool = False) -> float:
        """Halvings of AtP's mean error by the QK fix."""
        own, atp, after = self.found.group(self.group), self.found.estimates["atp"], self.fixed(shuffle)
        errors = [(estimate - self.found.true)[own].abs().mean() for estimate in (atp, after)]
        return (errors[0] / errors[1]).log2().item()

    def among_top(self, condition: Callable[[Tensor, Tensor], Tensor], estimate: str | Tensor) -> float:
        """The share of the true top nodes whose effect and estimate meet a condition."""
        own = self.found.group(self.group)
        true, guess = self.found.true[own], self._named(estimate)[own]
        best = true.abs().topk(self.top).indices
        return condition(true[best], guess[best]).double().mean().item()

    def chance(self, estimate: str = "atp") -> float:
        """Recall of the estimate dealt anew among nodes of the same kind."""
        values = self._named(estimate)
        return self.of(recall, dealt(self.found, torch.zeros_like(values), values))

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
    "recall_atp_dealt": ("all", lambda score: score.chance()),
    "recall_star": ("all", lambda score: score.of(recall, "star")),
    "slope": ("all", lambda score: score.gained("other 0", "atp")),
    "slope_other": ("all", lambda score: score.gained("other 0", "other 1")),
    "sign": ("all", lambda score: score.among_top(same_sign, "atp") - 0.5),
    "sign_other": ("all", lambda score: score.among_top(same_sign, "other 0") - 0.5),
    "rank": ("all", lambda score: score.agreement("atp")),
    "rank_other": ("all", lambda score: score.agreement("other 0")),
    "short_attention": ("attention", lambda score: score.among_top(short, "atp")),
    "short_saved": ("attention", lambda score: score.fewer_short()),
    "short_saved_dealt": ("attention", lambda score: score.fewer_short(shuffle=True)),
    "recall_outputs": ("outputs", lambda score: score.of(recall, "atp")),
    "recall_attention": ("attention", lambda score: score.of(recall, "atp")),
    "qk_saved": ("attention", lambda score: score.saved("atp", "qk")),
    "qk_saved_dealt": ("attention", lambda score: score.saved("atp", "qk", shuffle=True)),
    "qk_recall": ("attention", lambda score: score.gained("atp", "qk")),
    "qk_closer": ("attention", lambda score: score.closer()),
    "qk_closer_dealt": ("attention", lambda score: score.closer(shuffle=True)),
    "drop_saved": ("all", lambda score: score.saved("qk", "star")),
    "drop_saved_dealt": ("all", lambda score: score.saved("qk", "star", shuffle=True)),
    "drop_recall": ("all", lambda score: score.gained("qk", "star")),
    "star_saved": ("all", lambda score: score.saved("atp", "star")),
    "star_saved_dealt": ("all", lambda score: score.saved("atp", "star", shuffle=True)),
    "star_recall": ("all", lambda score: score.gained("atp", "star")),
}
OF_HALVES: Mapping[str, tuple[str, Callable[[Score], float]]] = {
    "rival": ("all", lambda score: score.saved("halves", "atp")),
    "rival_other": ("all", lambda score: score.saved("halves", "other 0")),
    "rival_works": ("all", lambda score: score.of(recall, "halves")),
}
APART = ("qk_saved", "drop_saved", "star_saved")


def metrics(found: Sequence[Found], apart: Sequence[Found], top: int, costs: Sequence[Cost]) -> list[Metric]:
    """Means over pairs of all that is compared, of nodes at all positions and of those at single ones."""
    toys = {"qk_toy": saturation_toy(), "drop_toy": cancellation_toy()}
    named = [mean_of(name, values) for name, values in toys.items()]
    for name, (group, of) in {**COMPARED, **OF_HALVES}.items():
        named.append(mean_of(name, [of(Score(one, group, top)) for one in found]))
    for name in APART:
        group, of = COMPARED[name]
        values = [of(Score(one, group, top)) for one in apart]
        named.append(mean_of(f"{name}_apart", values) if values else missing(f"{name}_apart"))
    return [*named, *of_bounds(found, top), *of_costs(found, costs)]


def of_bounds(found: Sequence[Found], top: int) -> list[Metric]:
    """How often the bound was exceeded, how it compares with the top's least effect, and with what was missed."""
    least = [one.true.abs().topk(top).values[-1].item() for one in found]
    tight, drawn = (
        [torch.tensor(effect / one.bounds[place]).log2().item() for effect, one in zip(least, found, strict=True)]
        for place in (0, 1)
    )
    wide = [torch.tensor(one.bounds[0] / one.missed[0]).log2().item() for one in found]
    exceeded = sum(one.missed[0] > one.bounds[0] for one in found)
    means = {"bound_tight": tight, "bound_tight_drawn": drawn, "bound_wide": wide}
    return [share_of("bound_exceeded", exceeded, len(found)), *(mean_of(name, own) for name, own in means.items())]


def of_costs(found: Sequence[Found], costs: Sequence[Cost]) -> list[Metric]:
    """Processor-seconds of a pair, how much longer a plain loop takes, and the share of the rate of products."""
    seconds = {f"seconds_{name}": [one.seconds[name] for one in found] for name in ("true", "atp", "star", "halves")}
    spent = {**seconds, "loop_ratio": [cost.ratio for cost in costs], "product_share": [cost.share for cost in costs]}
    return [plain(name, sum(values) / len(values), len(values)) for name, values in spent.items()]


def cost(model: Model, pair: Pair) -> Cost:
    """Of patching every node of a pair."""
    patching = Patching(model, pair.clean, pair.corrupted, KINDS)
    return patching_cost(patching, pair.clean, nodes_of(patching))


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


def saturation_toy(worlds: int = 24, nodes: int = 100, top: int = 10) -> list[float]:
    """The positive control of the QK fix: halvings of the checks, in worlds of queries of which many are saturated."""
    found = []
    for seed in range(worlds):
        gap, moved, value = torch.randn(3, nodes, generator=_drawn(seed)).unbind()
        case = saturated(4 * gap, 4 * moved, value)
        found.append(checks(case["true"], case["atp"], top) - checks(case["true"], case["qk"], top))
    return found


def cancellation_toy(worlds: int = 24, nodes: int = 100, layers: int = 6, top: int = 10) -> list[float]:
    """The positive control of GradDrop: halvings of the checks, where a tenth of the nodes nearly cancel themselves.

    Half of the top nodes are of these; the others have no later layer that answers them, which a slack of 1 says.
    """
    found = []
    for seed in range(worlds):
        size, strong = torch.randn(nodes, generator=_drawn(seed)).abs(), torch.arange(nodes) < top // 2
        slack = torch.where(strong, 0.01, 1.0)
        case = cancelling(torch.where(strong, 8 + size, size), layers, slack)
        found.append(checks(case["true"], case["atp"], top) - checks(case["true"], case["star"], top))
    return found


# What is shown

STYLES = {
    "atp": "AtP",
    "qk": "AtP with the QK fix",
    "star": "AtP*",
    "halves": "random halves",
    "other 0": "AtP of another question",
}
TAKES = {"atp": "atp", "qk": "atp", "star": "star", "halves": "halves", "other 0": "atp"}  # the time it takes, nearly


def draw_cases() -> plt.Figure:
    """Both constructed cases: estimates by the truth, over how saturated, and over how nearly cancelled it is."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    gap, slack = torch.linspace(0, 14, 57), torch.logspace(-3, 0, 40)
    case = saturated(gap, -2 * gap - 1, torch.ones_like(gap))
    for name in ("atp", "qk"):
        left.plot(gap, case[name] / case["true"], label=STYLES[name])
    left.set(
        xlabel="gap of the two scores",
        ylabel="estimate by truth",
        title="A saturated softmax",
        yscale="log",
        ylim=(1e-5, 10),
    )
    case = cancelling(torch.ones_like(slack), 30, slack)
    for name in ("atp", "star"):
        right.plot(slack, case[name] / case["true"], label=STYLES[name] if name == "atp" else "GradDrop, 30 layers")
    right.set(
        xscale="log", yscale="log", xlabel="share that is not cancelled, by slope", title="A direct effect undone later"
    )
    for axes in (left, right):
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
        seconds, share = recall_curve(found, name, top)
        left.plot(seconds, share, label=STYLES[name])
    whole = sum(one.seconds["true"] for one in found) / len(found)
    shares = torch.arange(1, 101) / 100
    left.plot(whole * shares, shares, ":", label="true effects, in any order")
    left.plot([whole * sum(cost.ratio for cost in costs) / len(costs)], [1], "D", label="a plain loop over all nodes")
    left.set(
        xscale="log",
        xlabel="processor-seconds a pair",
        ylabel=f"share of the true top {top}",
        title="Cost and agreement",
    )
    left.legend(fontsize=7, loc="lower right")
    for kind in range(len(KINDS)):
        points = [
            (one.true[own], one.estimates["atp"][own]) for one in found if (own := one.places[:, 1] == kind).any()
        ]
        x, y = (torch.cat(side) for side in zip(*points, strict=True))
        right.plot(x, y, ".", ms=3, label=("queries", "keys", "head outputs", "MLP outputs")[kind])
    right.axline((0, 0), slope=1, lw=0.8, color="0.5")
    right.set(xlabel="true effect", ylabel="AtP", title="Every node of every pair", xscale="symlog", yscale="symlog")
    right.legend(fontsize=7)
    return figure


MEASURES = {
    "true": ("true effects", "true"),
    "atp": ("estimated by AtP", "AtP"),
    "star": ("estimated by AtP*", "AtP*"),
    "other 0": ("estimated by AtP of another question, a control", "other"),
}
SHOWN = {QUERIES: "queries", HEADS: "head outputs"}


def grid(found: Sequence[Found]) -> dict[str, Any]:
    """The explorer's data: mean sizes of effects by layer and head, for each family, of queries and of outputs."""
    families = list(dict.fromkeys(one.family for one in found))
    rows = [_item([one for one in found if one.family == family], kind) for family in families for kind in SHOWN]
    layers, heads = (len(side) for side in (rows[0]["values"]["true"], rows[0]["values"]["true"][0]))
    return {
        "title": "Which heads matter, and which are said to",
        "about": "Mean size of the change in log odds when a head's query or output comes from the other prompt.",
        "rows": {"title": "layer", "names": list(range(layers))},
        "columns": {"title": "head", "names": list(range(heads))},
        "cell": {"one": "head", "many": "heads"},
        "item": {"one": "task", "many": "tasks"},
        "measures": [{"name": name, "title": title, "short": brief} for name, (title, brief) in MEASURES.items()],
        "items": rows,
    }


def _item(found: Sequence[Found], kind: str) -> dict[str, Any]:
    own = found[0].places[:, 1] == KINDS.index(kind)
    layers = int(found[0].places[:, 0].max()) + 1
    means = {
        name: torch.stack([(one.true if name == "true" else one.estimates[name])[own].abs() for one in found]).mean(0)
        for name in MEASURES
    }
    values = {
        name: [[round(v, 4) for v in row] for row in mean.view(layers, -1).tolist()] for name, mean in means.items()
    }
    title = f"{found[0].family}, {SHOWN[kind]}"
    return {"name": title.replace(" ", "-").replace(",", ""), "title": title, "group": SHOWN[kind], "values": values}


def by_family(found: Sequence[Found], top: int) -> list[tuple[str, ...]]:
    """For each family: pairs, rank agreement of AtP, recall of AtP and AtP*, share of top nodes with a wrong sign."""
    rows = []
    for family, own in groupby(found, lambda one: one.family):
        scores = [Score(one, "all", top) for one in own]
        numbers = {
            "rank": [score.agreement("atp") for score in scores],
            "atp": [score.of(recall, "atp") for score in scores],
            "star": [score.of(recall, "star") for score in scores],
            "wrong": [1 - score.among_top(same_sign, "atp") for score in scores],
        }
        rows.append((family, str(len(scores)), *(f"{sum(own) / len(own):.2f}" for own in numbers.values())))
    return rows
