"""What a head does, without naming a relation first: its salient operations (section 5).

The saliency of a token is how much the head stretches it, ||x W_VO|| / ||x||. The tokens with the largest saliency,
each with the tokens it is mapped to, describe the head. The paper has a large language model put that into words; here
two computable stand-ins say whether there is anything to put into words: how many of the mappings follow a plain rule,
and how close to each other in embedding space the tokens on either side are. Both are compared with heads whose W_VO
had its input and output dimensions permuted, which keeps every norm and destroys every meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reproductions.head_mapping.method import Heads

Known = frozenset[tuple[str, str]]  # the pairs of the known relations, in small letters

N_SALIENT = 15
N_TARGETS = 5
SHORTEST_STEM = 3
FREQUENT = 16384  # tokens among which salient tokens and the largest entries of M are compared
CHUNK = 16384  # tokens whose source vectors are held at once
ROWS = 128  # sources whose entries of M are held at once


@dataclass(frozen=True)
class Operation:
    """A head's salient tokens [15] and the tokens each is mapped to [15, 5], best first."""

    layer: int
    head: int
    sources: Tensor
    targets: Tensor


@torch.no_grad()
def salient_operations(heads: Heads, allowed: Tensor) -> list[Operation]:
    """The salient operation of every head; `allowed` [V] masks tokens that are no text (control and unused tokens)."""
    salient = most_salient(heads, allowed.nonzero().squeeze(1))  # [LH, 15]
    sources = [x.unflatten(0, salient.shape) for x in heads.sources(salient.flatten())]  # [LH, 15, d]
    places = [divmod(i, heads.n_heads) for i in range(len(salient))]
    written = [sources[min(layer, 1)][i] @ heads.W_VO(layer, head) for i, (layer, head) in enumerate(places)]
    targets = _top_tokens(torch.cat(written), heads.W_U, allowed).unflatten(0, salient.shape)  # [LH, 15, 5]
    return [Operation(*place, tops, mapped) for place, tops, mapped in zip(places, salient, targets, strict=True)]


