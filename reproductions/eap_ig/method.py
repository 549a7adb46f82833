"""Edge attribution with integrated gradients, and how faithful its circuits are (Hanna et al., arXiv 2403.17806).

An edge u -> v is scored by what it would change to cut it, to first order,

    (z'_u - z_u) . g_v,    g_v = dL / d(input of v) in the clean run                                            (EAP)
                           g_v = 1/m sum over k = 0 ... m - 1 of the same in runs from x' + k/m (x - x')     (EAP-IG)

with x, x' the embeddings of the clean and the corrupted prompt: as the authors' code has it, the corrupted point is
among the m, and the clean one is not. L is what the model says of the task's answers, or (EAP-IG with KL) the KL
divergence from its clean prediction.

A circuit is the first n edges of a search from the logits upstream. It is run on the clean prompt, and all other edges
carry what they carry in the corrupted run. It is faithful if L is as in the clean run. Its distance, for a pair, is
|L(circuit) - L(clean)|, as a share of the mean |L(clean) - L(corrupted)| of the task's pairs; what it keeps is
L(circuit) - L(corrupted) over the mean L(clean) - L(corrupted).

Edges are scored on some pairs and circuits run on others, in several deals: which pairs edges are scored on decides
what circuits are found, so that a deal is what counts as one case.

Shapes: S sources, D destinations, P pairs of prompts, n sizes of circuits, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common.answer_metrics import kl, logit_difference, probability
from reproductions.common.edges import EMBEDDING, Attending, Edges, Graph, among_nodes, circuit, dealt, drawn, greedy
from reproductions.common.metrics import Metric, mean_of, missing, plain
from reproductions.common.patching import HEADS, MLPS, Node, Patching
from reproductions.common.patching_cost import timed
from reproductions.common.prompt_pairs import Pair, pairs
from reproductions.common.stats import mean_interval

METHODS = {"eap": "EAP", "ig": "EAP-IG", "kl": "EAP-IG with KL"}


def probability_difference(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """p(right) - p(wrong) [...] for logits [..., V]."""
    return probability(logits, right) - probability(logits, wrong)


ANSWERS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "indirect objects": logit_difference,
    "agreement": probability_difference,
    "greater than": probability_difference,
    "capitals": logit_difference,
    "attraction": probability_difference,
}


def asked(task: str, pair: Pair) -> Callable[[Tensor], Tensor]:
    """L of a pair of prompts, [...] for logits [..., V]."""
    return lambda logits: ANSWERS[task](logits, pair.right, pair.wrong)


@dataclass(frozen=True)
class Scored:
    """The mean scores of all edges [S, D] by each method, and of each pair [P] what edges of the embedding add up to.

    sums: by `eap` and by `ig`; true: L(corrupted) - L(clean). degenerate: the largest score of EAP with KL over the
    largest of EAP-IG with KL.
    """

    scores: dict[str, Tensor]
    sums: dict[str, Tensor]
    true: Tensor
    degenerate: Tensor


@torch.no_grad()
def score(model: Attending, task: str, some: Sequence[Pair], steps: int) -> Scored:
    """Score all edges on some pairs of prompts of a task."""
    scores, sums, true, degenerate = dict[str, Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    for pair in some:
        edges, answer = Edges(model, pair.clean, pair.corrupted), asked(task, pair)
        clean, corrupted = edges.ends()
        found = pair_scores(edges, answer, clean, steps)
        degenerate.append(found.pop("eap_kl").abs().max() / found["kl"].abs().max())
        sums.append(torch.stack([found[method][EMBEDDING].sum() for method in ("eap", "ig")]))
        true.append(answer(corrupted) - answer(clean))
        scores = {method: scores.get(method, 0) + each / len(some) for method, each in found.items()}
    eap, ig = torch.stack(sums, dim=1)
    return Scored(scores, {"eap": eap, "ig": ig}, torch.stack(true).cpu(), torch.stack(degenerate))


def pair_scores(edges: Edges, answer: Callable[[Tensor], Tensor], clean: Tensor, steps: int) -> dict[str, Tensor]:
    """The scores [S, D] of one pair of prompts by each method, and by EAP with KL, from one run at steps + 1 points."""
    found: dict[str, Tensor] = {}
    gradients = edges.gradients(edges.between(steps), [answer, lambda logits: kl(logits, clean)])
    for (eap, ig), gradient in zip((("eap", "ig"), ("eap_kl", "kl")), gradients, strict=True):
        found |= {eap: edges.scores(gradient[-1]), ig: edges.scores(gradient[:-1].mean(0))}
    return found


@dataclass(frozen=True)
class Task:
    """A task: circuits by name, each of n sizes, and what was found on held-out pairs of prompts [P].

    edges [n]: how many each circuit has. answers, whole [P, n]: L, and the KL divergence from the clean prediction, of
    each circuit; clean, corrupted, apart [P]: L of both runs, and the KL divergence of the corrupted one. facts:
    numbers about the circuits. overlap [P]: of nodes with those that matter most, above chance. deals: so many, with
    as many pairs each, one after the other.
    """

    name: str
    size: int
    edges: list[int]
    scored: Scored
    answers: dict[str, Tensor]
    whole: dict[str, Tensor]
    clean: Tensor
    corrupted: Tensor
    apart: Tensor
    facts: dict[str, float]
    overlap: dict[str, Tensor]
    deals: int = 1

    def by_deal(self, values: Tensor) -> Tensor:
        """Means over the pairs of each deal, [deals, ...] for values [P, ...]."""
        return values.unflatten(0, (self.deals, -1)).mean(1)

    def distance(self, circuit: str, whole: bool = False) -> Tensor:
        """From the whole model, [P, n]: in L, or in KL divergence of the whole distribution."""
        if whole:
            return self.whole[circuit] / self.apart.mean()
        return (self.answers[circuit] - self.clean[:, None]).abs() / (self.clean - self.corrupted).abs().mean()

    def kept(self, circuit: str) -> Tensor:
        """What a circuit keeps of the behaviour, [P, n]."""
        return (self.answers[circuit] - self.corrupted[:, None]) / (self.clean - self.corrupted).mean()

    def nearer(self, one: str, other: str, whole: bool = False) -> Tensor:
        """How much nearer circuits of one name are than those of another, mean over sizes, [deals]."""
        return self.by_deal(self.distance(other, whole) - self.distance(one, whole)).mean(1)

    def overlapping(self) -> list[str]:
        """Distances of EAP-IG's circuit of one size, of one with its nodes, without its strongest and weakest tenth."""
        names = "compared", "nodes_0", "strongest", "weakest"
        return [f"{float(self.distance(name).mean()):.2f}" for name in names]


