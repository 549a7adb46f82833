"""Was a latent's predecessor active when the latent was? The groups of the paper's first experiment (section 4.1).

For a latent of R_L that is active at a token, its best match in each of R_{L-1}, M_L and A_L either is active at the
same token or is not: eight groups, from "nowhere" to "RES & MLP & ATT". A latent does not belong to one for good; it
changes from text to text.

Shapes: n sampled tokens, c cases (a token and a latent of R_L that is active there), three modules in the order of
`method.MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan

import torch
from torch import Tensor

from reproductions.common.activations import Reader
from reproductions.common.held_out import Excerpt
from reproductions.common.model import Model
from reproductions.common.progress import working
from reproductions.common.text import sequences
from reproductions.common.workers import side_by_side
from reproductions.feature_flow.method import AFTER, MODULES, NONE, Matches, Place, Predecessors
from reproductions.feature_flow.windows import Window

PROSE, TECHNICAL, DICTIONARY = "prose", "technical", "dictionary"
KINDS = {
    "speeches": PROSE,
    "novel": PROSE,
    "jargon": TECHNICAL,
    "computing": TECHNICAL,
    "handbook": TECHNICAL,
    "glosses": DICTIONARY,
}  # of the sources of held-out text
AT_ONCE = 6  # texts in one pass
PER_TEXT = 5  # tokens sampled from each text, as in the paper
NEAREST = 20  # a control is drawn from so many latents on either side, in the order of firing rates
GROUPS = tuple(  # a group's number is the sum of the bits of its active predecessors
    " & ".join(module.short for module in MODULES if number & module.bit) or "nowhere" for number in range(8)
)


@dataclass(frozen=True)
class Texts:
    """Sequences of held-out text and what kind of text each is."""

    tokens: Tensor  # [texts, position]
    kinds: tuple[str, ...]  # [texts]

    def dealt(self, hands: int) -> list[Texts]:
        """The texts in so many parts, no text in two of them: as many of each kind in all, or one less."""
        return [Texts(self.tokens[hand::hands], self.kinds[hand::hands]) for hand in range(hands)]


@dataclass(frozen=True)
class Sample:
    """The codes of a window's four autoencoders at n tokens of some texts; never at position 0."""

    texts: Texts
    row: Tensor  # [n] which text
    position: Tensor  # [n]
    codes: Mapping[Place, Tensor]  # of MODULES, and AFTER: [n, latents]
    before: Tensor  # R_{L-1} at every token of the texts: [texts, position, d_model]
    after: Tensor  # R_L, likewise

    def __len__(self) -> int:
        return len(self.row)

    def of_kind(self, kind: str) -> Tensor:
        """Which tokens are from a kind of text: [n] of bool."""
        return torch.tensor([found == kind for found in self.texts.kinds])[self.row]


@dataclass(frozen=True)
class Cases:
    """Active latents of R_L, each with the group that its predecessors put it in."""

    text: Tensor  # [c] number of the token's text
    token: Tensor  # [c] number in the sample
    target: Tensor  # [c] latent of R_L
    group: Tensor  # [c] number in GROUPS

    def __len__(self) -> int:
        return len(self.token)

    def select(self, rows: Tensor) -> Cases:
        """Some of the cases: by a mask [c] or by numbers."""
        return Cases(self.text[rows], self.token[rows], self.target[rows], self.group[rows])


