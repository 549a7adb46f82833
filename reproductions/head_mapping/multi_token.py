"""Do scores from single-token pairs carry over to subjects of several tokens? (paper, section 4.3)

The static score stays what it is; the dynamic score is read at the subject's last token.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.stats import pearson
from reproductions.common.workers import side_by_side
from reproductions.head_mapping.dynamic import HeadReader, Prompt
from reproductions.head_mapping.findings import Scores, agreement, mean_lists, spearman_nonzero
from reproductions.head_mapping.method import Heads, readout_hits
from reproductions.head_mapping.relations import MultiTokenPair, Relation, multi_token_sources

LEAST = 8  # subjects of several tokens that a relation must have


@dataclass(frozen=True)
class MultiToken:
    """One relation: how well static scores predict dynamic ones of one-token subjects and of longer ones.

    Like is compared with like: neither kind of subject is among the pairs that the static score is made of, and there
    are as many of either. `shuffled` and the rank correlations are of the same cases.
    """

    relation: str
    n: int
    single: float
    multiple: float
    shuffled: float
    single_rank: float
    multiple_rank: float


def multi_token_agreements(
    model: Model,
    heads: Heads,
    relations: Mapping[str, Relation],
    scores: Scores,
    templates: Sequence[str],
    *,
    most: int,
) -> list[MultiToken]:
    """The agreement (without context) for every relation with enough subjects, of which `most` are taken at most."""
    longer = {name: multi_token_sources(relation, model.tokenizer)[:most] for name, relation in relations.items()}
    enough = {name: subjects for name, subjects in longer.items() if len(subjects) >= LEAST}
    if not enough:
        return []
    prompts = [Prompt.of(template, model.tokenizer) for template in templates]
    top_k = [relations[name].top_k for name, subjects in enough.items() for _ in subjects]
    with HeadReader(model) as reader:
        hits = _dynamic_hits(reader, heads, prompts, list(itertools.chain(*enough.values())), top_k)
    parts = hits.split([len(subjects) for subjects in enough.values()], dim=1)
    return [
        _compared(name, scores.pairs.names.index(name), own, scores) for name, own in zip(enough, parts, strict=True)
    ]


def _compared(name: str, index: int, hits: Tensor, scores: Scores) -> MultiToken:
    """Hits of longer subjects [T, n, L, H] beside those of as many one-token subjects, the mean over seeds."""
    rows = [_compared_in_half(index, hits, scores, i) for i in range(len(scores.seeds))]
    return MultiToken(name, hits.shape[1], *mean_lists(rows))


def _compared_in_half(index: int, hits: Tensor, scores: Scores, i: int) -> list[float]:
    """Single, multiple, shuffled, single_rank and multiple_rank, with the static scores of one half of the pairs."""
    first, second = scores.pairs.halves(scores.seeds[i])
    rows = (second & (scores.pairs.relation == index)).nonzero().squeeze(1)[: hits.shape[1]]
    single = torch.stack([found.without_context.promoted[rows].float().mean(0) for found in scores.dynamic])
    multiple = hits[:, : len(rows)].float().mean(1)
    static, null = (scores.pairs.mean(found.promoted, first)[index] for found in (scores.static, scores.shuffled[i]))
    return [
        agreement(phi[None], phi_star[:, None], correlate)[0]
        for phi, phi_star, correlate in (
            (static, single, pearson),
            (static, multiple, pearson),
            (null, multiple, pearson),
            (static, single, spearman_nonzero),
            (static, multiple, spearman_nonzero),
        )
    ]


@torch.no_grad()
def _dynamic_hits(
    reader: HeadReader,
    heads: Heads,
    prompts: Sequence[Prompt],
    subjects: Sequence[MultiTokenPair],
    top_k: Sequence[int],
) -> Tensor:
    """Hits at the last token of each subject, without context: [T, n, L, H], in the subjects' order.

    Equally long subjects share a forward pass; all of them, in all templates, share one readout.
    """
    device = heads.W_U.device
    order = sorted(range(len(subjects)), key=lambda i: len(subjects[i].source_ids))
    groups = [list(own) for _, own in itertools.groupby(order, key=lambda i: len(subjects[i].source_ids))]
    sources = [torch.tensor([subjects[i].source_ids for i in own], device=device) for own in groups]
    values = side_by_side([partial(_values, reader, prompt, sources) for prompt in prompts])
    target = torch.tensor([subjects[i].target_id for i in order], device=device).repeat(len(prompts))
    ks = torch.tensor([top_k[i] for i in order], device=device).repeat(len(prompts))
    hits = readout_hits(heads, torch.cat(values), target, ks, suppression=False).promoted
    back = torch.tensor(order, device=device).argsort()
    return hits.unflatten(0, (len(prompts), -1))[:, back]


def _values(reader: HeadReader, prompt: Prompt, sources: Sequence[Tensor]) -> Tensor:
    return torch.cat([reader.read(prompt, own)[1] for own in sources])


def metrics(found: Sequence[MultiToken]) -> list[Metric]:
    """How much agreement is lost when subjects have several tokens, for the true and for shuffled targets."""
    return [
        mean_of("multi_token_single", [one.single for one in found]),
        mean_of("multi_token_loss", [one.single - one.multiple for one in found]),
        mean_of("multi_token_loss_shuffled", [one.single - one.shuffled for one in found]),
        mean_of("multi_token_loss_rank", [one.single_rank - one.multiple_rank for one in found]),
    ]
