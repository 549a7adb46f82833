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
CHUNK = 8192  # tokens whose source vectors are held at once
ROWS = 128  # sources whose entries of M are held at once
NULL_SEEDS = (0, 1)  # of the permuted heads that set the threshold
CONTROL_SEED = 2  # of those that are held against it

Place = tuple[int, int]  # (layer, head)


@dataclass(frozen=True)
class Operation:
    """A head's salient tokens [15] and the tokens each is mapped to [15, 5], best first."""

    layer: int
    head: int
    sources: Tensor
    targets: Tensor


@torch.no_grad()
def salient_operations(variants: Sequence[Heads], places: Sequence[Place], allowed: Tensor) -> list[list[Operation]]:
    """The salient operations of some heads, for several variants of the matrices behind one reading: [K][n].

    `allowed` [V] says which tokens may be sources or targets.
    """
    tokens = allowed.nonzero().squeeze(1)
    columns = variants[0].W_U[:, tokens]
    salient = most_salient(variants, places, tokens)  # [K, n, 15]
    distinct, position = salient.unique(return_inverse=True)
    sources = variants[0].sources(distinct)
    found = []
    for heads, tops, own in zip(variants, salient, position, strict=True):
        out = [sources[layer][row] @ heads.W_VO(layer, head) for (layer, head), row in zip(places, own, strict=True)]
        mapped = tokens[_top_columns(torch.cat(out), columns)].unflatten(0, tops.shape)  # [n, 15, 5]
        found.append([Operation(*place, top, to) for place, top, to in zip(places, tops, mapped, strict=True)])
    return found


def most_salient(variants: Sequence[Heads], places: Sequence[Place], tokens: Tensor) -> Tensor:
    """The 15 of the tokens [n] that each head stretches most, ||x W_VO|| / ||x||: [K, places, 15]."""
    shape = (len(variants), len(places), N_SALIENT)
    best, chosen = torch.full(shape, -torch.inf, device=tokens.device), torch.zeros(shape, dtype=torch.long)
    chosen = chosen.to(tokens.device)
    for chunk in tokens.split(CHUNK):
        read = [torch.nn.functional.normalize(x, dim=1) for x in variants[0].reading(chunk)]
        for k, heads in enumerate(variants):
            for i, (layer, head) in enumerate(places):
                saliency = _stretch(read[min(layer, len(read) - 1)], heads, layer, head)
                top = torch.cat([best[k, i], saliency]).topk(N_SALIENT)
                best[k, i], chosen[k, i] = top.values, torch.cat([chosen[k, i], chunk])[top.indices]
    return chosen