@dataclass(frozen=True)
class Settings:
    """Of each deal: pairs that edges are scored on, and others that circuits are run on; m; edges per thousand.

    exact: so many of the other pairs are patched node by node, too. seed: of pairs, and of edges that are drawn.
    """

    scored: int
    held: int
    steps: int
    sizes: Sequence[int]
    exact: int = 0
    seed: int = 0
    deals: int = 1


def measure(model: Attending, task: str, of: Settings) -> Task:
    """A task in several deals of its prompts, none of which is in two of them."""
    some, each = pairs(model, task, of.deals * (of.scored + of.held), of.seed), of.scored + of.held
    random = torch.Generator().manual_seed(of.seed)
    return joined([deal(model, task, some[at : at + each], of, random) for at in range(0, len(some), each)])


def joined(found: Sequence[Task]) -> Task:
    """Deals of a task as one."""
    first, scored = found[0], [one.scored for one in found]
    scores = {name: torch.stack([own.scores[name] for own in scored]).mean(0) for name in first.scored.scores}
    sums = {name: torch.cat([own.sums[name] for own in scored]) for name in first.scored.sums}
    true, degenerate = torch.cat([own.true for own in scored]), torch.cat([own.degenerate for own in scored])
    clean, corrupted, apart = (torch.cat([getattr(one, n) for one in found]) for n in ("clean", "corrupted", "apart"))
    answers, whole, shared = (
        {name: torch.cat([getattr(one, kind)[name] for one in found]) for name in getattr(first, kind)}
        for kind in ("answers", "whole", "overlap")
    )
    shares = {name: sum(one.facts[name] for one in found) / len(found) for name in first.facts}
    every = Scored(scores, sums, true, degenerate)
    ends = clean, corrupted, apart
    return Task(first.name, first.size, first.edges, every, answers, whole, *ends, shares, shared, len(found))