def held_out_texts(model: Model, excerpts: Iterable[Excerpt], n: int, seed: int = 0) -> Texts:
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
    model: Model, windows: Sequence[Window], texts: Texts, per_text: int = PER_TEXT, seed: int = 0
) -> list[Sample]:
    """Codes at random tokens of each text, one sample a window, of the same tokens and read in one pass.

    A token that is an outlier at one of a window's sites is left out of this window's sample.
    """
    row, position = _drawn(texts.tokens, per_text, torch.Generator().manual_seed(seed))
    sites = list(dict.fromkeys(site for window in windows for site in window.sites))
    streams = {each.site for window in windows for each in (window.residual, window.after)}

    def values_of(start: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        inside = (row >= start) & (row < start + AT_ONCE)
        with Reader(model, sites) as reader:
            found = reader.read(texts.tokens[start : start + AT_ONCE])
        there = {site: found[site][row[inside] - start, position[inside]] for site in sites}
        return there, {site: found[site] for site in streams}

    with working(f"reading: {len(texts.tokens)} texts"):
        parts = side_by_side([partial(values_of, start) for start in range(0, len(texts.tokens), AT_ONCE)])
    joined, whole = (
        {site: torch.cat([part[site] for part in kind]) for site in kind[0]} for kind in zip(*parts, strict=True)
    )
    drawn = [
        Sample(texts, row, position, {}, whole[window.residual.site], whole[window.after.site]) for window in windows
    ]
    return [_coded(window, joined, each) for window, each in zip(windows, drawn, strict=True)]


def _drawn(tokens: Tensor, per_text: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and positions [texts * per_text], positions in rising order in each text and none of them 0."""
    order = torch.rand(len(tokens), tokens.shape[1] - 1, generator=generator).argsort(1)[:, :per_text] + 1
    rows = torch.arange(len(tokens))[:, None].expand_as(order)
    return rows.flatten(), order.sort(1).values.flatten()


def _coded(window: Window, values: Mapping[str, Tensor], drawn: Sample) -> Sample:
    ordinary = torch.stack([each.ordinary(values[each.site]) for each in window.dictionaries]).all(0)
    codes = [each.codes(values[each.site][ordinary]).cpu() for each in window.dictionaries]
    kept = ordinary.cpu()
    by_place = dict(zip((*MODULES, AFTER), codes, strict=True))
    return replace(drawn, row=drawn.row[kept], position=drawn.position[kept], codes=by_place)


def active_cases(found: Sample, predecessors: Predecessors) -> Cases:
    """Every active latent of R_L at every sampled token, with the group that the first predecessors put it in."""
    token, target = (found.codes[AFTER] > 0).nonzero(as_tuple=True)
    group = torch.zeros_like(token)
    for module, matches in zip(MODULES, predecessors, strict=True):
        source = matches.source.cpu()[target]
        group += (active(found.codes[module], token, source) > 0) * module.bit
    return Cases(found.row[token], token, target, group)


def active(codes: Tensor, token: Tensor, latents: Tensor) -> Tensor:
    """The activations, at the tokens [c], of latents [c, ...]: [c, ...], 0 where the latent is NONE."""
    rows = token.view(-1, *[1] * (latents.ndim - 1)).expand_as(latents)
    return torch.where(latents == NONE, 0.0, codes[rows, latents.clamp(min=0)])


def shares(cases: Cases) -> Tensor:
    """The share of cases in each group: [8]."""
    return torch.bincount(cases.group, minlength=len(GROUPS)) / max(len(cases), 1)


def random_predecessors(
    predecessors: Predecessors, rates: Iterable[Tensor], generator: torch.Generator
) -> Predecessors:
    """The baseline of all groups: for each match another latent that fires about as often; the scores are NaN.

    rates: for each module, the share of tokens on which each latent fires, [latents].
    """
    each = zip(predecessors, rates, strict=True)
    return Predecessors(*(_rate_matched(matches.first(1), own.cpu(), generator) for matches, own in each))


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


def sampled_targets(cases: Cases, most: int, generator: torch.Generator) -> Cases:
    """Up to `most` cases of each token, drawn at random, in the order of tokens."""
    shuffled = cases.select(torch.randperm(len(cases), generator=generator))
    order = shuffled.token.argsort(stable=True)
    token = shuffled.token[order]
    start = torch.searchsorted(token, token)
    kept = order[torch.arange(len(token)) - start < most]
    return shuffled.select(kept)
