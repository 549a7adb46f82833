"""Interventions made comparable: each as strong as it must be to change what a model says next by the same amount."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from reproductions.common.edits import Edit, final_states, unembed
from reproductions.common.model import Model

LOGITS_AT_ONCE = 2**25


class Divergence:
    """KL(clean || edited) of the next token, in nats: the mean over the positions of a prompt, then over prompts.

    Position 0 does not count, since no edit reaches it.
    """

    def __init__(self, model: Model, prompts: Sequence[str]) -> None:
        tokens = [model.to_tokens(prompt)[0].cpu() for prompt in prompts]
        self.model = model
        self.tokens = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)  # [prompt, position]
        lengths = torch.tensor([len(row) for row in tokens])
        counts = torch.arange(self.tokens.shape[1])[None] < lengths[:, None]
        counts[:, 0] = False
        self.weights = (counts / counts.sum(1, keepdim=True) / len(tokens))[counts].to(model.W_E.device)
        self._counts = counts.to(model.W_E.device)
        self._clean = self._log_probs(final_states(model, self.tokens)[None])[0]  # [counted, vocabulary]

    def __call__(self, edits: Mapping[str, Edit], n: int) -> Tensor:
        """The divergence [n] of n interventions; edits see all prompts of one intervention after those of the other."""
        states = final_states(self.model, self.tokens.repeat(n, 1), edits)
        found = self._log_probs(states.view(n, *self.tokens.shape, -1))  # [n, counted, vocabulary]
        by_position = (self._clean.exp() * (self._clean - found)).sum(-1)
        return (by_position * self.weights).sum(-1).clamp(min=0)

    def in_parts(self, n: int, edits: Callable[[Tensor], Mapping[str, Edit]]) -> Tensor:
        """The divergence [n] of n interventions, as many in a pass as fit; edits: of those with these numbers [m]."""
        parts = torch.arange(n).split(self.most)
        return torch.cat([self(edits(part), len(part)).cpu() for part in parts])

    @property
    def n_prompts(self) -> int:
        """How many rows of a pass belong to one intervention."""
        return len(self.tokens)

    @property
    def most(self) -> int:
        """How many interventions fit in one pass."""
        return max(1, LOGITS_AT_ONCE // self._clean.numel())

    def _log_probs(self, states: Tensor) -> Tensor:
        return unembed(self.model, states[:, self._counts]).float().log_softmax(-1)


def reach(
    effect: Callable[[Tensor, Tensor], Tensor],
    targets: Tensor,
    start: Tensor,
    *,
    within: float = 0.03,
    most: float = 1e4,
    steps: int = 24,
) -> Tensor:
    """Strengths [n] at which an effect comes to its target [n], or NaN where no strength up to `most` brings it there.

    effect: (rows [m], strengths [m]) to the effects [m] of these rows. Small effects grow with the square of the
    strength, which gives the next guess; what was too weak and what was too strong keep the search between them.
    """
    strength, found = start.clone(), torch.full_like(start, torch.nan)
    weak, strong = torch.zeros_like(start), torch.full_like(start, torch.inf)
    for _ in range(steps):
        rows = (found.isnan() & (weak < most)).nonzero().squeeze(1)
        if not len(rows):
            break
        now, ratio = strength[rows], effect(rows, strength[rows]) / targets[rows]
        found[rows] = torch.where((ratio - 1).abs() <= within, now, torch.nan)
        weak[rows] = torch.where(ratio < 1, now, weak[rows])
        strong[rows] = torch.where(ratio >= 1, now, strong[rows])
        strength[rows] = _between(weak[rows], strong[rows], now / ratio.clamp(1 / 16, 16).sqrt())
    return found


def _between(weak: Tensor, strong: Tensor, guess: Tensor) -> Tensor:
    """The guess where it lies inside, else the middle, or four times what was too weak where nothing was too strong."""
    middle = torch.where(strong.isinf(), 4 * weak, torch.where(weak > 0, (weak * strong).sqrt(), strong / 4))
    return torch.where((guess > weak) & (guess < strong), guess, middle)