def deal(model: Attending, task: str, some: Sequence[Pair], of: Settings, random: torch.Generator) -> Task:
    """Score edges on the first of some pairs, and run circuits on the others; those at random are drawn for each."""
    graph, found = Graph.of(model), score(model, task, some[: of.scored], of.steps)
    edges = [max(1, round(int(graph.edges.sum()) * each / 1000)) for each in sorted(of.sizes)]
    circuits = chosen(graph, found, edges)
    runs, overlaps = [], []
    for place, pair in enumerate(some[of.scored :]):
        own = circuits | at_random(graph, circuits, random)
        runs.append(run(model, task, pair, own))
        if place < of.exact:
            overlaps.append(overlap(graph, own, effect(model, task, pair), compared(edges)))
    answers = {name: torch.stack([each.answers[name] for each in runs]) for name in runs[0].answers}
    whole = {name: torch.stack([each.whole[name] for each in runs]) for name in runs[0].whole}
    clean, corrupted, apart = torch.stack([each.ends for each in runs], dim=1)
    shared = {name: torch.tensor([each[name] for each in overlaps]) for name in (overlaps[0] if overlaps else ())}
    size, shares = int(graph.edges.sum()), facts(graph, circuits)
    return Task(task, size, edges, found, answers, whole, clean, corrupted, apart, shares, shared)


def identities(model: Attending, tasks: Sequence[str], seed: int) -> list[tuple[str, str, str]]:
    """The largest error of any logit: with all edges, against the clean run; with none, against the corrupted one."""
    rows = []
    for task in tasks:
        (pair,) = pairs(model, task, 1, seed)
        edges = Edges(model, pair.clean, pair.corrupted)
        circuits = torch.stack([edges.graph.edges, torch.zeros_like(edges.graph.edges)])
        whole, none = (edges.left(circuits) - edges.ends()).abs().amax(-1).tolist()
        rows.append((task, f"{whole:.0e}", f"{none:.0e}"))
    return rows


def compared(edges: Sequence[int]) -> int:
    """The place of the size at which overlaps are looked at: the last but one."""
    return max(len(edges) - 2, 0)


def chosen(graph: Graph, found: Scored, edges: Sequence[int]) -> dict[str, Tensor]:
    """Circuits [n, S, D] by each method; and [1, S, D] EAP-IG's of one size, without its strongest or weakest tenth."""
    searched = {name: greedy(graph, scores, max(edges)) for name, scores in found.scores.items()}
    circuits = {name: torch.stack([circuit(graph, order[:n]) for n in edges]) for name, order in searched.items()}
    at = compared(edges)
    own, few = searched["ig"][: edges[at]], tenth(edges[at])
    own = own[found.scores["ig"].abs()[own[:, 0], own[:, 1]].argsort(descending=True)]
    one = {
        "compared": circuits["ig"][at],
        "strongest": circuit(graph, own[few:]),
        "weakest": circuit(graph, own[:-few]),
    }
    return circuits | {name: each[None] for name, each in one.items()}


def tenth(edges: int) -> int:
    """Of a circuit's edges."""
    return max(1, round(edges / 10))


def at_random(graph: Graph, circuits: dict[str, Tensor], random: torch.Generator) -> dict[str, Tensor]:
    """Edges dealt anew [n, S, D]; at one size [1, S, D], edges among the same nodes, and less a tenth at random."""
    found = {
        f"{name}_dealt": torch.stack([dealt(graph, each, random) for each in circuits[name]]) for name in ("eap", "ig")
    }
    (own,) = circuits["compared"]
    for again in (0, 1):
        found[f"nodes_{again}"] = among_nodes(graph, own, random)[None]
        found[f"random_{again}"] = (own & ~drawn(own, tenth(int(own.sum())), random))[None]
    return found


def facts(graph: Graph, circuits: dict[str, Tensor]) -> dict[str, float]:
    """Shares of edges, mean over sizes: that both methods have, and that the embedding reaches."""
    both, either = circuits["eap"] & circuits["ig"], circuits["eap"] | circuits["ig"]
    found = {"shared": float((both.sum((1, 2)) / either.sum((1, 2))).mean())}
    for name in ("eap", "ig"):
        live = torch.stack([graph.live(each) for each in circuits[name]])
        found[f"live_{name}"] = float((live.sum((1, 2)) / circuits[name].sum((1, 2))).mean())
    return found


class Ran(NamedTuple):
    """A pair of prompts: L, and the KL divergence from the clean prediction, of circuits by name [n].

    ends [3]: L of the clean and of the corrupted run, and the divergence of the corrupted one.
    """

    answers: dict[str, Tensor]
    whole: dict[str, Tensor]
    ends: Tensor