def _stretch(x: Tensor, heads: Heads, layer: int, head: int) -> Tensor:
    """||x W_VO||^2 for x [n, d], without building x W_VO: z W_O W_O^T z^T with z = x W_V."""
    z, W_O = x @ heads.W_V[layer, head // heads.group_size], heads.W_O[layer, head]
    return torch.linalg.vecdot(z @ (W_O @ W_O.T), z)


def _top_columns(out: Tensor, columns: Tensor) -> Tensor:
    """Which columns [d, n] each of out [m, d] promotes most, a few hundred rows at a time: [m, N_TARGETS]."""
    return torch.cat([(rows @ columns).topk(N_TARGETS).indices for rows in out.split(256)])


@torch.no_grad()
def largest_entries(heads: Heads, x: Tensor, place: Place, tokens: Tensor, k: int = N_SALIENT) -> list[tuple[int, int]]:
    """The (source, target) tokens of the k largest entries of M: the alternative that the paper advises against.

    x: [n, d], what the head reads for tokens [n], which alone are sources and targets. Exact without visiting all of M:
    an entry is at most the product of its two lengths. Sources and targets are taken longest first, and only targets
    long enough to reach the k-th best entry found are looked at.
    """
    layer, head = place
    left, sources = _longest_first(x @ heads.W_V[layer, head // heads.group_size])
    right, targets = _longest_first((heads.W_O[layer, head] @ heads.W_U[:, tokens]).T)
    reach = right.norm(dim=1)
    best = torch.full((k,), -torch.inf, device=left.device)
    found = torch.zeros(k, 2, dtype=torch.long, device=left.device)
    for start in range(0, len(left), ROWS):
        rows = left[start : start + ROWS]
        width = int((rows[0].norm() * reach > best[-1]).sum())
        if width == 0:
            break
        entries = rows @ right[:width].T
        if entries.max() > best[-1]:
            values, flat = entries.flatten().topk(min(k, entries.numel()))
            entry = torch.stack([sources[start + flat // width], targets[flat % width]], dim=1)
            best, order = torch.cat([best, values]).topk(k)
            found = torch.cat([found, entry])[order]
    return [(int(tokens[source]), int(tokens[target])) for source, target in found]


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


def coherence(tokens: Tensor, W_E: Tensor, centre: Tensor) -> float:
    """The mean cosine between different tokens of a set [n], as embeddings [V, d] seen from their centre [d]."""
    distinct = tokens.unique()
    if len(distinct) < 2:
        return 1.0
    chosen = torch.nn.functional.normalize(W_E[distinct] - centre, dim=1)
    gram = chosen @ chosen.T
    n = len(distinct)
    return float((gram.sum() - gram.trace()) / (n * (n - 1)))


def describe(operation: Operation, decode: Sequence[str], W_E: Tensor, centre: Tensor, known: Known) -> Tensor:
    """What the two stand-ins say of one head: [rule share, coherence of the sources, coherence of the targets]."""
    mappings = [
        (decode[source], decode[target])
        for source, targets in zip(operation.sources.tolist(), operation.targets.tolist(), strict=True)
        for target in targets
    ]
    sets = operation.sources, operation.targets[:, 0]
    return torch.tensor([rule_share(mappings, known), *(coherence(tokens, W_E, centre) for tokens in sets)])


def describable(scores: Tensor, null: Tensor, false_positives: float = 0.05) -> Tensor:
    """Heads that some stand-in tells from permuted heads: scores [n, 3], null [m, 3] -> [n] of bool.

    Each of the three has its threshold at the null's (1 - false_positives / 3) quantile, so that a permuted head passes
    any of them at about the stated rate.
    """
    threshold = null.quantile(1 - false_positives / scores.shape[1], dim=0)
    return (scores > threshold).any(1)


@dataclass(frozen=True)
class Describability:
    """Which of n heads can be told from permuted ones.

    scores: [n, 3], see `describe`; described: [n] of bool; permuted: the same for permuted heads that set no threshold.
    """

    operations: list[Operation]
    scores: Tensor
    described: Tensor
    permuted: Tensor


def describability(
    heads: Heads, places: Sequence[Place], decode: Sequence[str], allowed: Tensor, known: Known
) -> Describability:
    """Salient operations of some heads, and whether there is anything in them to describe.

    The threshold comes from the same heads permuted in several ways; it is also held against them permuted in another.
    """
    centre = heads.W_E.mean(0)
    variants = [heads, *(heads.permuted(seed) for seed in (CONTROL_SEED, *NULL_SEEDS))]
    operations = salient_operations(variants, places, allowed)
    real, control, *nulls = (
        torch.stack([describe(operation, decode, heads.W_E, centre, known) for operation in own]) for own in operations
    )
    null = torch.cat(nulls)
    return Describability(operations[0], real, describable(real, null), describable(control, null))


def upper_half(n_layers: int) -> range:
    """The layers of the upper half."""
    return range((n_layers + 1) // 2, n_layers)


def first_third(n_layers: int) -> range:
    """The layers of the first third."""
    return range(n_layers // 3)


def sample_places(layers: range, n_heads: int, size: int, seed: int = 0) -> list[Place]:
    """So many random heads of these layers, or all, in their order."""
    every = [(layer, head) for layer in layers for head in range(n_heads)]
    chosen = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))[:size]
    return [every[i] for i in sorted(chosen.tolist())]


def saliency_gains(
    heads: Heads, places: Sequence[Place], decode: Sequence[str], allowed: Tensor, known: Known
) -> list[float]:
    """For each head: the rule share of its salient tokens' first targets less that of M's largest entries."""
    if not places:
        return []
    tokens = allowed.nonzero().squeeze(1)
    sources = heads.sources(tokens)
    gains = []
    for place, operation in zip(places, salient_operations([heads], places, allowed)[0], strict=True):
        salient = zip(operation.sources.tolist(), operation.targets[:, 0].tolist(), strict=True)
        entries = largest_entries(heads, sources[place[0]], place, tokens)
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


def quoted(decode: Sequence[str], tokens: Tensor) -> str:
    """Tokens as text that a Markdown table can hold."""
    return ", ".join(f"`{decode[token].strip().replace('`', '´')}`" for token in tokens.tolist())