def most_salient(heads: Heads, tokens: Tensor) -> Tensor:
    """The 15 of the tokens [n] that each head stretches most, ||x W_VO|| / ||x||: [LH, 15]."""
    grams = torch.einsum("lihd,lied->lihe", heads.W_O, heads.W_O)  # W_O W_O^T: ||z W_O||^2 = z W_O W_O^T z^T
    best = torch.full((heads.n_layers * heads.n_heads, N_SALIENT), -torch.inf, device=tokens.device)
    chosen = torch.zeros(best.shape, dtype=torch.long, device=tokens.device)
    for chunk in tokens.split(CHUNK):
        unit = [torch.nn.functional.normalize(x, dim=1) for x in heads.sources(chunk)]
        for layer in range(heads.n_layers):
            z = torch.einsum("nd,gdh->gnh", unit[min(layer, 1)], heads.W_V[layer])
            for head in range(heads.n_heads):
                i, own = layer * heads.n_heads + head, z[head // heads.group_size]
                saliency = torch.linalg.vecdot(own @ grams[layer, head], own)
                top = torch.cat([best[i], saliency]).topk(N_SALIENT)
                best[i], chosen[i] = top.values, torch.cat([chosen[i], chunk])[top.indices]
    return chosen


def _top_tokens(out: Tensor, W_U: Tensor, allowed: Tensor) -> Tensor:
    """The most promoted allowed tokens of each out [n, d], a few hundred rows at a time: [n, N_TARGETS]."""
    return torch.cat(
        [(rows @ W_U).masked_fill_(~allowed, -torch.inf).topk(N_TARGETS).indices for rows in out.split(256)]
    )


@torch.no_grad()
def largest_entries(heads: Heads, layer: int, head: int, allowed: Tensor, k: int = N_SALIENT) -> list[tuple[int, int]]:
    """The (source, target) tokens of the k largest entries of M: the alternative that the paper advises against.

    Exact without visiting all of M: an entry is at most the product of its two lengths. Sources and targets are taken
    longest first, and only targets long enough to reach the k-th best entry found are looked at.
    """
    tokens = allowed.nonzero().squeeze(1)
    left, sources = _longest_first(heads.sources(tokens)[min(layer, 1)] @ heads.W_V[layer, head // heads.group_size])
    right, targets = _longest_first((heads.W_O[layer, head] @ heads.W_U[:, tokens]).T)
    reach = right.norm(dim=1)
    best = torch.full((k,), -torch.inf, device=left.device)
    place = torch.zeros(k, 2, dtype=torch.long, device=left.device)
    for start in range(0, len(left), ROWS):
        rows = left[start : start + ROWS]
        width = int((rows[0].norm() * reach > best[-1]).sum())
        if width == 0:
            break
        entries = rows @ right[:width].T
        if entries.max() > best[-1]:
            values, flat = entries.flatten().topk(min(k, entries.numel()))
            found = torch.stack([sources[start + flat // width], targets[flat % width]], dim=1)
            best, order = torch.cat([best, values]).topk(k)
            place = torch.cat([place, found])[order]
    return [(int(tokens[source]), int(tokens[target])) for source, target in place]


def _longest_first(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [n, h] in the order of their lengths, and their indices in that order."""
    order = vectors.norm(dim=1).argsort(descending=True)
    return vectors[order], order


def follows_rule(source: str, target: str, known: Known) -> bool:
    """Whether a mapping is one that a plain rule describes.

    The same word but for case and spaces, a word and its continuation or a common stem of at least half of the longer
    word, or a pair of one of the known relations.
    """
    a, b = source.strip().lower(), target.strip().lower()
    if not a or not b:
        return False
    stem = _common_prefix(a, b)
    return a == b or (stem >= SHORTEST_STEM and 2 * stem >= max(len(a), len(b))) or (a, b) in known


def _common_prefix(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def rule_share(mappings: Sequence[tuple[str, str]], known: Known) -> float:
    """The share of mappings that follow a rule."""
    return sum(follows_rule(source, target, known) for source, target in mappings) / len(mappings)


def coherence(tokens: Tensor, unit_embeddings: Tensor) -> float:
    """The mean cosine between different tokens of a set [n], for centred unit embeddings [V, d]."""
    distinct = tokens.unique()
    if len(distinct) < 2:
        return 1.0
    chosen = unit_embeddings[distinct]
    gram = chosen @ chosen.T
    n = len(distinct)
    return float((gram.sum() - gram.trace()) / (n * (n - 1)))


def centred_units(W_E: Tensor) -> Tensor:
    """Embeddings [V, d] less their mean, at unit length."""
    centred = W_E - W_E.mean(0)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-9)


def describe(operation: Operation, decode: Sequence[str], unit: Tensor, known: Known) -> Tensor:
    """What the two stand-ins say of one head: [rule share, coherence of the sources, coherence of the targets]."""
    mappings = [
        (decode[source], decode[target])
        for source, targets in zip(operation.sources.tolist(), operation.targets.tolist(), strict=True)
        for target in targets
    ]
    return torch.tensor(
        [rule_share(mappings, known), coherence(operation.sources, unit), coherence(operation.targets[:, 0], unit)]
    )


def describable(scores: Tensor, null: Tensor, false_positives: float = 0.05) -> Tensor:
    """Heads that some stand-in tells from permuted heads: scores [n, 3], null [m, 3] -> [n] of bool.

    Each of the three has its threshold at the null's (1 - false_positives / 3) quantile, so that a permuted head passes
    any of them at about the stated rate.
    """
    threshold = null.quantile(1 - false_positives / scores.shape[1], dim=0)
    return (scores > threshold).any(1)


@dataclass(frozen=True)
class Describability:
    """Which heads can be told from permuted ones: [S, L, H] of bool, one map a seed; and their salient operations.

    `permuted` is the same for heads permuted with another seed than the one that set the threshold.
    """

    operations: list[Operation]
    described: Tensor
    permuted: Tensor


def describability(
    heads: Heads, decode: Sequence[str], allowed: Tensor, known: Known, seeds: Sequence[int]
) -> Describability:
    """Salient operations of all heads, and whether there is anything in them to describe. Needs two seeds or more."""
    unit = centred_units(heads.W_E)

    def scores(operations: Sequence[Operation]) -> Tensor:
        return torch.stack([describe(operation, decode, unit, known) for operation in operations])  # [LH, 3]

    operations = salient_operations(heads, allowed)
    real = scores(operations)
    nulls = [scores(salient_operations(heads.permuted(seed), allowed)) for seed in seeds]
    shape = (heads.n_layers, heads.n_heads)
    return Describability(
        operations=operations,
        described=torch.stack([describable(real, null).view(shape) for null in nulls]),
        permuted=torch.stack(
            [describable(other, null).view(shape) for null, other in zip(nulls, [*nulls[1:], nulls[0]], strict=True)]
        ),
    )


def saliency_gain(
    heads: Heads,
    operations: Sequence[Operation],
    decode: Sequence[str],
    allowed: Tensor,
    known: Known,
) -> list[float]:
    """For each operation: the rule share of its salient tokens' first targets less that of M's largest entries."""
    gains = []
    for operation in operations:
        salient = zip(operation.sources.tolist(), operation.targets[:, 0].tolist(), strict=True)
        entries = largest_entries(heads, operation.layer, operation.head, allowed)
        by_saliency, by_size = (
            rule_share([(decode[source], decode[target]) for source, target in mappings], known)
            for mappings in (salient, entries)
        )
        gains.append(by_saliency - by_size)
    return gains


def text_tokens(tokenizer: Any, n_tokens: int) -> tuple[list[str], Tensor]:
    """Every token as text, and which of them are text at all: not control, unused or byte-fragment tokens."""
    decode = [tokenizer.decode([token]) for token in range(n_tokens)]
    special = set(tokenizer.all_special_ids)
    allowed = [
        token not in special
        and bool(text.strip())
        and "\ufffd" not in text
        and not (text[:1] == "<" and text[-1:] == ">")
        for token, text in enumerate(decode)
    ]
    return decode, torch.tensor(allowed)


def most_frequent(allowed: Tensor, most: int = FREQUENT) -> Tensor:
    """Of the allowed tokens [V] only the first few: a tokenizer gives frequent strings low ids."""
    return allowed & (allowed.cumsum(0) <= most)


def sample_upper(
    operations: Sequence[Operation], n_layers: int, seeds: Sequence[int], size: int
) -> list[list[Operation]]:
    """For each seed, a few random heads of the upper half of the layers."""
    upper = [operation for operation in operations if operation.layer >= n_layers / 2]
    samples = []
    for seed in seeds:
        chosen = torch.randperm(len(upper), generator=torch.Generator().manual_seed(seed))[:size]
        samples.append([upper[int(i)] for i in chosen])
    return samples


def quoted(decode: Sequence[str], tokens: Tensor) -> str:
    """Tokens as text that a Markdown table can hold."""
    return ", ".join(f"`{decode[token].strip().replace('`', '´')}`" for token in tokens.tolist())
