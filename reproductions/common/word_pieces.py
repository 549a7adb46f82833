"""Which tokens of a text are words, and which are the later pieces of one. Shapes: T tokens."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from reproductions.common.model import Model

WORD, REST = re.compile("[Ġ▁][A-Za-z]+"), re.compile("[A-Za-z]+")


def words(model: Model, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Which tokens [T] are the second of a word, and which are a word of one token that stands behind another word."""
    pieces = ["", *model.tokenizer.convert_ids_to_tokens(tokens.tolist()), ""]
    starts = [bool(WORD.fullmatch(piece)) for piece in pieces]
    goes_on = [bool(REST.fullmatch(piece)) for piece in pieces]
    second = [starts[i - 1] and goes_on[i] for i in range(1, len(pieces) - 1)]
    single = [starts[i] and not goes_on[i + 1] and (starts[i - 1] or goes_on[i - 1]) for i in range(1, len(pieces) - 1)]
    return torch.tensor(second), torch.tensor(single)
