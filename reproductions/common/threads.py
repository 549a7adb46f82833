"""How many threads a forward pass computes with: one where it is small, else as many as the run has.

Measured on two processors with SmolLM2-135M, threads that sleep when idle, and priority over all else: of passes over
12 and 96 tokens one thread made 1.2 and 1.3 times as many a second as two, which took 1.5 times its processor time;
over 384, 512 and 1,200 tokens two made 1.2, 1.5 and 1.5 times as many, and of a product of 256 rows 1.4 times. SMALL
was set after these figures were seen; it decides how long a run takes, and no number but for a last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

SMALL = 256  # tokens


def suit_threads(model: torch.nn.Module) -> None:
    """Let a model's passes over fewer than SMALL tokens compute on one thread; afterwards the number is as it was."""
    usual: list[int] = []

    def begin(_: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        usual.append(torch.get_num_threads())
        if _tokens(args, kwargs) < SMALL:
            torch.set_num_threads(1)

    def end(*_: Any) -> None:
        torch.set_num_threads(usual.pop())

    model.register_forward_pre_hook(begin, with_kwargs=True)
    model.register_forward_hook(end, always_call=True)


def _tokens(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Tokens of a pass, given as ids or as their embeddings (batch, position, d_model)."""
    embeddings = kwargs.get("inputs_embeds")
    if embeddings is not None:
        return int(embeddings.shape[:-1].numel())
    ids = args[0] if args else kwargs["input_ids"]
    return int(ids.numel())
