"""Excerpts dealt to what is fitted and what is scored, and the sequences of tokens from their beginnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

import torch
from torch import Tensor

from reproductions.common.held_out import Excerpt
from reproductions.common.model import Model
from reproductions.common.text import SEQUENCE, sequences


def in_turns(excerpts: Sequence[Excerpt], seed: int = 0, shortest: int = 650) -> list[Excerpt]:
    """Excerpts of at least so many characters in random order, one of each source after the other."""
    by_source: dict[str, list[Excerpt]] = {}
    for excerpt in Random(seed).sample(excerpts, len(excerpts)):
        if len(excerpt.text) >= shortest:
            by_source.setdefault(excerpt.source, []).append(excerpt)
    return [excerpt for turn in zip_longest(*by_source.values()) for excerpt in turn if excerpt]


@dataclass(frozen=True)
class Texts:
    """Sequences [N, T], and which excerpt each of them is of [N]."""

    tokens: Tensor
    excerpt: Tensor

    @classmethod
    def of(cls, model: Model, excerpts: Iterable[Excerpt], most: int = 1, tokens: int = SEQUENCE) -> Texts:
        """The first tokens of up to `most` sequences from the beginning of each excerpt that is long enough for one."""
        found = [sequences(model, [excerpt.text])[:most, :tokens] for excerpt in excerpts]
        kept = [rows for rows in found if len(rows)]
        lengths = torch.tensor([len(rows) for rows in kept])
        return cls(torch.cat(kept), torch.arange(len(kept)).repeat_interleave(lengths))
