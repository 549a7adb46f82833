"""Are the heads that MAPS names the ones the model uses? Remove them and watch the task (section 4.2).

Heads are ranked on one half of a relation's pairs, from parameters alone; accuracy is measured on the other half.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model
from reproductions.common.stats import nan_mean
from reproductions.head_mapping.method import Pairs
from reproductions.head_mapping.relations import Relation
from reproductions.head_mapping.tasks import Answers, Head, HeadMask, Removal, Tasks, every_head

LEAST_ACCURACY = 0.1  # a task that the model does worse than this says nothing about its heads
LARGEST_OVERLAP = 0.15  # a control task shares fewer of its heads with the relation
LARGEST_BASE_GAP = 0.2  # and is about as easy for the model
MOST_CONTROLS = 5


def ranked_heads(phi: Tensor, most: int) -> list[Head]:
    """The heads with phi [L, H] above 0, best first; equal scores stand in the order of layer and head."""
    flat = phi.flatten()
    order = torch.argsort(flat, descending=True, stable=True)[:most]
    return [divmod(int(i), phi.shape[1]) for i in order if flat[i] > 0]


def layer_matched(
    heads: Sequence[Head], forbidden: Collection[Head], shape: tuple[int, int], generator: torch.Generator
) -> list[Head]:
    """As many random heads in each layer as `heads` has there, none of them forbidden; shape: (L, H).

    Where a layer has too few heads left, the nearest layers with free heads give the rest.
    """
    n_layers, n_heads = shape
    free = {layer: [head for head in range(n_heads) if (layer, head) not in forbidden] for layer in range(n_layers)}
    drawn: list[Head] = []
    for layer, _ in heads:
        donors = [other for other in sorted(free, key=lambda other: (abs(other - layer), other)) if free[other]]
        if not donors:
            break
        pool = free[donors[0]]
        drawn.append((donors[0], pool.pop(int(torch.randint(len(pool), (1,), generator=generator)))))
    return drawn


@dataclass(frozen=True)
class Control:
    """What another task loses: accuracy (a share) with a relation's heads and with random ones, nats with the first."""

    drop: float
    drop_random: float
    nats: float


@dataclass(frozen=True)
class Ablation:
    """What removing a relation's heads did: accuracies, each a share of the same held-out pairs.

    curve: accuracy after removing so many of the relation's heads as `counts` says; random: [draw][count] the same for
    layer-matched random heads; all_heads: with no head left. The nats are what the target's log-probability loses with
    all of the relation's heads, and with as many random ones.
    """

    relation: str
    n_pairs: int
    heads: tuple[Head, ...]
    drawn: tuple[Head, ...]  # the first draw of random heads
    base: float
    counts: tuple[int, ...]
    curve: tuple[float, ...]
    random: tuple[tuple[float, ...], ...]
    all_heads: float
    relation_nats: float
    random_nats: float
    controls: tuple[Control, ...] = ()

    @property
    def relation_drop(self) -> float:
        """The share of the base accuracy that is lost with all of the relation's heads."""
        return 1 - self.curve[-1] / self.base

    @property
    def random_drop(self) -> float:
        """The same with random heads, averaged over the draws."""
        return 1 - sum(draw[-1] for draw in self.random) / len(self.random) / self.base

    @property
    def all_drop(self) -> float:
        """The same with all heads of the model."""
        return 1 - self.all_heads / self.base

    @property
    def control_gap(self) -> float:
        """How much more the own task loses than the control tasks do; NaN without any."""
        return self.relation_drop - nan_mean([control.drop for control in self.controls])

    @property
    def control_gap_random(self) -> float:
        """The same with the first draw of random heads, removed from all of these tasks."""
        own = 1 - self.random[0][-1] / self.base
        return own - nan_mean([control.drop_random for control in self.controls])

    @property
    def control_nats(self) -> float:
        """As `control_gap`, in nats."""
        return self.relation_nats - nan_mean([control.nats for control in self.controls])


def ablate_relations(
    model: Model,
    relations: Mapping[str, Relation],
    pairs: Pairs,
    promoted: Tensor,
    *,
    seed: int,
    counts: Sequence[int],
    draws: int,
) -> list[Ablation]:
    """Ablate every relation that the model can do (base accuracy of 0.1 or more).

    Heads are ranked by promoted [N, L, H] on a random half of the pairs and removed on the other half. `counts` says
    after how many removed heads to measure, `draws` how many random sets of heads to compare with.
    """
    ranking, testing = pairs.halves(seed)
    phi = pairs.mean(promoted, ranking)
    heads = {name: ranked_heads(phi[index], max(counts)) for index, name in enumerate(pairs.names)}
    generator = torch.Generator().manual_seed(seed)
    with HeadMask(model) as mask:
        tasks = Tasks.of(mask, relations, pairs.select(testing & ~_shown(pairs, relations, model.tokenizer)))
        done = [name for name, own in heads.items() if own and tasks.base(name).accuracy >= LEAST_ACCURACY]
        plans = {name: Plan.of(heads[name], counts, _draw(heads[name], mask.shape, draws, generator)) for name in done}
        tasks = tasks.select(done)  # the others' keys and values are let go
        return ablate(tasks, plans)


