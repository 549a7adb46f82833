"""What is asked of a run: how much likelier the right answers are than the wrong ones, from their own logits alone.

All logits of 262,144 tokens take longer than some blocks; of the difference of two log-probabilities the others cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.patching import Patching
from reproductions.common.prompt_pairs import Pair


@dataclass(frozen=True)
class Question:
    """log p(right) - log p(wrong) behind a prompt, for the tokens [a] that would be right and wrong."""

    right: Tensor
    wrong: Tensor

    def __call__(self, patching: Patching, states: Tensor) -> Tensor:
        """The difference [...] for states [..., T, d] after the last block."""
        tokens, right = torch.cat([self.right, self.wrong]), torch.arange(len(self.right))
        logits = patching.model.ln_final(states[..., -1, :]) @ patching.model.W_U[:, tokens]
        return logit_difference(logits, right, torch.arange(len(right), len(tokens)))


def asked(pair: Pair) -> Question:
    """What is asked behind a pair's prompts."""
    return Question(pair.right, pair.wrong)
