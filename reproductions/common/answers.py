"""Answers to prompts: what every head puts out at their last tokens, and how likely a model finds them.

Prompts are run once, all but their last token; then the same answers can be asked for under one edit after another.

Shapes: N prompts with some answers each, L layers, H heads in each, h = d_head, M = L H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from reproductions.common.edits import Edit, Edited, unembed
from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.common.substitution import LOGITS
from reproductions.common.text import opening

BATCH = 48  # rows in a pass


class Outputs(Hooked):
    """Reads z of every head at one position of each row, as `at` says."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.at, self.z = torch.empty(0, dtype=torch.long), list[Tensor]()

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One a layer, called in the order of the layers."""
        return [(f"blocks.{layer}.attn.hook_z", self._keep) for layer in range(self.model.cfg.n_layers)]

    def _keep(self, z: Tensor, hook: Any) -> None:
        self.z.append(z[torch.arange(len(z)), self.at])


class Answers:
    """A model's answers to prompts, which are run once, all but their last token; shorter ones are padded in front."""

    def __init__(self, model: Model, prompts: Sequence[str], answers: Sequence[Sequence[str]]) -> None:
        self.model = model
        rows = [torch.cat([torch.tensor([opening(model)]), self._tokens(prompt)]) for prompt in prompts]
        self.lengths = torch.tensor([len(row) - 1 for row in rows])
        self.last = torch.stack([row[-1] for row in rows])
        self.answers = [[self._tokens(f" {answer}") for answer in own] for own in answers]
        self._before = self._begun([row[:-1] for row in rows])

    def _tokens(self, text: str) -> Tensor:
        return torch.tensor(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _begun(self, beginnings: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Keys and values [N, heads, T, h] of each layer, run in the order of their lengths."""
        order, width, found = self.lengths.argsort(), int(self.lengths.max()), []
        for places in order.split(BATCH):
            rows = pad_sequence([beginnings[place] for place in places], batch_first=True, padding_side="left")
            cache, missing = self._run(rows, places, DynamicCache(), 0)[1], (0, 0, width - rows.shape[1], 0)
            found.append([(pad(own.keys, missing), pad(own.values, missing)) for own in cache.layers])
        back = order.argsort()
        return [tuple(torch.cat(kind)[back] for kind in zip(*own, strict=True)) for own in zip(*found, strict=True)]

    @torch.no_grad()
    def _run(self, rows: Tensor, places: Tensor, cache: DynamicCache, seen: int) -> tuple[Tensor, Any]:
        """Final states of rows [n, T], and the cache that grew by them; `seen` tokens stood there, padding counted."""
        padded = (seen or rows.shape[1]) - self.lengths[places]
        there = torch.arange(seen + rows.shape[1])[None] >= padded[:, None]
        at, device = (there.cumsum(1) - 1).clamp(min=0)[:, seen:], self.model.W_E.device
        given = {"attention_mask": there.long().to(device), "position_ids": at.to(device)}
        run = self.model.original_model.base_model
        found = run(rows.to(device), past_key_values=cache, use_cache=True, **given)
        return found.last_hidden_state, found.past_key_values

    def _follow(self, rows: Tensor, places: Tensor) -> Tensor:
        """Final states of rows [n, T] that follow the beginnings of the prompts at these places [n]."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._before):
            cache.update(keys[places], values[places], layer)
        return self._run(rows, places, cache, cache.get_seq_length())[0]

    def _batches(self, places: Sequence[int], which: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Numbers, places, rows of the prompts' last tokens and answers, and answers' lengths, in order of these."""
        pairs = [(place, self.answers[place][answer]) for place in places for answer in which]
        own, lengths = torch.tensor([place for place, _ in pairs]), torch.tensor([len(answer) for _, answer in pairs])
        for some in lengths.argsort().split(BATCH):
            padded = pad_sequence([pairs[number][1] for number in some], batch_first=True)
            yield some, own[some], torch.cat([self.last[own[some], None], padded], 1), lengths[some]

    def read(self, which: Sequence[int]) -> Tensor:
        """z of all heads at the last token of each answer, [N, answers, M, h]."""
        n, found = len(self.answers), torch.empty(0)
        for some, places, rows, lengths in self._batches(range(n), which):
            with Outputs(self.model) as outputs:
                outputs.at = lengths
                self._follow(rows, places)
            z = torch.cat(outputs.z, 1).cpu()
            found = found if len(found) else torch.empty(n * len(which), *z.shape[1:])
            found[some] = z
        return found.unflatten(0, (n, len(which)))

    def log_p(self, places: Sequence[int], which: Sequence[int], edits: Mapping[str, Edit] | None = None) -> Tensor:
        """Log-probabilities of answers, nats, [n, answers], edited where an answer's tokens are predicted."""
        found = torch.empty(len(places) * len(which))
        for some, own, rows, lengths in self._batches(places, which):
            counted = torch.arange(rows.shape[1] - 1)[None] < lengths[:, None]
            with Edited(self.model, edits or {}) as edited:
                edited.past = 1
                states = self._follow(rows[:, :-1], own)[counted]
            said = torch.zeros(counted.shape).masked_scatter(
                counted, log_probs(self.model, states, rows[:, 1:][counted])
            )
            found[some] = said.sum(1)
        return found.view(len(places), len(which))


@torch.no_grad()
def log_probs(model: Model, states: Tensor, tokens: Tensor) -> Tensor:
    """Log-probabilities [n] of tokens [n] after final states [n, d], some logits at a time."""
    parts = zip(states.split(LOGITS), tokens.to(states.device).split(LOGITS), strict=True)
    return torch.cat([-cross_entropy(unembed(model, some).float(), own, reduction="none").cpu() for some, own in parts])
