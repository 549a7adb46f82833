"""What states and directions of the residual stream say about the next token, many of them read together.

Shapes: d = d_model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from reproductions.common.edits import logit_lens
from reproductions.common.model import Model

AT_ONCE = 64
Lists = dict[str, list[str]]


@dataclass
class Said:
    """Vectors are named one by one and read together in the end: `likely` tokens of states, `moved` ones of parts."""

    model: Model
    likely: int = 4
    moved: int = 3
    _wanted: list[tuple[Lists, Tensor, bool]] = field(default_factory=list)

    def state(self, vector: Tensor) -> Lists:
        """The lists of a state [d], to be filled: what comes next."""
        return self._want(vector, state=True)

    def part(self, vector: Tensor) -> Lists:
        """The lists of what is added to a state [d], to be filled: what it promotes, and what it suppresses."""
        return self._want(vector, state=False)

    def _want(self, vector: Tensor, state: bool) -> Lists:
        found: Lists = {}
        self._wanted.append((found, vector, state))
        return found

    @torch.no_grad()
    def fill(self) -> None:
        """Fill all lists."""
        for start in range(0, len(self._wanted), AT_ONCE):
            some = self._wanted[start : start + AT_ONCE]
            logits = logit_lens(self.model, torch.stack([vector for _, vector, _ in some]))
            up, down = (logits.topk(max(self.likely, self.moved), largest=most).indices for most in (True, False))
            for (found, _, state), best, worst in zip(some, up.tolist(), down.tolist(), strict=True):
                keys = {"promoted": best[: self.moved], "suppressed": worst[: self.moved]}
                found.update(self._written({"most likely next": best[: self.likely]} if state else keys))

    def _written(self, keys: dict[str, list[int]]) -> Lists:
        return {key: [self.model.tokenizer.decode([token]) for token in tokens] for key, tokens in keys.items()}
