"""Are the heads that MAPS names the ones the model uses? Remove them and watch the task (section 4.2).

Heads are ranked on one half of a relation's pairs, from parameters alone; accuracy is measured on the other half. A
removed head's output z is set to zero at the last position only, so everything before that position stays as it was:
its keys and values are computed once, and each ablation costs a single token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.common.stats import nan_mean
from reproductions.head_mapping.dynamic import Prompt, repeated
from reproductions.head_mapping.method import Pairs
from reproductions.head_mapping.relations import Relation

Head = tuple[int, int]  # (layer, head)
BATCH_ROWS = 256  # prompts times ablations in one forward pass
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


class HeadMask(Hooked):
    """Multiplies every head's z at the last position by what is kept of it."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.shape = (model.cfg.n_layers, model.cfg.n_heads)
        self.kept: Tensor | None = None  # [n, L, H] for a batch of n, or nothing is removed

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on the output of every layer's heads."""
        return [(f"blocks.{layer}.attn.hook_z", self._hook(layer)) for layer in range(self.shape[0])]

    def remove(self, removals: Sequence[Sequence[Head]], n_prompts: int) -> None:
        """From now on remove these heads, for rows that go prompt by prompt and, within a prompt, by ablation."""
        kept = torch.ones(len(removals), *self.shape)
        for row, removed in enumerate(removals):
            for layer, head in removed:
                kept[row, layer, head] = 0.0
        self.kept = kept.repeat(n_prompts, 1, 1)

    def _hook(self, layer: int) -> Callable[..., Tensor]:
        def mask(z: Tensor, hook: Any) -> Tensor:
            if self.kept is None:
                return z
            z = z.clone()
            z[:, -1] *= self.kept[:, layer, :, None].to(z.device)
            return z

        return mask


class Answers(NamedTuple):
    """How well a task was done: the share of prompts whose most likely next token is the target, and its mean log p."""

    accuracy: float
    log_prob: float


