"""Which earlier latent does a latent come from? Matching dictionaries of autoencoders, without data and with.

An autoencoder's decoder rows are directions in the residual stream's basis, wherever in a layer it was trained. The
predecessor of a target f among the rows of another decoder is the one it points along most (paper, section 3.2),

    s = max_j  f . W_dec[j],

a cosine, since rows have norm 1. For a target in R_L, the residual stream after layer L, predecessors are sought in
R_{L-1}, in the MLP's output M_L and in the attention's output A_L. Matching many to one costs one matrix product,
which is never held whole: `top_matches` goes through it in blocks and keeps the k best.

Shapes: n target latents, m source latents, d = d_model, k matches a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from torch import Tensor

from reproductions.feature_flow.named import Named

TARGET_BLOCK, SOURCE_BLOCK = 1024, 4096  # scores held at once: 16 MiB in float32
CONSTANT = 1e-12  # a latent whose variance is below this share of its mean square does not vary
NONE = -1  # the index of a match that there is not

Each = TypeVar("Each")


class MatchingError(ValueError):
    """Dictionaries that cannot be matched; the message says why."""


@dataclass(frozen=True)
class Place(Named):
    """Where a layer has a dictionary.

    Where predecessors are sought, `short` names the groups of latents that have an active one there, and `bit` is what
    that adds to a group's number.
    """

    short: str = ""
    bit: int = 0


RESIDUAL = Place("residual", "residual stream before", "RES", 1)  # R_{L-1}
MLP = Place("mlp", "MLP", "MLP", 2)  # M_L
ATTENTION = Place("attention", "attention", "ATT", 4)  # A_L
AFTER = Place("after", "residual stream after")  # R_L
MODULES = (RESIDUAL, MLP, ATTENTION)  # where predecessors are sought


@dataclass(frozen=True)
class ByModule(Generic[Each]):
    """One of something for each of MODULES; iterates in their order."""

    residual: Each
    mlp: Each
    attention: Each

    def __iter__(self) -> Iterator[Each]:
        return iter((self.residual, self.mlp, self.attention))

    def __getitem__(self, module: Place) -> Each:
        found: Each = getattr(self, module.key)
        return found


@dataclass(frozen=True)
class Matches:
    """For each of n targets its k sources, best first.

    scores: [n, k], cosines or correlations; indices: [n, k], below n_sources. Where a target has no such source (only
    correlations can lack), the score is NaN and the index -1.
    """

    scores: Tensor
    indices: Tensor
    n_sources: int

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def best(self) -> Tensor:
        """The score of each target's first source: [n]."""
        return self.scores[:, 0]

    @property
    def source(self) -> Tensor:
        """Each target's first source: [n]."""
        return self.indices[:, 0]

    def first(self, k: int) -> Matches:
        """The k best only."""
        return Matches(self.scores[:, :k], self.indices[:, :k], self.n_sources)


@dataclass(frozen=True)
class Sources(ByModule[Tensor]):
    """The dictionaries before and inside layer L, in which the latents of R_L have predecessors: [m, d] each."""


@dataclass(frozen=True)
class Predecessors(ByModule[Matches]):
    """The matches of R_L's latents in R_{L-1}, M_L and A_L."""

    @property
    def s_R(self) -> Tensor:  # noqa: N802 - the paper's name
        """s^(R), how well the best residual predecessor fits: [n]."""
        return self.residual.best

    @property
    def s_M(self) -> Tensor:  # noqa: N802 - the paper's name
        """s^(M), how well the best MLP predecessor fits: [n]."""
        return self.mlp.best

    @property
    def s_A(self) -> Tensor:  # noqa: N802 - the paper's name
        """s^(A), how well the best attention predecessor fits: [n]."""
        return self.attention.best

    def first(self, k: int = 1) -> Predecessors:
        """The k best of each only."""
        return Predecessors(*(matches.first(k) for matches in self))


@dataclass(frozen=True)
class Chain:
    """Latents followed back over several layers; layers that are not neighbours are never matched (section 3.3).

    indices: [n, steps + 1], from the target itself to its earliest predecessor; scores: [n, steps], those of the steps.
    """

    indices: Tensor
    scores: Tensor

    @property
    def weakest(self) -> Tensor:
        """The lowest score along each chain: [n]."""
        return self.scores.amin(1)


def directions(W_dec: Tensor, *, centred: bool = False) -> Tensor:
    """The rows of a decoder [n, d] at norm 1; `centred`, less the mean of the rows.

    Decoders share directions, first of all their mean: with it left in, latents match that have nothing but it in
    common.
    """
    unit = torch.nn.functional.normalize(W_dec.detach())
    return torch.nn.functional.normalize(unit - unit.mean(0)) if centred else unit


