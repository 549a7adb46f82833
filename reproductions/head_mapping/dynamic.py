"""What heads really write when the model reads a source in a sentence: the dynamic scores of MAPS (section 4.1).

*With context*: what a head writes at the last position of a prompt, as it is. *Without context*: what it would write
there if it attended to the source alone. Attention of weight 1 on the source makes the head output that position's
value vector times W_O, so one clean forward pass yields both; no second pass with forced attention is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.head_mapping.method import Heads, Hits, Pairs, readout_hits

TEMPLATES = (
    "This page is about {} and it",
    "Everyone was talking of {} that",
    "My teacher wrote {} on the",
    "You asked about {} because you",
)
BATCH_TOKENS = 2048  # tokens in one forward pass


@dataclass(frozen=True)
class Prompt:
    """A template in tokens: what stands before the source, and after it."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, template: str, tokenizer: Any) -> Prompt:
        """Split a template such as "A word on {} may" at its `{}`; the source brings its own leading space."""
        before, after = template.split("{}")
        tail = tokenizer(after, add_special_tokens=False)["input_ids"] if after else []
        return cls(tuple(tokenizer(before.rstrip(" "))["input_ids"]), tuple(tail))

    def fill(self, sources: Tensor) -> Tensor:
        """The prompts for sources [N, n_tokens]: token ids [N, length]."""
        n, device = len(sources), sources.device
        before = torch.tensor(self.before, device=device, dtype=torch.long).expand(n, -1)
        after = torch.tensor(self.after, device=device, dtype=torch.long).expand(n, -1)
        return torch.cat([before, sources, after], dim=1)


@dataclass(frozen=True)
class DynamicHits:
    """Hits of one template, with context (promotion only) and without."""

    with_context: Hits
    without_context: Hits


@torch.no_grad()
def dynamic_hits(model: Model, variants: Sequence[Heads], pairs: Pairs, template: str) -> list[DynamicHits]:
    """Hits of one template, measured on the running model, for each variant of the matrices that its outputs meet."""
    z, v = head_outputs(model, pairs.source, template)
    return [
        DynamicHits(
            with_context=readout_hits(heads, z, pairs.target, pairs.top_k, suppression=False),
            without_context=readout_hits(heads, v, pairs.target, pairs.top_k),
        )
        for heads in variants
    ]


def head_outputs(model: Model, source: Tensor, template: str) -> tuple[Tensor, Tensor]:
    """What heads output at the end of a template, and for its source alone, for sources [N]: each [N, L, H, h].

    A source that stands there several times runs once.
    """
    distinct, place = source.unique(return_inverse=True)
    with HeadReader(model) as reader:
        z, v = reader.read(Prompt.of(template, model.tokenizer), distinct[:, None])
    return z[place], v[place]


class HeadReader(Hooked):
    """Reads what every head outputs at the last position, and the values it has of the source."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._source_at = 0
        self._z: list[Tensor] = []
        self._v: list[Tensor] = []

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """Two a layer, called in the order of the layers."""
        return [
            hook
            for layer in range(self.model.cfg.n_layers)
            for hook in (
                (f"blocks.{layer}.attn.hook_v", lambda v, hook: self._v.append(v[:, self._source_at].clone())),
                (f"blocks.{layer}.attn.hook_z", lambda z, hook: self._z.append(z[:, -1].clone())),
            )
        ]

    @torch.no_grad()
    def read(self, prompt: Prompt, sources: Tensor) -> tuple[Tensor, Tensor]:
        """z at the last position, and v at the last token of the source, for sources [N, n_tokens]: each [N, L, H, h].

        What stands before the source is the same for all and runs once. The unembedding is not run: nothing here reads
        it.
        """
        run = self.model.original_model.base_model
        tokens = prompt.fill(sources)
        shared, own = tokens[:1, : len(prompt.before)], tokens[:, len(prompt.before) :]
        self._source_at = -1
        before = run(shared, use_cache=True).past_key_values if shared.shape[1] else None
        self._source_at = sources.shape[1] - 1
        parts = []
        for batch in own.split(BATCH_TOKENS // own.shape[1]):
            self._z, self._v = [], []
            first = torch.zeros(len(batch), dtype=torch.long, device=batch.device)
            run(batch, past_key_values=selected(before, first), use_cache=before is not None)
            parts.append((torch.stack(self._z, 1), torch.stack(self._v, 1)))
        z, v = (torch.cat(part) for part in zip(*parts, strict=True))
        return z, v.repeat_interleave(z.shape[2] // v.shape[2], dim=2)


def selected(cache: Any, rows: Tensor) -> Any:
    """A cache of keys and values of these rows of another, which stays as it is; no cache stays none.

    Selecting and appending make new tensors, so only what holds them is copied first.
    """
    if cache is None:
        return None
    cache = copy.copy(cache)
    cache.layers = [copy.copy(layer) for layer in cache.layers]
    cache.batch_select_indices(rows)
    return cache


def template_scores(
    pairs: Pairs, found: Sequence[DynamicHits], *, context: bool, sign: str, rows: Tensor | None = None
) -> Tensor:
    """phi* of every template: [T, R, L, H]; `sign` is "promoted" or "suppressed"."""
    picked = [hits.with_context if context else hits.without_context for hits in found]
    return torch.stack([pairs.mean(getattr(hits, sign), rows) for hits in picked])