def run(model: Attending, task: str, pair: Pair, circuits: dict[str, Tensor]) -> Ran:
    """Circuits by name [n, S, D] on a pair of prompts."""
    edges, answer, parts = (
        Edges(model, pair.clean, pair.corrupted),
        asked(task, pair),
        [len(own) for own in circuits.values()],
    )
    clean, corrupted = edges.ends()
    logits = edges.left(torch.cat(list(circuits.values())))
    answers = dict(zip(circuits, answer(logits).cpu().split(parts), strict=True))
    whole = dict(zip(circuits, kl(logits, clean).cpu().split(parts), strict=True))
    return Ran(answers, whole, torch.stack([answer(clean), answer(corrupted), kl(corrupted, clean)]).cpu())


@torch.no_grad()
def effect(model: Attending, task: str, pair: Pair) -> Tensor:
    """|change of L| when each head and MLP, in the graph's order, takes its value of the corrupted run, [S - 1]."""
    found, graph = Patching(model, pair.clean, pair.corrupted, [HEADS, MLPS]), Graph.of(model)
    nodes = [
        node
        for layer in range(graph.layers)
        for node in (*(Node(layer, HEADS, head) for head in range(graph.heads)), Node(layer, MLPS))
    ]
    states = found.patched(found.clean, found.corrupted, [[node] for node in nodes])
    clean, patched = (asked(task, pair)(found.logits(each)) for each in (found.clean.states[-1], states))
    return (patched - clean).abs().cpu()


def overlap(graph: Graph, circuits: dict[str, Tensor], effects: Tensor, at: int) -> dict[str, float]:
    """The share of circuits' nodes among as many of the largest effects [S - 1], above that of as many of each kind."""
    kinds, found = graph.source_kinds[1:], {}
    for name in ("ig", "eap", "ig_dealt"):
        nodes = graph.nodes(circuits[name][at])[1:]
        top = torch.zeros_like(nodes)
        top[effects.topk(int(nodes.sum())).indices] = True
        each = [kinds == kind for kind in kinds.unique()]
        chance = sum(float(top[kind].sum() * nodes[kind].sum() / kind.sum()) for kind in each)
        found[name] = (float((top & nodes).sum()) - chance) / (float(nodes.sum()) or math.nan)
    return found


def cost(model: Attending, pair: Pair, task: str, steps: int) -> dict[str, float]:
    """Processor-seconds for a pair of prompts: of all scores, of one run of a circuit, and of a run for every edge."""
    answer = asked(task, pair)
    edges, begin = timed(lambda: Edges(model, pair.clean, pair.corrupted))
    _, eap = timed(lambda: [edges.scores(each[0]) for each in edges.gradients(edges.clean.sources[:1], [answer])])
    _, ig = timed(lambda: [edges.scores(each.mean(0)) for each in edges.gradients(edges.between(steps)[:-1], [answer])])
    whole = edges.graph.edges[None]
    _, alone = timed(lambda: edges.left(whole))
    _, many = timed(lambda: edges.left(whole.expand(32, -1, -1)))
    each = {"seconds_each": begin + alone * int(whole.sum()), "seconds_run": many / 32}
    return {"seconds_eap": begin + eap, "seconds_ig": begin + ig, **each}


def metrics(found: Sequence[Task], costs: dict[str, float]) -> list[Metric]:
    """Of each task, missing where it was not run, and over the deals of all tasks."""
    named = {task.name: task for task in found}
    each = [metric for name in ANSWERS for metric in task_metrics(name.replace(" ", "_"), named.get(name))]
    pooled = {name: torch.cat([own(task) for task in found]) for name, own in POOLED.items()}
    overlaps = {f"overlap_{name}": torch.cat([task.overlap[name] for task in found]) for name in found[0].overlap}
    means = [mean_of(name, values.tolist()) for name, values in (pooled | overlaps).items()]
    shares = [plain(name, sum(task.facts[name] for task in found) / len(found), len(found)) for name in found[0].facts]
    worst = max(float(task.scored.degenerate.max()) for task in found)
    seconds = [plain(name, value, 1) for name, value in costs.items()]
    return [
        *each,
        *means,
        *shares,
        plain("degenerate", worst, len(pooled["complete"])),
        plain("edges", found[0].size, 1),
        *seconds,
    ]


