"""What a model's logits behind a prompt say of two answers. Shapes: V tokens in the vocabulary.

Several tokens may be right (the digits above 4), several wrong: their probabilities are added up.
"""

from __future__ import annotations

from torch import Tensor


def logit_difference(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """log p(right) - log p(wrong) [...] for logits [..., V]: of two single tokens, the difference of their logits."""
    return logits[..., right].logsumexp(-1) - logits[..., wrong].logsumexp(-1)


def probability(logits: Tensor, right: Tensor) -> Tensor:
    """p(right) [...] for logits [..., V]."""
    return (logits[..., right].logsumexp(-1) - logits.logsumexp(-1)).exp()


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """KL(P || Q) [...] in nats, from what clean logits [V] say, P, to what logits [..., V] say, Q."""
    log_p = clean.log_softmax(-1)
    return (log_p.exp() * (log_p - logits.log_softmax(-1))).sum(-1)


def restored(found: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
    """(found - corrupted) / (clean - corrupted): 1 where a patched run is as the clean one, 0 as the corrupted one."""
    return (found - corrupted) / (clean - corrupted)
