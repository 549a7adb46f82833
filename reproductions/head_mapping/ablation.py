"""Are the heads that MAPS names the ones the model uses? Remove them and watch the task (section 4.2).

Heads are ranked on one half of a relation's pairs, from parameters alone; accuracy is measured on the other half. A
removed head's output z is set to zero at the last position only, so everything before that position stays as it was:
its keys and values are computed once, and each ablation costs a single token.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.head_mapping.dynamic import Prompt
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


@dataclass(frozen=True)
class Task:
    """A relation as a next-token task: everything up to the last position is already computed."""

    mask: HeadMask
    last: Tensor  # [N] the last token of each prompt
    target: Tensor  # [N]
    cache: Any  # keys and values of the positions before it

    @classmethod
    @torch.no_grad()
    def of(cls, mask: HeadMask, relation: Relation, pairs: Pairs) -> Task:
        """The task of one relation's pairs, through its prompt."""
        mask.kept = None
        prompt = Prompt.of(relation.prompt, mask.model.tokenizer)
        tokens = prompt.fill(pairs.source[:, None])
        run = mask.model.original_model.base_model
        shared, own = tokens[:1, : len(prompt.before)], tokens[:, len(prompt.before) : -1]
        cache = run(shared, use_cache=True).past_key_values  # what stands before the source is the same in all prompts
        cache.batch_repeat_interleave(len(tokens))
        if own.shape[1]:
            cache = run(own, past_key_values=cache, use_cache=True).past_key_values
        return cls(mask, tokens[:, -1], pairs.target, cache)

    @cached_property
    def base(self) -> float:
        """The accuracy of the whole model: the share of prompts whose most likely next token is the target."""
        return self.accuracy()

    def accuracy(self, removed: Sequence[Head] = ()) -> float:
        """The accuracy with these heads removed."""
        return self.accuracies([removed])[0]

    def accuracies(self, removals: Sequence[Sequence[Head]]) -> list[float]:
        """The accuracy of each of several ablations; many of them go through the model together."""
        if not removals:
            return []
        step = max(1, BATCH_ROWS // len(self.last))
        parts = [self._correct(removals[start : start + step]) for start in range(0, len(removals), step)]
        return torch.cat(parts).mean(1).tolist()

    @torch.no_grad()
    def _correct(self, removals: Sequence[Sequence[Head]]) -> Tensor:
        """Whether each prompt is answered right under each ablation: [n_removals, N]."""
        n = len(removals)
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(n)
        self.mask.remove(removals, n_prompts=len(self.last))
        last = self.last.repeat_interleave(n)[:, None]
        logits = self.mask.model.original_model(last, past_key_values=cache, use_cache=True).logits[:, -1]
        return (logits.argmax(-1) == self.target.repeat_interleave(n)).float().view(-1, n).T


@dataclass(frozen=True)
class Ablation:
    """What removing a relation's heads did: accuracies, each a share of the same held-out pairs."""

    relation: str
    n_pairs: int
    heads: tuple[Head, ...]
    base: float
    counts: tuple[int, ...]  # how many heads were removed
    curve: tuple[float, ...]  # accuracy after removing that many of the relation's heads
    random: tuple[tuple[float, ...], ...]  # [draw][count]: as many layer-matched random heads
    control_drops: tuple[float, ...] = ()  # share of accuracy lost by other tasks when all of the heads are removed

    @property
    def relation_drop(self) -> float:
        """The share of the base accuracy that is lost with all of the relation's heads."""
        return 1 - self.curve[-1] / self.base

    @property
    def random_drop(self) -> float:
        """The same with random heads, averaged over the draws."""
        return 1 - sum(draw[-1] for draw in self.random) / len(self.random) / self.base


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
        drops = _control_drops(tasks, heads)
        return [
            replace(
                ablate(task, name, heads[name], counts, _draw(heads[name], mask.shape, draws, generator)),
                control_drops=drops[name],
            )
            for name, task in tasks.items()
        ]


def _tasks(mask: HeadMask, relations: Mapping[str, Relation], pairs: Pairs, testing: Tensor) -> dict[str, Task]:
    """The tasks that the model can do, on the pairs to test with that the prompt does not show."""
    tasks = {}
    for name, relation in relations.items():
        own = pairs.relation == pairs.names.index(name)
        rows = testing & own & ~_is_shot(pairs, relation, mask.model.tokenizer)
        if rows.any():
            tasks[name] = Task.of(mask, relation, pairs.select(rows))
    return {name: task for name, task in tasks.items() if task.base >= LEAST_ACCURACY}


def ablate(
    task: Task, relation: str, heads: Sequence[Head], counts: Sequence[int], randoms: Sequence[list[Head]]
) -> Ablation:
    """Remove the first few of `heads`, as many as each of `counts` says, and as many of each random draw."""
    counts = tuple(sorted({min(count, len(heads)) for count in counts}))
    removals = [chosen[:count] for chosen in [list(heads), *randoms] for count in counts]
    accuracies = task.accuracies(removals)
    curves = [tuple(accuracies[start : start + len(counts)]) for start in range(0, len(accuracies), len(counts))]
    return Ablation(relation, len(task.target), tuple(heads), task.base, counts, curves[0], tuple(curves[1:]))


def _draw(heads: list[Head], shape: tuple[int, int], draws: int, generator: torch.Generator) -> list[list[Head]]:
    return [layer_matched(heads, set(heads), shape, generator) for _ in range(draws)]


def _is_shot(pairs: Pairs, relation: Relation, tokenizer: Any) -> Tensor:
    """The pairs that the prompt itself shows as examples: [N] of bool."""
    shown = [tokenizer(" " + shot, add_special_tokens=False)["input_ids"][-1] for shot in relation.shots]
    return torch.isin(pairs.source, torch.tensor(shown, dtype=torch.long, device=pairs.source.device))


def _control_drops(tasks: Mapping[str, Task], heads: Mapping[str, list[Head]]) -> dict[str, tuple[float, ...]]:
    """For each relation, what its control tasks lose with its heads; a task meets all that ask for it in one batch."""
    controls = {name: _controls(name, tasks, heads) for name in tasks}
    drops: dict[str, list[float]] = {name: [] for name in tasks}
    for other, task in tasks.items():
        asking = [name for name in tasks if other in controls[name]]
        for name, accuracy in zip(asking, task.accuracies([heads[name] for name in asking]), strict=True):
            drops[name].append(1 - accuracy / task.base)
    return {name: tuple(found) for name, found in drops.items()}


def _controls(name: str, tasks: Mapping[str, Task], heads: Mapping[str, list[Head]]) -> list[str]:
    """Up to five other tasks, about as easy as this one and with few heads in common."""
    own = set(heads[name])
    return [
        other
        for other, task in tasks.items()
        if other != name
        and len(own & set(heads[other])) < LARGEST_OVERLAP * len(heads[other])
        and abs(task.base - tasks[name].base) < LARGEST_BASE_GAP
    ][:MOST_CONTROLS]
