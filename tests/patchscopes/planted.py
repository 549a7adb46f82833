"""Readings whose answers are known: contexts of made-up tokens, and methods that are right as often as one likes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from reproductions import patchscopes
from reproductions.common.claims import load_claims
from reproductions.common.metrics import Metric
from reproductions.common.verdicts import Judgement, judge_claim
from reproductions.patchscopes.method import Asked, Found, Reading, asked_metrics, layer_metrics

CLAIMS = {claim.id: claim for claim in load_claims(Path(patchscopes.__file__).with_name("reproduction.yml")).claims}
LAYERS, TEXTS, TOKENS = 9, 40, 30
FREQUENT = 0  # a token that three of ten contexts have


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truth() -> Tensor:
    """The tokens of two contexts of each text."""
    drawn = torch.randint(1, TOKENS, (2 * TEXTS,), generator=generator())
    return torch.where(torch.rand(2 * TEXTS, generator=generator(1)) < 0.3, FREQUENT, drawn)


def reading(tokens: Tensor, right: list[float], else_says: int | None = None, seed: int = 2) -> Reading:
    """In each layer so large a share of the tokens [n] is read; else something random, or always the same token.

    What is read gets a surprisal of 1, anything else one of 5.
    """
    shape = (len(right), len(tokens))
    read = torch.rand(shape, generator=generator(seed)) < torch.tensor(right)[:, None]
    other = torch.randint(TOKENS, 2 * TOKENS, shape, generator=generator(seed + 1))
    says = torch.where(read, tokens, other if else_says is None else torch.full(shape, else_says))
    return Reading(says[..., None].expand(-1, -1, 3), torch.where(says[..., None] == tokens, 1.0, 5.0))


def planted(identity: Reading, lens: Reading, affine: Reading) -> Found:
    return Found(
        {"identity": identity, "lens": lens, "affine": affine}, torch.arange(TEXTS).repeat_interleave(2), truth()
    )


def rising(start: float) -> list[float]:
    """Shares from one at the first layer to all at the last."""
    return torch.linspace(start, 1, LAYERS).tolist()


def judged(claim: str, metrics: list[Metric]) -> Judgement:
    """The verdict on a claim, in the full profile."""
    return judge_claim(CLAIMS[claim], {metric.name: metric for metric in metrics}, "full")


def of_layers(claim: str, found: Found) -> Judgement:
    return judged(claim, layer_metrics(found))


def answered(shares: float, *, by_others: float = 0.0, m: int = 30) -> Asked:
    """A relation with an answer for each entity, which its own state gives in such a share of cases; another's state
    says this very answer, in another share. The prompt as it is says nothing of the kind."""
    answers = torch.arange(m) + 1
    shape = (1, 4, 4, m)
    own = torch.rand(shape, generator=generator(3)) < shares
    stolen = torch.rand(shape, generator=generator(4)) < by_others
    others = torch.randint(1, m + 1, shape, generator=generator(5))
    said = torch.where(own, answers, torch.where(stolen, others, 0))
    known = torch.ones(m, dtype=torch.bool)
    return Asked([f"e{k}" for k in range(m)], [0, 1, 2, 3], answers, known, 0, said, answers.expand(shape).clone())


def enriched(first: float, middle: float) -> Asked:
    """The same, where states of the first source layer give the answer in another share than all later ones do."""
    late, early = answered(middle), answered(first)
    return replace(late, said=torch.cat([early.said[:, :, :1], late.said[:, :, 1:]], 2))


def of_asked(claim: str, asked: Asked) -> Judgement:
    return judged(claim, asked_metrics({"capital": asked, "language": asked, "description": asked}))
