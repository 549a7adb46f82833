"""Do scores from single-token pairs carry over to subjects of several tokens? (paper, section 4.3)

The static score stays what it is; the dynamic score is read at the subject's last token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.common.claims import Metric
from reproductions.head_mapping.dynamic import TEMPLATES, HeadReader, Prompt
from reproductions.head_mapping.findings import Scores, across_relations, agreement
from reproductions.head_mapping.method import Heads, readout_hits
from reproductions.head_mapping.relations import MultiTokenPair, Relation, multi_token_sources

LEAST = 8  # subjects of several tokens that a relation must have


@dataclass(frozen=True)
class MultiToken:
    """One relation: agreement of static and dynamic scores for one-token subjects, longer ones, and under the null."""

    relation: str
    n: int
    single: float
    multiple: float
    shuffled: float


def multi_token_agreements(
    model: Any, heads: Heads, relations: Mapping[str, Relation], scores: Scores, *, most: int
) -> list[MultiToken]:
    """The agreement (without context) for every relation with enough subjects of several tokens."""
    static, dynamic, null = scores.phi(), scores.phi_dynamic(context=False), scores.phi_shuffled(0)
    longer = {name: multi_token_sources(relation, model.tokenizer)[:most] for name, relation in relations.items()}
    found = []
    with HeadReader(model) as reader:
        for index, (name, subjects) in enumerate(longer.items()):
            if len(subjects) < LEAST:
                continue
            measured = _dynamic_scores(reader, heads, subjects, relations[name].top_k)[:, None]  # [T, 1, L, H]
            one = slice(index, index + 1)
            single, multiple, shuffled = (
                agreement(phi[one], phi_star)[0]
                for phi, phi_star in ((static, dynamic[:, one]), (static, measured), (null, measured))
            )
            found.append(MultiToken(name, len(subjects), single, multiple, shuffled))
    return found


@torch.no_grad()
def _dynamic_scores(reader: HeadReader, heads: Heads, subjects: Sequence[MultiTokenPair], top_k: int) -> Tensor:
    """phi* of one relation at the last token of each subject, without context: [T, L, H].

    Equally long subjects share a forward pass; all of them, in all templates, share one readout.
    """
    device = heads.W_U.device
    lengths = sorted({len(subject.source_ids) for subject in subjects})
    groups = [[subject for subject in subjects if len(subject.source_ids) == length] for length in lengths]
    values = [
        reader.read(prompt.fill(_sources(group, device)), source_at=len(prompt.before) + length - 1)[1]
        for prompt in (Prompt.of(template, reader.model.tokenizer) for template in TEMPLATES)
        for length, group in zip(lengths, groups, strict=True)
    ]
    target = torch.tensor([subject.target_id for group in groups for subject in group], device=device)
    targets = target.repeat(len(TEMPLATES))
    hits = readout_hits(heads, torch.cat(values), targets, torch.full_like(targets, top_k)).promoted
    return hits.unflatten(0, (len(TEMPLATES), -1)).float().mean(1)


def _sources(group: Sequence[MultiTokenPair], device: torch.device) -> Tensor:
    return torch.tensor([subject.source_ids for subject in group], device=device)


def metrics(found: Sequence[MultiToken]) -> list[Metric]:
    """How much agreement is lost when subjects have several tokens, for the true and for shuffled targets."""
    return [
        across_relations("multi_token_loss", [one.single - one.multiple for one in found]),
        across_relations("multi_token_loss_shuffled", [one.single - one.shuffled for one in found]),
    ]
