"""Was a latent's predecessor active when the latent was? The groups of the paper's first experiment (section 4.1).

For a latent of R_L that is active at a token, its best match in each of R_{L-1}, M_L and A_L either is active at the
same token or is not: eight groups, from "nowhere" to "RES & MLP & ATT". A latent does not belong to one for good; it
changes from text to text.

Shapes: n sampled tokens, c cases (a token and a latent of R_L that is active there), three modules in the order of
`matching.MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from reproductions.common.activations import BATCH, Reader
from reproductions.common.held_out import Excerpt
from reproductions.common.progress import counting
from reproductions.common.text import sequences
from reproductions.feature_flow.matching import MODULES, NONE, Matches, Predecessors
from reproductions.feature_flow.windows import AFTER, Window

KINDS = {
    "speeches": "prose",
    "novel": "prose",
    "jargon": "technical",
    "computing": "technical",
    "handbook": "technical",
    "glosses": "dictionary",
}  # of the sources of held-out text
PER_TEXT = 5  # tokens sampled from each text, as in the paper
LEAST = 20  # latents that a group must have to be compared with another
NEAREST = 20  # a control is drawn from so many latents on either side, in the order of firing rates
RES, MLP, ATT = (1 << bit for bit in range(3))  # a group is the sum of its active predecessors
GROUPS = ("nowhere", "RES", "MLP", "RES & MLP", "ATT", "RES & ATT", "MLP & ATT", "RES & MLP & ATT")


@dataclass(frozen=True)
class Texts:
    """Sequences of held-out text and what kind of text each is."""

    tokens: Tensor  # [texts, position]
    kinds: tuple[str, ...]  # [texts]


@dataclass(frozen=True)
class Sample:
    """The codes of a window's four autoencoders at n tokens of some texts; never at position 0."""

    texts: Texts
    row: Tensor  # [n] which text
    position: Tensor  # [n]
    codes: Mapping[str, Tensor]  # residual, mlp, attention, after: [n, latents]

    def __len__(self) -> int:
        return len(self.row)

    def of_kind(self, kind: str) -> Tensor:
        """Which tokens are from a kind of text: [n] of bool."""
        return torch.tensor([found == kind for found in self.texts.kinds])[self.row]


@dataclass(frozen=True)
class Cases:
    """Active latents of R_L, each with the group that its predecessors put it in."""

    token: Tensor  # [c] number in the sample
    target: Tensor  # [c] latent of R_L
    group: Tensor  # [c] number in GROUPS

    def __len__(self) -> int:
        return len(self.token)

    def select(self, rows: Tensor) -> Cases:
        """Some of the cases: by a mask [c] or by numbers."""
        return Cases(self.token[rows], self.target[rows], self.group[rows])


def held_out_texts(model: object, excerpts: Iterable[Excerpt], n: int, seed: int = 0) -> Texts:
    """n random sequences of 128 tokens of each kind of text, or all that there are; excerpts: `held_out()`."""
    by_kind: dict[str, list[str]] = {}
    for excerpt in excerpts:
        by_kind.setdefault(KINDS[excerpt.source], []).append(excerpt.text)
    generator = torch.Generator().manual_seed(seed)
    found = {kind: sequences(model, by_kind[kind]) for kind in sorted(by_kind)}
    drawn = {kind: rows[torch.randperm(len(rows), generator=generator)[:n]] for kind, rows in found.items()}
    kinds = tuple(kind for kind, rows in drawn.items() for _ in rows)
    return Texts(torch.cat(list(drawn.values())), kinds)


