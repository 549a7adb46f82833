"""Text as a model reads it here: sequences of 128 tokens, none of which spans two texts."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from reproductions.common.corpus import CorpusError, load_sources, passages
from reproductions.common.model import Model

SEQUENCE = 128  # tokens, the first of which is the tokenizer's first special token
TEXTS_AT_ONCE = 256


def sequences(model: Model, texts: Iterable[str]) -> Tensor:
    """The texts cut into sequences [n, 128], each opened as `to_tokens` opens one.

    What is left at a text's end is too short for a sequence and is dropped.
    """
    first = opening(model)
    kept = list(texts)
    found = [torch.empty(0, SEQUENCE, dtype=torch.long)]
    for start in range(0, len(kept), TEXTS_AT_ONCE):
        batch = model.tokenizer(kept[start : start + TEXTS_AT_ONCE], add_special_tokens=False, verbose=False)
        found += [_cut(tokens, first) for tokens in batch["input_ids"]]
    return torch.cat(found)


def opening(model: Model) -> int:
    """The token that the tokenizer puts in front of every text."""
    return int(model.to_tokens("")[0, 0])


def training_sequences(model: Model, n_tokens: int, seed: int = 0) -> Tensor:
    """Sequences from every source of the corpus, mixed at random; held-out passages are left out.

    A sequence counts for 127 tokens, since nothing is learnt from its first one.

    Raises:
        CorpusError: a source cannot be had, or there is not as much text.
    """
    texts = [passage.text for source in load_sources() for passage in passages(source) if not passage.held_out]
    found = sequences(model, texts)
    wanted, there = math.ceil(n_tokens / (SEQUENCE - 1)), len(found) * (SEQUENCE - 1)
    if wanted > len(found):
        raise CorpusError(
            f"the corpus has {there:,} tokens to train on, not {n_tokens:,}: ask for fewer, or for epochs"
        )
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return found[order[:wanted]]


def _cut(tokens: list[int], first: int) -> Tensor:
    n = len(tokens) // (SEQUENCE - 1)
    pieces = torch.tensor(tokens[: n * (SEQUENCE - 1)], dtype=torch.long).view(n, SEQUENCE - 1)
    return torch.cat([torch.full((n, 1), first), pieces], dim=1)
