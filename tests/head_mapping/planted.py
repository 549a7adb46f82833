"""A model in which relations are planted, and MAPS done wrong in several ways: its claim holds for the right way alone.

A relation is planted by giving each of its targets, as its unembedding, what one head makes of the source. Whether the
head then promotes it in a sentence is for the running model to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from reproductions import head_mapping
from reproductions.common.claims import load_claims
from reproductions.common.verdicts import Judgement, judge_claim
from reproductions.head_mapping.dynamic import dynamic_hits
from reproductions.head_mapping.findings import Scores, agreement_metrics
from reproductions.head_mapping.method import Heads, Pairs, static_hits
from tests.head_mapping.tiny import tiny_llama

SENTENCES = ("w3 w4 {} w5", "w6 {} w7 w8")
N_RELATIONS, N_PAIRS, TOP_K = 16, 20, 3
FIRST_SOURCE, FIRST_TARGET = 50, 500


def prediction(model: Any, heads: Heads, pairs: Pairs, sentences: Sequence[str]) -> Judgement:
    """What claim B1 of MAPS gets for these head matrices: do they predict what the model's heads do?"""
    really = Heads.of(model)
    dynamic = tuple(dynamic_hits(model, [really], pairs, sentence)[0] for sentence in sentences)
    null = static_hits(heads, pairs.shuffled(0))
    metrics = agreement_metrics(
        Scores(pairs, (0,), static_hits(heads, pairs), (null,), dynamic), [True] * len(pairs.names)
    )
    claims = load_claims(Path(head_mapping.__file__).with_name("reproduction.yml")).claims
    claim = next(claim for claim in claims if claim.id == "B1")
    return judge_claim(claim, {metric.name: metric for metric in metrics}, "full")


WRONG = {
    "W_V transposed": lambda heads: replace(heads, W_V=heads.W_V.mT.reshape(heads.W_V.shape)),
    "W_V of another layer": lambda heads: replace(heads, W_V=heads.W_V.roll(1, dims=0)),
    "sign flipped": lambda heads: replace(heads, W_O=-heads.W_O),
    "heads in another order": lambda heads: replace(heads, W_O=heads.W_O.roll(1, dims=1)),
}


def planted_model() -> tuple[Any, Pairs]:
    """A tiny model whose first MLP writes most of what later layers read, and sixteen relations of a head each."""
    model = tiny_llama(n_layers=4)
    for layer, block in enumerate(model.original_model.base_model.layers):
        block.self_attn.o_proj.weight.mul_(0.02)
        block.mlp.down_proj.weight.mul_(1.0 if layer == 0 else 0.02)
    embedding = model.original_model.get_input_embeddings().weight  # tied: what is planted here is the unembedding too
    embedding.copy_(unit(embedding))
    heads = Heads.of(model)
    relation = torch.arange(N_RELATIONS).repeat_interleave(N_PAIRS)
    source = FIRST_SOURCE + torch.arange(len(relation))
    target = FIRST_TARGET + torch.arange(len(relation))
    for r in range(N_RELATIONS):
        layer, head, rows = 1 + r % 3, r // 4, relation == r
        embedding[target[rows]] = unit(heads.sources(source[rows])[layer] @ heads.W_VO(layer, head))
    names = tuple(f"relation {r}" for r in range(N_RELATIONS))
    return model, Pairs(names, source, target, torch.full_like(source, TOP_K), relation)


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Rows [n, d] with a length of 0.05 each, small beside what the first MLP writes."""
    return 0.05 * torch.nn.functional.normalize(rows, dim=1)