def sample(
    model: object, windows: Sequence[Window], texts: Texts, per_text: int = PER_TEXT, seed: int = 0
) -> list[Sample]:
    """Codes at random tokens of each text, one sample a window, of the same tokens and read in one pass.

    A token that is an outlier at one of a window's sites is left out of this window's sample.
    """
    row, position = _drawn(texts.tokens, per_text, torch.Generator().manual_seed(seed))
    values: dict[str, list[Tensor]] = {site: [] for window in windows for site in window.sites}
    with (
        Reader(model, list(values)) as reader,
        counting("reading", len(texts.tokens), "texts") as advance,
    ):
        for start in range(0, len(texts.tokens), BATCH):
            batch = texts.tokens[start : start + BATCH]
            inside = (row >= start) & (row < start + BATCH)
            for site, found in reader.read(batch).items():
                values[site].append(found[row[inside] - start, position[inside]])
            advance(len(batch))
    joined = {site: torch.cat(parts) for site, parts in values.items()}
    return [_coded(window, joined, texts, row, position) for window in windows]


def _drawn(tokens: Tensor, per_text: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and positions [texts * per_text], positions in rising order in each text and none of them 0."""
    order = torch.rand(len(tokens), tokens.shape[1] - 1, generator=generator).argsort(1)[:, :per_text] + 1
    rows = torch.arange(len(tokens))[:, None].expand_as(order)
    return rows.flatten(), order.sort(1).values.flatten()


def _coded(window: Window, values: Mapping[str, Tensor], texts: Texts, row: Tensor, position: Tensor) -> Sample:
    dictionaries = dict(zip((*MODULES, AFTER), (*window.modules, window.after), strict=True))
    ordinary = torch.stack([each.ordinary(values[each.site]) for each in dictionaries.values()]).all(0)
    codes = {name: each.codes(values[each.site][ordinary]).cpu() for name, each in dictionaries.items()}
    return Sample(texts, row[ordinary.cpu()], position[ordinary.cpu()], codes)


def active_cases(found: Sample, predecessors: Predecessors) -> Cases:
    """Every active latent of R_L at every sampled token, with the group that the first predecessors put it in."""
    token, target = (found.codes[AFTER] > 0).nonzero(as_tuple=True)
    group = torch.zeros_like(token)
    for bit, module in enumerate(MODULES):
        source = getattr(predecessors, module).source.cpu()[target]
        group += (active(found.codes[module], token, source) > 0).long() << bit
    return Cases(token, target, group)


def active(codes: Tensor, token: Tensor, latents: Tensor) -> Tensor:
    """The activations, at the tokens [c], of latents [c, ...]: [c, ...], 0 where the latent is NONE."""
    rows = token.view(-1, *[1] * (latents.ndim - 1)).expand_as(latents)
    return torch.where(latents == NONE, 0.0, codes[rows, latents.clamp(min=0)])


def shares(cases: Cases) -> Tensor:
    """The share of cases in each group: [8]."""
    return torch.bincount(cases.group, minlength=len(GROUPS)) / max(len(cases), 1)


def random_predecessors(
    predecessors: Predecessors, rates: Mapping[str, Tensor], generator: torch.Generator
) -> Predecessors:
    """The baseline of all groups: for each match another latent that fires about as often; the scores are NaN.

    rates: for each module, the share of tokens on which each latent fires, [latents].
    """
    drawn = {
        module: _rate_matched(getattr(predecessors, module).first(1), rates[module].cpu(), generator)
        for module in MODULES
    }
    return Predecessors(**drawn)


def _rate_matched(matches: Matches, rates: Tensor, generator: torch.Generator) -> Matches:
    """Up to NEAREST places up or down in the order of rates, never none; at the ends, the other way."""
    order = rates.argsort(stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    source = matches.indices.cpu()
    at = place[source.clamp(min=0)]
    step = torch.randint(1, min(NEAREST, (len(order) - 1) // 2) + 1, source.shape, generator=generator)
    step = torch.where(torch.rand(source.shape, generator=generator) < 0.5, step, -step)
    step = torch.where((at + step < 0) | (at + step >= len(order)), -step, step)
    drawn = torch.where(source == NONE, NONE, order[at + step])
    return Matches(torch.full_like(matches.scores.cpu(), nan), drawn, matches.n_sources)


@dataclass(frozen=True)
class Difference:
    """Whether a matching score differs between two groups: the Mann-Whitney test, and how much.

    auc: how probably a latent of the first group has the higher score (a tie counts half); 0.5 is no difference.
    """

    score: str  # which of MODULES
    groups: tuple[int, int]
    n: tuple[int, int]
    p: float
    auc: float

    @property
    def effect(self) -> float:
        """How far the AUC is from chance, in either direction: 0 to 0.5."""
        return abs(self.auc - 0.5)


def differences(cases: Cases, predecessors: Predecessors, least: int = LEAST) -> list[Difference]:
    """Every pair of groups compared by s^(R), s^(M) and s^(A) of their latents (paper, figure 14 and appendix C.1).

    A latent counts once in each group that it was seen in, since its score is the same at every token; groups of fewer
    than `least` latents are left out.
    """
    members = {group: cases.target[cases.group == group].unique() for group in range(len(GROUPS))}
    large = [group for group, latents in members.items() if len(latents) >= least]
    return [
        _difference(module, pair, [getattr(predecessors, module).best.cpu()[members[group]] for group in pair])
        for module in MODULES
        for pair in combinations(large, 2)
    ]


def _difference(score: str, groups: tuple[int, int], values: Sequence[Tensor]) -> Difference:
    a, b = (found[~found.isnan()].double().numpy() for found in values)
    test = mannwhitneyu(a, b, method="asymptotic")
    return Difference(score, groups, (len(a), len(b)), float(test.pvalue), float(test.statistic) / (len(a) * len(b)))


def also_seen(cases: Cases) -> Tensor:
    """P(a latent is also seen in the column's group | it is seen in the row's): [8, 8], NaN for an empty row."""
    seen = (_sightings(cases, _latents(cases)) > 0).double()
    together = seen.T @ seen
    return together / together.diagonal()[:, None]


@dataclass(frozen=True)
class Changing:
    """How often two sightings of a latent are in different groups, beside two sightings of any two latents.

    The first is a mean over latents that were seen twice or more, which does not grow with how often they were seen.
    """

    same_latent: float
    any_latents: float
    n: int  # latents


def changing(cases: Cases, other: Cases | None = None) -> Changing:
    """Two sightings in the same cases, or one in each of two: of texts of two kinds."""
    n = max(_latents(cases), _latents(other or cases))
    first = _sightings(cases, n)
    second = first if other is None else _sightings(other, n)
    own = first if other is None else torch.zeros_like(first)  # a sighting is not paired with itself
    pairs = first.sum(1) * second.sum(1) - own.sum(1)
    same = (first * second - own).sum(1)
    counted = pairs > 0
    if not counted.any():
        return Changing(nan, nan, 0)
    shares_of = [found[counted].sum(0) / found[counted].sum() for found in (first, second)]
    different = 1 - same[counted] / pairs[counted]
    return Changing(different.mean().item(), 1 - (shares_of[0] @ shares_of[1]).item(), int(counted.sum()))


def _latents(cases: Cases) -> int:
    """One more than the largest number of a latent."""
    return int(cases.target.max()) + 1 if len(cases) else 0


def _sightings(cases: Cases, n: int) -> Tensor:
    """How often each of the first n latents was seen in each group: [n, 8]."""
    counts = torch.bincount(cases.target * len(GROUPS) + cases.group, minlength=n * len(GROUPS))
    return counts.view(n, len(GROUPS)).double()


def sampled_targets(cases: Cases, most: int, generator: torch.Generator) -> Cases:
    """Up to `most` cases of each token, drawn at random, in the order of tokens."""
    shuffled = cases.select(torch.randperm(len(cases), generator=generator))
    order = shuffled.token.argsort(stable=True)
    token = shuffled.token[order]
    start = torch.searchsorted(token, token)
    kept = order[torch.arange(len(token)) - start < most]
    return shuffled.select(kept)