@dataclass(frozen=True)
class Task:
    """A relation as a next-token task: everything up to the last position is already computed."""

    mask: HeadMask
    last: Tensor  # [N] the last token of each prompt
    target: Tensor  # [N]
    cache: Any  # keys and values of the positions before it
    logits: Tensor  # [N, V] what the whole model says there

    @classmethod
    @torch.no_grad()
    def of(cls, mask: HeadMask, relation: Relation, pairs: Pairs) -> Task:
        """The task of one relation's pairs, through its prompt."""
        mask.kept = None
        prompt = Prompt.of(relation.prompt, mask.model.tokenizer)
        tokens = prompt.fill(pairs.source[:, None])
        run = mask.model.original_model
        shared, own = tokens[:1, : len(prompt.before)], tokens[:, len(prompt.before) :]
        cache = run.base_model(shared, use_cache=True).past_key_values  # what stands before the source is shared by all
        cache.batch_repeat_interleave(len(tokens))
        logits = run(own, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        cache.crop(-1)
        return cls(mask, tokens[:, -1], pairs.target, cache, logits)

    @cached_property
    def base(self) -> Answers:
        """The answers of the whole model."""
        return Answers(*_graded(self.logits, self.target[:, None]).mean(0).tolist())

    def answers(self, removals: Sequence[Sequence[Head]]) -> list[Answers]:
        """The answers under each of several ablations; many of them go through the model together."""
        step = max(1, BATCH_ROWS // len(self.last))
        parts = [self._run(removals[start : start + step]) for start in range(0, len(removals), step)]
        return [Answers(*row) for part in parts for row in part.mean(1).tolist()]

    @torch.no_grad()
    def _run(self, removals: Sequence[Sequence[Head]]) -> Tensor:
        """Whether each prompt is answered right under each ablation, and its target's log-probability: [n, N, 2]."""
        n = len(removals)
        self.mask.remove(removals, n_prompts=len(self.last))
        last, target = (tokens.repeat_interleave(n)[:, None] for tokens in (self.last, self.target))
        run = self.mask.model.original_model
        logits = run(last, past_key_values=repeated(self.cache, n), use_cache=True).logits[:, -1]
        return _graded(logits, target).view(-1, n, 2).transpose(0, 1)


def _graded(logits: Tensor, target: Tensor) -> Tensor:
    """Whether the most likely token is the target [n, 1], and the target's log-probability: [n, 2]."""
    log_prob = logits.gather(1, target) - logits.logsumexp(1, keepdim=True)
    right = (logits.argmax(1, keepdim=True) == target).float()
    return torch.cat([right, log_prob], dim=1)


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
    model: Any,
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
        tasks = _tasks(mask, {name: relations[name] for name in heads if heads[name]}, pairs, testing)
        found = [
            ablate(task, name, heads[name], counts, _draw(heads[name], mask.shape, draws, generator))
            for name, task in tasks.items()
        ]
        return _with_controls(found, tasks)


def _tasks(mask: HeadMask, relations: Mapping[str, Relation], pairs: Pairs, testing: Tensor) -> dict[str, Task]:
    """The tasks that the model can do, on the pairs to test with that the prompt does not show."""
    tasks = {}
    for name, relation in relations.items():
        own = pairs.relation == pairs.names.index(name)
        rows = testing & own & ~_is_shot(pairs, relation, mask.model.tokenizer)
        if rows.any():
            tasks[name] = Task.of(mask, relation, pairs.select(rows))
    return {name: task for name, task in tasks.items() if task.base.accuracy >= LEAST_ACCURACY}


def ablate(
    task: Task, relation: str, heads: Sequence[Head], counts: Sequence[int], randoms: Sequence[list[Head]]
) -> Ablation:
    """Remove the first few of `heads`, as many as each of `counts` says, as many of each random draw, and all heads."""
    counts = tuple(sorted({min(count, len(heads)) for count in counts}))
    removals = [chosen[:count] for chosen in [list(heads), *randoms] for count in counts]
    *answers, without_any = task.answers([*removals, every_head(task.mask.shape)])
    rows = [answers[start : start + len(counts)] for start in range(0, len(answers), len(counts))]
    accuracy = [tuple(answer.accuracy for answer in row) for row in rows]
    nats = [task.base.log_prob - row[-1].log_prob for row in rows]
    return Ablation(
        relation=relation,
        n_pairs=len(task.target),
        heads=tuple(heads),
        drawn=tuple(randoms[0]),
        base=task.base.accuracy,
        counts=counts,
        curve=accuracy[0],
        random=tuple(accuracy[1:]),
        all_heads=without_any.accuracy,
        relation_nats=nats[0],
        random_nats=nan_mean(nats[1:]),
    )


def every_head(shape: tuple[int, int]) -> list[Head]:
    """All heads of a model of shape (L, H)."""
    return [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]


def _draw(heads: list[Head], shape: tuple[int, int], draws: int, generator: torch.Generator) -> list[list[Head]]:
    return [layer_matched(heads, set(heads), shape, generator) for _ in range(draws)]


def _is_shot(pairs: Pairs, relation: Relation, tokenizer: Any) -> Tensor:
    """The pairs that the prompt itself shows as examples: [N] of bool."""
    shown = [tokenizer(" " + shot, add_special_tokens=False)["input_ids"][-1] for shot in relation.shots]
    return torch.isin(pairs.source, torch.tensor(shown, dtype=torch.long, device=pairs.source.device))


def _with_controls(found: Sequence[Ablation], tasks: Mapping[str, Task]) -> list[Ablation]:
    """The ablations with what their control tasks lose; a task meets all that ask for it in one batch."""
    controls = {ablation.relation: control_tasks(ablation, found) for ablation in found}
    lost: dict[str, list[Control]] = {name: [] for name in controls}
    for other, task in tasks.items():
        asking = [ablation for ablation in found if other in controls[ablation.relation]]
        answers = task.answers([heads for ablation in asking for heads in (ablation.heads, ablation.drawn)])
        for ablation, own, random in zip(asking, answers[::2], answers[1::2], strict=True):
            drop, drop_random = (1 - answer.accuracy / task.base.accuracy for answer in (own, random))
            lost[ablation.relation].append(Control(drop, drop_random, task.base.log_prob - own.log_prob))
    return [replace(ablation, controls=tuple(lost[ablation.relation])) for ablation in found]


def control_tasks(ablation: Ablation, found: Sequence[Ablation]) -> list[str]:
    """Up to five other tasks, about as easy as this one and with few heads in common."""
    own = set(ablation.heads)
    return [
        other.relation
        for other in found
        if other.relation != ablation.relation
        and len(own & set(other.heads)) < LARGEST_OVERLAP * len(other.heads)
        and abs(other.base - ablation.base) < LARGEST_BASE_GAP
    ][:MOST_CONTROLS]