def task_metrics(name: str, task: Task | None) -> Iterator[Metric]:
    """Of one task, each over its deals."""
    values: dict[str, Callable[[Task], Tensor]] = {
        f"gain_{name}": lambda task: task.nearer("ig", "eap"),
        f"gain_{name}_dealt": lambda task: task.nearer("ig_dealt", "eap_dealt"),
        f"gain_{name}_whole": lambda task: task.nearer("ig", "eap", whole=True),
        f"known_{name}": lambda task: task.nearer("ig", "ig_dealt"),
        **{f"kept_{method}_{name}": partial(_mean_kept, method) for method in METHODS},
    }
    return (mean_of(key, own(task).tolist()) if task else missing(key) for key, own in values.items())


def _mean_kept(method: str, task: Task) -> Tensor:
    return task.by_deal(task.kept(method)).mean(1)


def _missing(task: Task, method: str) -> Tensor:
    """How far the embedding's scores are from adding up, as a share of the mean change, [P]."""
    return (task.scored.sums[method] - task.scored.true).abs() / task.scored.true.abs().mean()


POOLED: dict[str, Callable[[Task], Tensor]] = {
    "gain_ig": lambda task: task.nearer("ig", "eap"),
    "gain_kl": lambda task: task.nearer("kl", "eap"),
    "same_nodes": lambda task: task.nearer("compared", "nodes_0"),
    "same_nodes_again": lambda task: task.nearer("nodes_1", "nodes_0"),
    "same_overlap": lambda task: task.nearer("weakest", "strongest"),
    "same_overlap_random": lambda task: task.nearer("random_1", "random_0"),
    "complete": lambda task: _missing(task, "eap") - _missing(task, "ig"),
    "missing_ig": lambda task: _missing(task, "ig"),
    "missing_eap": lambda task: _missing(task, "eap"),
}


def draw(found: Sequence[Task], costs: dict[str, float]) -> plt.Figure:
    """What circuits keep by how many edges they have, task by task; and what scores cost against how near they come."""
    figure, panels = plt.subplots(1, len(found) + 1, figsize=(3.1 * (len(found) + 1), 3.6), layout="constrained")
    for axes, task in zip(panels, found, strict=False):
        for name, words in (METHODS | {"ig_dealt": "as EAP-IG, edges dealt anew"}).items():
            axes.plot(task.edges, task.kept(name).mean(0), marker=".", label=words)
        axes.axhline(1, lw=0.8, ls=":", color=plt.rcParams["axes.labelcolor"])
        axes.set(xscale="log", xlabel=f"edges of {task.size:,}", title=task.name)
    panels[0].set_ylabel("share of the behaviour kept")
    for place, (name, seconds) in enumerate((("eap", costs["seconds_eap"]), ("ig", costs["seconds_ig"]))):
        distances = [float(task.distance(name).mean()) for task in found]
        panels[-1].scatter([seconds] * len(found), distances, s=18, color=f"C{place}")
    panels[-1].axvline(costs["seconds_each"], lw=0.8, ls=":", color=plt.rcParams["axes.labelcolor"])
    panels[-1].text(
        costs["seconds_each"], panels[-1].get_ylim()[0], "each edge\ncut alone ", ha="right", va="bottom", fontsize=8
    )
    panels[-1].set(xscale="log", xlabel="processor-seconds a pair", title="Distance, a dot a task")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def curves(found: Sequence[Task]) -> dict[str, Any]:
    """The explorer's data: what circuits keep by size, task by task, with intervals over deals."""
    sizes = [round(1000 * edges / found[0].size, 2) for edges in found[0].edges]
    series = [
        {"name": words, "group": task.name, **_band(task.by_deal(task.kept(name)))}
        for task in found
        for name, words in (METHODS | {"eap_dealt": "EAP's, dealt anew", "ig_dealt": "EAP-IG's, dealt anew"}).items()
    ]
    about = (
        "The share of a task's behaviour that is left where all edges but those of a circuit are corrupted; 1 is all."
    )
    x, y = {"title": "edges, per thousand", "values": sizes}, {"title": "share of the behaviour kept"}
    return {"title": "How faithful are circuits?", "about": about, "x": x, "y": y, "series": series}


def _band(values: Tensor) -> dict[str, list[float]]:
    """Mean and interval of each column of values [deals, n]."""
    lows, highs = zip(*(mean_interval(column) for column in values.T.tolist()), strict=True)
    rounded = {"values": values.mean(0).tolist(), "low": lows, "high": highs}
    return {key: [round(float(value), 4) for value in each] for key, each in rounded.items()}
