"""States and models in which a ring of words is planted, and the claims about rings judged on them.

States of words are noise that all sentences share, a little of each sentence's own, and in some blocks a circle. In the
model, blocks are silent and the embeddings of seven words are the corners of a heptagon, so that every state is known.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproductions import circular_features
from reproductions.circular_features import method
from reproductions.circular_features.method import Circle, cyclic_orders, search
from reproductions.common.claims import load_claims
from reproductions.common.verdicts import Judgement, judge_claim
from tests.head_mapping.tiny import tiny_llama

WORDS = [f"w{number}" for number in range(10, 17)]
TEMPLATES = [f"w{number} w{number + 1} {{}}" for number in range(20, 28)]
CLAIMS = {
    claim.id: claim for claim in load_claims(Path(circular_features.__file__).with_name("reproduction.yml")).claims
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def states(n: int = 7, *, templates: int = 12, layers: int = 3, width: int = 24, seed: int = 0) -> Tensor:
    """[T, L, n, d] without a ring: words differ alike in all sentences, and a tenth as much between sentences."""
    return noise(1, layers, n, width, seed=seed) + 0.1 * noise(templates, layers, n, width, seed=seed + 1)


def bow(n: int = 7, **shape: int) -> Tensor:
    """Words on a line that bends, as number words lie: along one direction evenly, along another out and back."""
    along = torch.linspace(-1, 1, n)
    line = torch.stack([along, along.square() - along.square().mean()], dim=1)
    found = 0.05 * states(n, **shape)
    found[..., :2] += line
    return found


def rings(ring: Tensor) -> dict[str, Circle]:
    """What is found of a ring and of its controls; number words lie on a bow."""
    n, templates = ring.shape[2], len(ring)
    plain = states(n, templates=templates, seed=60)
    kinds = {
        "ring": ring,
        "numbers": bow(n, templates=templates, seed=3),
        "shuffled": plain,
        "planted": method.planted(plain),
    }
    return {kind: search(own, cyclic_orders(n, 1000)) for kind, own in kinds.items()}


def judged(claim: str, found: dict[str, Circle]) -> Judgement:
    """The verdict on C1 or C1b."""
    metrics = {metric.name: metric for metric in method.circle_metrics("days", found)}
    return judge_claim(CLAIMS[claim], metrics, "full")


def heptagon_model(loud: float = 0.0) -> Any:
    """Blocks are silent, or nearly; the embeddings of WORDS, tied, are on a circle: it says again what it reads."""
    model = tiny_llama(n_layers=3)
    for block in model.original_model.base_model.layers:
        block.self_attn.o_proj.weight.mul_(loud)
        block.mlp.down_proj.weight.mul_(loud)
    model.original_model.base_model.norm.weight.fill_(1.0)
    embedding = model.original_model.get_input_embeddings().weight
    axes = torch.linalg.qr(noise(embedding.shape[1], 3)).Q.T
    angle = 2 * math.pi * torch.arange(7) / 7
    corners = torch.stack([angle.cos(), angle.sin()], dim=1)
    embedding[model.tokenizer(" ".join(WORDS))["input_ids"]] = 2 * corners @ axes[:2] + axes[2]
    return model
