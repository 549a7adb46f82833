"""Relations as next-token tasks, answered by a model with some of its heads removed (section 4.2).

A removed head's output z is set to zero at the last position only, so everything before that position stays as it was:
its keys and values are computed once, and each answer costs a single token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.head_mapping.dynamic import Prompt, selected
from reproductions.head_mapping.method import Pairs
from reproductions.head_mapping.relations import Relation

Head = tuple[int, int]  # (layer, head)
Removal = Sequence[Head]  # the heads that are removed at once
BATCH_ROWS = 256  # prompts in one forward pass


def every_head(shape: tuple[int, int]) -> list[Head]:
    """All heads of a model of shape (L, H)."""
    return [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]


class HeadMask(Hooked):
    """Multiplies every head's z at the last position by what is kept of it."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.shape = (model.cfg.n_layers, model.cfg.n_heads)
        self.kept: Tensor | None = None  # [n, L, H] for a batch of n, or nothing is removed

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One on the output of every layer's heads."""
        return [(f"blocks.{layer}.attn.hook_z", self._hook(layer)) for layer in range(self.shape[0])]

    def keeping(self, removals: Sequence[Removal]) -> Tensor:
        """What each removal keeps of every head: [n, L, H] of 1 and 0."""
        kept = torch.ones(len(removals), *self.shape)
        for row, removed in enumerate(removals):
            kept[row, [layer for layer, _ in removed], [head for _, head in removed]] = 0.0
        return kept

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
class Tasks:
    """Relations as tasks, N prompts in all: everything up to the last position is already computed.

    So that all go through the model together, prompts are padded where they begin and where the source begins; no
    attention sees the padding, and no position counts it.
    """

    mask: HeadMask
    names: tuple[str, ...]
    relation: Tensor  # [N] index into `names`
    last: Tensor  # [N] the last token of each prompt
    target: Tensor  # [N]
    seen: Tensor  # [N, length] of int: 1 where a prompt has a token
    cache: Any  # keys and values of all positions but the last
    whole: Tensor  # [N, 2] how the whole model answers, as `_graded`

    @classmethod
    @torch.no_grad()
    def of(cls, mask: HeadMask, relations: Mapping[str, Relation], pairs: Pairs) -> Tasks:
        """The tasks of all relations of `pairs`, through their prompts; what stands before the source runs once each.

        relations: those that `pairs` names, in that order.
        """
        mask.kept = None
        prompts = [Prompt.of(relation.prompt, mask.model.tokenizer) for relation in relations.values()]
        device = pairs.source.device
        shared, shared_seen = _padded([prompt.before for prompt in prompts], device)
        of = pairs.relation.tolist()
        own, own_seen = _padded(
            [(source, *prompts[place].after) for source, place in zip(pairs.source.tolist(), of, strict=True)], device
        )
        seen = torch.cat([shared_seen[pairs.relation], own_seen], dim=1)
        run = mask.model.original_model
        where = {"attention_mask": shared_seen, "position_ids": _positions(shared_seen)}
        before = run.base_model(shared, **where, use_cache=True).past_key_values
        cache = selected(before, pairs.relation)
        logits = run(own, **_behind(cache, seen), logits_to_keep=1).logits[:, -1]
        cache.crop(-1)
        whole = _graded(logits, pairs.target[:, None])
        return cls(mask, tuple(relations), pairs.relation, own[:, -1], pairs.target, seen, cache, whole)

    def select(self, names: Sequence[str]) -> Tasks:
        """Some of the tasks."""
        places = torch.tensor([self.names.index(name) for name in names], dtype=torch.long, device=self.last.device)
        rows = torch.isin(self.relation, places).nonzero().squeeze(1)
        parts = {name: getattr(self, name)[rows] for name in ("relation", "last", "target", "seen", "whole")}
        return replace(self, cache=selected(self.cache, rows), **parts)

    def rows(self, name: str) -> Tensor:
        """The prompts of a task: numbers."""
        return (self.relation == self.names.index(name)).nonzero().squeeze(1)

    def base(self, name: str) -> Answers:
        """The whole model's answers to a task."""
        return Answers(*self.whole[self.rows(name)].mean(0).tolist())

    def answers(self, removals: Mapping[str, Sequence[Removal]]) -> dict[str, list[Answers]]:
        """The answers to each task under each of several removals of its own."""
        rows = {name: self.rows(name) for name in removals}
        row = torch.cat([rows[name].repeat(len(own)) for name, own in removals.items()])
        kept = [self.mask.keeping(own).repeat_interleave(len(rows[name]), dim=0) for name, own in removals.items()]
        parts = zip(row.split(BATCH_ROWS), torch.cat(kept).split(BATCH_ROWS), strict=True)
        graded = torch.cat([self._run(*part) for part in parts])
        by_task = graded.split([len(rows[name]) * len(own) for name, own in removals.items()])
        return {
            name: [Answers(*found) for found in one.view(len(own), -1, 2).mean(1).tolist()]
            for (name, own), one in zip(removals.items(), by_task, strict=True)
        }

    @torch.no_grad()
    def _run(self, row: Tensor, kept: Tensor) -> Tensor:
        """How prompts [n] are answered with `kept` [n, L, H] of the heads: [n, 2]."""
        self.mask.kept = kept
        last = _behind(selected(self.cache, row), self.seen[row])
        logits = self.mask.model.original_model(self.last[row][:, None], **last).logits[:, -1]
        return _graded(logits, self.target[row][:, None])


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids of one length, with zeros on the left of shorter rows, and 1 where there are tokens: [n, length]."""
    length = max(map(len, rows))
    tokens = torch.tensor([[*[0] * (length - len(row)), *row] for row in rows], device=device)
    seen = torch.tensor([[*[0] * (length - len(row)), *[1] * len(row)] for row in rows], device=device)
    return tokens, seen


def _positions(seen: Tensor) -> Tensor:
    """The position of each token among those that are seen."""
    return (seen.cumsum(1) - 1).clamp(min=0)


def _behind(cache: Any, seen: Tensor) -> dict[str, Any]:
    """What a pass needs that goes on behind a cache; seen: 1 where there are tokens, in the cache and behind it."""
    positions = _positions(seen)[:, cache.get_seq_length() :]
    return {"past_key_values": cache, "attention_mask": seen, "position_ids": positions, "use_cache": True}


def _graded(logits: Tensor, target: Tensor) -> Tensor:
    """Whether the most likely token is the target [n, 1], and the target's log-probability: [n, 2]."""
    log_prob = logits.gather(1, target) - logits.logsumexp(1, keepdim=True)
    right = (logits.argmax(1, keepdim=True) == target).float()
    return torch.cat([right, log_prob], dim=1)