@dataclass(frozen=True)
class Plan:
    """What is removed for a relation: its first heads, as many as each of `counts` says, and as many random ones."""

    heads: tuple[Head, ...]
    counts: tuple[int, ...]
    randoms: tuple[tuple[Head, ...], ...]

    @classmethod
    def of(cls, heads: Sequence[Head], counts: Sequence[int], randoms: Sequence[Sequence[Head]]) -> Plan:
        """A plan whose counts are cut to the heads there are."""
        cut = sorted({min(count, len(heads)) for count in counts})
        return cls(tuple(heads), tuple(cut), tuple(map(tuple, randoms)))

    @property
    def removals(self) -> list[Removal]:
        """The heads of each measurement, all random ones behind the relation's own."""
        return [chosen[:count] for chosen in (self.heads, *self.randoms) for count in self.counts]

    @property
    def foreign(self) -> list[Removal]:
        """What is removed from other tasks to compare with."""
        return [self.heads, self.randoms[0]]


def ablate(tasks: Tasks, plans: Mapping[str, Plan]) -> list[Ablation]:
    """Carry out each relation's plan on its own task and on its control tasks, and remove all heads."""
    bases = {name: tasks.base(name) for name in plans}
    controls = {name: control_tasks(name, plans, bases) for name in plans}
    asking = {name: [other for other in plans if name in controls[other]] for name in plans}
    wanted = {
        name: [
            *plan.removals,
            every_head(tasks.mask.shape),
            *itertools.chain(*(plans[o].foreign for o in asking[name])),
        ]
        for name, plan in plans.items()
    }
    answers = tasks.answers(wanted) if wanted else {}
    lost: dict[str, list[Control]] = {name: [] for name in plans}
    for name, plan in plans.items():
        foreign = answers[name][len(plan.removals) + 1 :]
        for other, own, random in zip(asking[name], foreign[::2], foreign[1::2], strict=True):
            lost[other].append(_control(bases[name], own, random))
    return [
        _ablation(name, plan, len(tasks.rows(name)), bases[name], answers[name], lost[name])
        for name, plan in plans.items()
    ]


def _ablation(
    name: str, plan: Plan, n_pairs: int, base: Answers, answers: Sequence[Answers], controls: Sequence[Control]
) -> Ablation:
    """What the answers to a plan's removals, and behind them those without any head, come to."""
    n = len(plan.removals)
    rows = [answers[start : start + len(plan.counts)] for start in range(0, n, len(plan.counts))]
    accuracy = [tuple(answer.accuracy for answer in row) for row in rows]
    nats = [base.log_prob - row[-1].log_prob for row in rows]
    return Ablation(
        relation=name,
        n_pairs=n_pairs,
        heads=plan.heads,
        drawn=plan.randoms[0],
        base=base.accuracy,
        counts=plan.counts,
        curve=accuracy[0],
        random=tuple(accuracy[1:]),
        all_heads=answers[n].accuracy,
        relation_nats=nats[0],
        random_nats=nan_mean(nats[1:]),
        controls=tuple(controls),
    )


def _control(base: Answers, own: Answers, random: Answers) -> Control:
    return Control(1 - own.accuracy / base.accuracy, 1 - random.accuracy / base.accuracy, base.log_prob - own.log_prob)


def control_tasks(name: str, plans: Mapping[str, Plan], bases: Mapping[str, Answers]) -> list[str]:
    """Up to five other tasks, about as easy as this one and with few heads in common."""
    own = set(plans[name].heads)
    return [
        other
        for other, plan in plans.items()
        if other != name
        and len(own & set(plan.heads)) < LARGEST_OVERLAP * len(plan.heads)
        and abs(bases[other].accuracy - bases[name].accuracy) < LARGEST_BASE_GAP
    ][:MOST_CONTROLS]


def _draw(heads: list[Head], shape: tuple[int, int], draws: int, generator: torch.Generator) -> list[list[Head]]:
    return [layer_matched(heads, set(heads), shape, generator) for _ in range(draws)]


def _shown(pairs: Pairs, relations: Mapping[str, Relation], tokenizer: Any) -> Tensor:
    """The pairs that their relation's prompt itself shows as examples: [N] of bool."""
    shown = torch.zeros_like(pairs.source, dtype=torch.bool)
    for index, relation in enumerate(relations.values()):
        ids = [tokenizer(" " + shot, add_special_tokens=False)["input_ids"][-1] for shot in relation.shots]
        shown |= (pairs.relation == index) & torch.isin(pairs.source, pairs.source.new_tensor(ids))
    return shown