@torch.no_grad()
def top_matches(targets: Tensor, sources: Tensor, k: int = 1) -> Matches:
    """The k sources [m, d] that have the largest inner product with each target [n, d], in any order among equals.

    At most 1024 x 4096 products are held at once, whatever n and m are. These are the ones in the rows of the paper's
    T = 1[top-k(W_dec^(A)T W_dec^(B)) > 0] (section 3.2).

    Raises:
        MatchingError: there are fewer than k sources, or the widths differ.
    """
    _refuse_unlike(targets, sources)
    if not 1 <= k <= len(sources):
        raise MatchingError(f"{k} matches cannot be had from {len(sources)} sources: ask for 1 to {len(sources)}")
    buffer = targets.new_empty(min(len(targets), TARGET_BLOCK) * min(len(sources), SOURCE_BLOCK))
    blocks = [_best(block, sources, k, buffer) for block in targets.split(TARGET_BLOCK)]
    scores, indices = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    return Matches(scores, indices, len(sources))


def _best(targets: Tensor, sources: Tensor, k: int, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """The k best of one block of targets: those of each block of sources compete with the best so far.

    The products are written into one buffer: made anew, blocks of this size leave holes in memory, ten times their own.
    """
    scores = targets.new_empty(len(targets), 0)
    indices = torch.empty(len(targets), 0, dtype=torch.long, device=targets.device)
    for start in range(0, len(sources), SOURCE_BLOCK):
        block = sources[start : start + SOURCE_BLOCK]
        products = buffer[: len(targets) * len(block)].view(len(targets), len(block))
        found = torch.mm(targets, block.T, out=products).topk(min(k, len(block)))
        scores = torch.cat([scores, found.values], dim=1)
        indices = torch.cat([indices, found.indices + start], dim=1)
        scores, kept = scores.topk(min(k, scores.shape[1]))
        indices = indices.gather(1, kept)
    return scores, indices


def predecessors(targets: Tensor, sources: Sources, k: int = 1) -> Predecessors:
    """The predecessors of targets [n, d], the directions of R_L (paper, section 3.3).

    Raises:
        MatchingError: a dictionary has fewer than k latents, or another width.
    """
    return Predecessors(*(top_matches(targets, rows, k) for rows in sources))


def compose(steps: Sequence[Matches]) -> Chain:
    """First matches of neighbouring layers, the latest step first: whom the targets of the first step come from.

    Raises:
        MatchingError: the sources of a step are not the targets of the next, or a target has no match.
    """
    for later, earlier in pairwise(steps):
        if later.n_sources != len(earlier):
            raise MatchingError(f"{later.n_sources} sources are followed by {len(earlier)} targets: not neighbours")
    indices, scores = [torch.arange(len(steps[0]), device=steps[0].indices.device)], []
    for step in steps:
        if bool((step.source == NONE).any()):
            raise MatchingError("a latent without a match cannot be followed back")
        scores.append(step.best[indices[-1]])
        indices.append(step.source[indices[-1]])
    return Chain(torch.stack(indices, dim=1), torch.stack(scores, dim=1))


@torch.no_grad()
def hungarian(targets: Tensor, sources: Tensor, folded_by: tuple[Tensor, Tensor] | None = None) -> Matches:
    """One-to-one matching with the least mean squared difference of matched rows, n <= m (SAE Match; section 2.3).

    For rows of norm 1 that is the largest sum of cosines. `folded_by` are typical activations, [n] and [m], by which
    the rows are scaled first. The scores are cosines all the same: [n, 1]. The cost of all n x m pairs is held.

    Raises:
        MatchingError: there are more targets than sources, or the widths differ.
    """
    _refuse_unlike(targets, sources)
    _refuse_fewer(targets, sources)
    a, b = targets, sources
    if folded_by is not None:
        a, b = targets * folded_by[0][:, None], sources * folded_by[1][:, None]
    cost = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    chosen = linear_sum_assignment(cost.cpu().numpy())[1]
    return _one_each(targets, sources, torch.as_tensor(chosen, device=targets.device))


def random_permutation(targets: Tensor, sources: Tensor, generator: torch.Generator) -> Matches:
    """The control of all matchings: sources drawn without replacement, with their cosines [n, 1].

    Raises:
        MatchingError: there are more targets than sources, or the widths differ.
    """
    _refuse_unlike(targets, sources)
    _refuse_fewer(targets, sources)
    drawn = torch.randperm(len(sources), generator=generator)[: len(targets)]
    return _one_each(targets, sources, drawn.to(targets.device))


def _one_each(targets: Tensor, sources: Tensor, chosen: Tensor) -> Matches:
    cosines = torch.nn.functional.cosine_similarity(targets, sources[chosen])
    return Matches(cosines[:, None], chosen[:, None], len(sources))


def random_of(matches: Matches, generator: torch.Generator) -> Matches:
    """One of each target's k sources, drawn with equal chance: [n, 1] (the paper draws from five, appendix A.2)."""
    n, k = matches.indices.shape
    drawn = torch.randint(k, (n, 1), generator=generator).to(matches.indices.device)
    return Matches(matches.scores.gather(1, drawn), matches.indices.gather(1, drawn), matches.n_sources)


class Correlations:
    """Pearson's r between the activations of all target and all source latents, from sums over batches of tokens.

    Codes are sparse, so that a batch costs tokens x (active targets) x (active sources); the sums are n x m in float64.
    """

    def __init__(self, n: int, m: int) -> None:
        self._tokens = 0
        self._targets, self._sources = _Sums(n), _Sums(m)
        self._products = np.zeros((n, m))

    def add(self, targets: csr_array, sources: csr_array) -> None:
        """Count codes [tokens, n] and [tokens, m] of the same tokens.

        Raises:
            MatchingError: they are not of equally many tokens.
        """
        if targets.shape[0] != sources.shape[0]:
            raise MatchingError(f"codes of {targets.shape[0]} tokens cannot be paired with codes of {sources.shape[0]}")
        a, b = (codes.astype(np.float64) for codes in (targets, sources))
        self._tokens += targets.shape[0]
        self._targets.add(a)
        self._sources.add(b)
        self._products += (a.T @ b).toarray()

    def matches(self, k: int = 1) -> Matches:
        """The k sources that correlate most with each target; a latent that does not vary is in no match.

        Raises:
            MatchingError: there are fewer than k sources.
        """
        if not 1 <= k <= self._products.shape[1]:
            raise MatchingError(f"{k} matches cannot be had from {self._products.shape[1]} sources")
        r = torch.from_numpy(np.nan_to_num(self._correlations(), nan=-np.inf))
        scores, indices = r.topk(k)
        missing = scores == -torch.inf
        return Matches(scores.masked_fill(missing, nan), indices.masked_fill(missing, NONE), r.shape[1])

    def _correlations(self) -> NDArray[np.float64]:
        """[n, m], NaN for latents that do not vary."""
        tokens = max(self._tokens, 1)
        covariance = self._products / tokens
        covariance -= np.outer(self._targets.total / tokens, self._sources.total / tokens)
        return covariance / np.outer(self._targets.deviation(tokens), self._sources.deviation(tokens))


class _Sums:
    """Sums over tokens of the codes of some latents, and of their squares."""

    def __init__(self, n: int) -> None:
        self.total, self.squares = np.zeros(n), np.zeros(n)

    def add(self, codes: csr_array) -> None:
        self.total += codes.sum(axis=0)
        self.squares += codes.power(2).sum(axis=0)

    def deviation(self, tokens: int) -> NDArray[np.float64]:
        """The standard deviation of each latent, NaN where it does not vary."""
        square = self.squares / tokens
        variance = square - (self.total / tokens) ** 2
        return np.sqrt(np.where(variance > CONSTANT * square, variance, np.nan))


def pearson_matches(batches: Iterable[tuple[Tensor, Tensor]], k: int = 1) -> Matches:
    """Matching by activations (appendix C.4), from batches of codes, [tokens, n] of targets and [tokens, m] of sources.

    Raises:
        MatchingError: there is no batch, a batch is not of the same tokens, or there are fewer than k sources.
    """
    correlations = None
    for pair in batches:
        targets, sources = (csr_array(codes.detach().cpu().numpy()) for codes in pair)
        correlations = correlations or Correlations(targets.shape[1], sources.shape[1])
        correlations.add(targets, sources)
    if correlations is None:
        raise MatchingError("without a batch of codes there is nothing to correlate")
    return correlations.matches(k)


def typical_activations(batches: Iterable[Tensor]) -> Tensor:
    """How strongly each latent is active when it is, the mean over codes [tokens, n]: [n], 0 for one that never is.

    It stands in for the threshold of a JumpReLU, by which SAE Match folds (appendices B.2 and F).

    Raises:
        MatchingError: there is no batch.
    """
    sums: Tensor | None = None  # of the activations, and of the tokens with any: [2, n]
    for codes in batches:
        active = codes.detach().clamp(min=0)
        found = torch.stack([active.sum(0, dtype=torch.float64), (active > 0).sum(0).double()])
        sums = found if sums is None else sums + found
    if sums is None:
        raise MatchingError("without a batch of codes no activation is typical")
    return (sums[0] / sums[1].clamp(min=1)).float()


def _refuse_unlike(targets: Tensor, sources: Tensor) -> None:
    if targets.shape[1] != sources.shape[1]:
        raise MatchingError(
            f"directions of width {targets.shape[1]} cannot be matched with directions of width {sources.shape[1]}: "
            "both must lie in the same residual stream"
        )


def _refuse_fewer(targets: Tensor, sources: Tensor) -> None:
    if len(targets) > len(sources):
        raise MatchingError(f"{len(targets)} targets cannot be matched one to one with {len(sources)} sources")
