"""MAPS: score how well each attention head implements a relation, from parameters alone.

A head moves what it reads by W_VO = W_V W_O. Between the vocabulary's two ends that is a matrix over tokens,

    M = E W_VO U                                                        (vocabulary x vocabulary),

whose row s says which tokens the head promotes when it attends to the token s (paper, section 3). A relation R is a
set of pairs (s, t). The head's score is the share of pairs whose target is among the k largest entries of its row,

    phi_R(head) = mean over (s, t) of [ t in top-k of M[s] ],

and its suppression score is the same on -M. M is never built: `count_beating` says how few of its entries are needed.

Shapes: N pairs, L layers, H heads, G key-value heads, d = d_model, h = d_head, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reproductions.common.model import Model
from reproductions.head_mapping.reading import PAPER, Choice, reading_of
from reproductions.head_mapping.relations import Relation, single_token_pairs

IMPLEMENTS = 0.15  # a head implements a relation from this score on (tau in the paper)
SCREEN = 256  # tokens that every pair's target is compared with first; most pairs are settled by then
FIRST_BLOCK = 1024  # tokens looked at next for the pairs that are left
LATER_BLOCK = 4096  # tokens a step from then on, or fewer:
MOST_LOGITS = 2**23  # logits held at once, 32 MiB

MANY = 2**62  # stands for a count that nobody asked for

Compare = Callable[..., Tensor]  # torch.gt or torch.lt


@dataclass(frozen=True)
class Heads:
    """The parameters of every head, unprocessed unless the gains of the norms are multiplied in; nothing is centred.

    W_V: [L, G, d, h]; W_O: [L, H, h, d]; W_E: [V, d]; W_U: [d, V]. Heads h with the same h // (H / G) share a W_V.
    reading: tokens [n] -> what layers 0, 1, … read of them, each [n, d]; the last also for all later (see `reading`).
    """

    W_V: Tensor
    W_O: Tensor
    W_E: Tensor
    W_U: Tensor
    reading: Callable[[Tensor], tuple[Tensor, ...]]

    @classmethod
    def of(cls, model: Model, choice: Choice = PAPER) -> Heads:
        """The heads of a `TransformerBridge`.

        With `fold_norms` the gains of the norms before and after a head and of the final norm are multiplied in. (A
        norm's division by the length rescales a whole row of M, so no score depends on it.)
        """
        plain = cls(model.W_V, model.W_O, model.W_E, model.W_U, reading_of(model, choice.reads))
        return plain._with_gains(model) if choice.fold_norms else plain

    @property
    def n_layers(self) -> int:
        """L."""
        return self.W_O.shape[0]

    @property
    def n_heads(self) -> int:
        """H, in each layer."""
        return self.W_O.shape[1]

    @property
    def group_size(self) -> int:
        """How many heads share one W_V: 1 unless the model groups its queries."""
        return self.n_heads // self.W_V.shape[1]

    def sources(self, tokens: Tensor) -> list[Tensor]:
        """What the heads of each layer read for tokens [n]: L times [n, d]."""
        read = self.reading(tokens)
        return [read[min(layer, len(read) - 1)] for layer in range(self.n_layers)]

    def values(self, tokens: Tensor) -> Tensor:
        """x_s W_V for tokens [n] and all heads: [n, L, H, h]."""
        z = [torch.einsum("nd,gdh->ngh", x, W_V) for x, W_V in zip(self.sources(tokens), self.W_V, strict=True)]
        return torch.stack(z, dim=1).repeat_interleave(self.group_size, dim=2)

    def W_VO(self, layer: int, head: int) -> Tensor:  # noqa: N802 - the field's name
        """W_V W_O of one head: [d, d]."""
        return self.W_V[layer, head // self.group_size] @ self.W_O[layer, head]

    def permuted(self, seed: int) -> Heads:
        """The null: every W_VO with its input and its output dimensions permuted. Norms stay, meanings go."""
        generator = torch.Generator().manual_seed(seed)
        rows, columns = (torch.randperm(self.W_O.shape[-1], generator=generator).to(self.W_O.device) for _ in range(2))
        return replace(self, W_V=self.W_V[:, :, rows], W_O=self.W_O[..., columns])

    def _with_gains(self, model: Model) -> Heads:
        before = torch.stack([norm_gain(block.ln1, self.W_E) for block in model.blocks])
        after = torch.stack([norm_gain(getattr(block, "ln1_post", None), self.W_E) for block in model.blocks])
        final = norm_gain(model.ln_final, self.W_E)
        return replace(
            self,
            W_V=self.W_V * before[:, None, :, None],
            W_O=self.W_O * after[:, None, None, :],
            W_U=self.W_U * final[:, None],
        )


def norm_gain(norm: Any, like: Tensor) -> Tensor:
    """The gain of a norm, [d], by probing it: for x of mean 0 and length sqrt(d), norm(x) - norm(-x) = 2 gain * x.

    Models store gains in different ways (Gemma keeps gain - 1); all of them answer to this. No norm: ones.
    """
    d_model = like.shape[-1]
    x = torch.ones(d_model, device=like.device, dtype=like.dtype)
    if norm is None:
        return x
    x[1::2] = -1.0
    return (norm(x[None, None]) - norm(-x[None, None]))[0, 0] * x / 2


@dataclass(frozen=True)
class Pairs:
    """The pairs of several relations side by side, so that one pass scores them all.

    source, target, top_k: [N] token ids and the k of each pair's relation; relation: [N] index into `names`.
    """

    names: tuple[str, ...]
    source: Tensor
    target: Tensor
    top_k: Tensor
    relation: Tensor

    @classmethod
    def of(cls, relations: Mapping[str, Relation], tokenizer: Any, *, most: int, device: str = "cpu") -> Pairs:
        """The first `most` single-token pairs of each relation."""
        rows = [
            (pair.source_id, pair.target_id, relation.top_k, index)
            for index, relation in enumerate(relations.values())
            for pair in single_token_pairs(relation, tokenizer)[:most]
        ]
        columns = torch.tensor(rows, dtype=torch.long, device=device).reshape(-1, 4).unbind(1)
        return cls(tuple(relations), *columns)

    def __len__(self) -> int:
        return len(self.source)

    def select(self, rows: Tensor) -> Pairs:
        """These pairs only."""
        return replace(
            self,
            source=self.source[rows],
            target=self.target[rows],
            top_k=self.top_k[rows],
            relation=self.relation[rows],
        )

    def shuffled(self, seed: int) -> Pairs:
        """The null: within each relation every source gets another pair's target."""
        generator = torch.Generator().manual_seed(seed)
        target = self.target.clone()
        for index in range(len(self.names)):
            rows = (self.relation == index).nonzero().squeeze(1)
            target[rows] = self.target[rows[_derangement(len(rows), generator)]]
        return replace(self, target=target)

    def halves(self, seed: int) -> tuple[Tensor, Tensor]:
        """A random split of every relation's pairs into two halves: two masks [N]."""
        generator = torch.Generator().manual_seed(seed)
        first = torch.zeros(len(self), dtype=torch.bool, device=self.source.device)
        for index in range(len(self.names)):
            rows = (self.relation == index).nonzero().squeeze(1)
            order = torch.randperm(len(rows), generator=generator).to(rows.device)
            first[rows[order[: len(rows) // 2]]] = True
        return first, ~first

    def mean(self, hits: Tensor, rows: Tensor | None = None) -> Tensor:
        """phi: the mean of hits [N, ...] over the pairs of each relation, [R, ...]; over `rows` [N] of them only."""
        keep = torch.ones_like(self.relation, dtype=torch.bool) if rows is None else rows
        return torch.stack([hits[keep & (self.relation == r)].float().mean(0) for r in range(len(self.names))])


def _derangement(n: int, generator: torch.Generator) -> Tensor:
    """A random cyclic shift along a random order of 0..n-1: nothing stays in its place (n >= 2)."""
    order = torch.randperm(n, generator=generator)
    moved = torch.empty(n, dtype=torch.long)
    moved[order] = order.roll(1)
    return moved


@dataclass(frozen=True)
class Hits:
    """For each pair and head, whether the target is among the k most promoted (or suppressed) tokens: [N, L, H].

    Where only promotion was asked for, nothing counts as suppressed.
    """

    promoted: Tensor
    suppressed: Tensor


@torch.no_grad()
def static_hits(heads: Heads, pairs: Pairs, *, suppression: bool = True) -> Hits:
    """Hits from the parameters alone, for all heads."""
    return readout_hits(heads, heads.values(pairs.source), pairs.target, pairs.top_k, suppression=suppression)


@torch.no_grad()
def readout_hits(heads: Heads, z: Tensor, target: Tensor, top_k: Tensor, *, suppression: bool = True) -> Hits:
    """Hits of head outputs z [N, L, H, h] read through W_O and W_U, for targets [N] and k [N].

    Nothing that saves time changes a score. A pair is settled once k tokens lie above its target and k below. Which
    tokens are looked at first is free, so the first few are those whose columns of W_U are farthest from the mean
    column: they get the most extreme logits, and nearly all pairs are settled by them, head by head through the
    narrow W_O W_U. What is left open is settled for all heads together.
    """
    n, n_layers, n_heads, _ = z.shape
    above = torch.empty(n_layers * n_heads, n, dtype=torch.long, device=z.device)  # tokens that get more
    below = torch.full_like(above, MANY)  # tokens that get less; both are exact wherever they are below k
    wanted = torch.empty(above.shape, dtype=z.dtype, device=z.device)  # the target's own logit
    target_columns = heads.W_U.T[target]  # [N, d]
    screen = extreme_tokens(heads.W_U)
    column = _place(target, screen)
    columns = heads.W_U[:, screen]
    left = []
    for i, (layer, head) in enumerate(itertools.product(range(n_layers), range(n_heads))):
        z_head, W_O = z[:, layer, head], heads.W_O[layer, head]
        out = z_head @ W_O  # [N, d]
        wanted[i] = torch.linalg.vecdot(out, target_columns)
        logits = z_head @ (W_O @ columns)
        above[i] = _count(torch.gt, logits, wanted[i], column)
        if suppression:
            below[i] = _count(torch.lt, logits, wanted[i], column)
        left.append(out[_open((above[i], below[i]), top_k)])
    counts = {torch.gt: above, torch.lt: below} if suppression else {torch.gt: above}
    _settle(torch.cat(left), heads.W_U, counts, wanted, target, top_k)
    return Hits(*((count < top_k).T.unflatten(1, (n_layers, n_heads)) for count in (above, below)))


def extreme_tokens(W_U: Tensor, most: int = SCREEN) -> Tensor:
    """The tokens whose columns of W_U [d, V] lie farthest from the mean column."""
    mean = W_U.mean(1)
    distance = W_U.norm(dim=0).square() - 2 * (mean @ W_U)  # less the mean's own length, the same for all
    return distance.topk(min(most, W_U.shape[1])).indices


def _place(token: Tensor, among: Tensor) -> Tensor:
    """Where each token [N] stands in a list of tokens, or -1."""
    same = token[:, None] == among
    return torch.where(same.any(1), same.int().argmax(1), -1)


def _settle(
    out: Tensor, W_U: Tensor, counts: Mapping[Compare, Tensor], wanted: Tensor, target: Tensor, top_k: Tensor
) -> None:
    """Count anew, over all tokens, for the open places of counts [LH, N], of which out [M, d] are the head outputs."""
    head, pair = _open(counts.values(), top_k).nonzero(as_tuple=True)
    for count in counts.values():
        count[head, pair] = 0
    start, size = 0, FIRST_BLOCK
    while start < W_U.shape[1] and len(out):
        stop = start + max(1, min(size, MOST_LOGITS // len(out)))
        logits = out @ W_U[:, start:stop]  # [M, B]
        for compare, count in counts.items():
            count[head, pair] += _count(compare, logits, wanted[head, pair], target[pair] - start)
        still = _open([count[head, pair] for count in counts.values()], top_k[pair])
        out, head, pair = out[still], head[still], pair[still]
        start, size = stop, LATER_BLOCK


def _open(counts: Iterable[Tensor], top_k: Tensor) -> Tensor:
    """Where the counts do not yet say whether the target is among the first or the last k."""
    return torch.stack([count < top_k for count in counts]).any(0)


def _count(compare: Compare, logits: Tensor, wanted: Tensor, column: Tensor) -> Tensor:
    """How many of logits [N, B] lie beyond wanted [N], leaving out the target's own column where it is here.

    The target's logit was computed along another route and may differ from its entry in the last bit; counted against
    itself it would lose half of its first places.
    """
    inside = ((column >= 0) & (column < logits.shape[1])).nonzero().squeeze(1)
    logits[inside, column[inside]] = wanted[inside]
    flags = torch.empty_like(logits)  # comparing into floats and summing those is several times faster than into bools
    return compare(logits, wanted[:, None], out=flags).sum(1).long()


def testable(relations: Mapping[str, Relation], tokenizer: Any, least: int = 30) -> dict[str, Relation]:
    """The relations with at least so many single-token pairs, as the paper asks of a relation for each model."""
    return {name: r for name, r in relations.items() if len(single_token_pairs(r, tokenizer)) >= least}
