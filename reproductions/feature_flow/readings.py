"""Text read once for all that needs it: matching by activations, folding, the contexts that latents fire in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from reproductions.common.activations import activations
from reproductions.common.held_out import Excerpt
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model
from reproductions.common.progress import working
from reproductions.common.workers import side_by_side
from reproductions.feature_flow.groups import PROSE, TECHNICAL, Texts
from reproductions.feature_flow.method import Correlations, Predecessors
from reproductions.feature_flow.windows import Window

AT_ONCE = 9  # texts in one pass
ALL = "all"  # kinds of text together
LEARNT_FROM = (ALL, PROSE, TECHNICAL)  # what correlations are learnt from


@dataclass(frozen=True)
class Codes:
    """Codes [tokens, latents], of which few are not 0, as the arrays of a compressed sparse matrix."""

    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    shape: tuple[int, int]

    @classmethod
    def of(cls, whole: csr_array) -> Codes:
        """The arrays of a matrix."""
        return cls(whole.data, whole.indices, whole.indptr, whole.shape)

    @classmethod
    def joined(cls, parts: Sequence[Codes]) -> Codes:
        """Batches of tokens, one behind the other."""
        return cls.of(csr_array(vstack([part.csr for part in parts])))

    @property
    def csr(self) -> csr_array:
        """The matrix."""
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)


@dataclass(frozen=True)
class Readings:
    """What the latents of a window did on some text; position 0 is left out, and at an outlier nothing is active."""

    tokens: Tensor  # [texts, position]
    codes: Mapping[str, Codes]  # by site: [texts * (positions - 1), latents]
    correlated: Mapping[str, Predecessors]  # the nearest by Pearson's r (appendix C.4), for each of LEARNT_FROM

    def typical(self, site: str) -> Tensor:
        """How strongly each latent [n] is active when it is, on the mean; 0 for one that never is."""
        codes = self.codes[site].csr
        active = np.maximum(codes.count_nonzero(axis=0), 1)
        return torch.from_numpy(np.asarray(codes.sum(axis=0)) / active).float()

    def rates(self, site: str) -> Tensor:
        """The share of tokens on which each latent [n] is active."""
        codes = self.codes[site].csr
        return torch.from_numpy(np.asarray(codes.count_nonzero(axis=0))).float() / codes.shape[0]

    def together(self, site: str, other: str, sources: Tensor) -> Tensor:
        """How often the source [n] of each latent [n] of a site, a latent of another site, is active when it is."""
        here, there = self.codes[site].csr > 0, self.codes[other].csr[:, sources.cpu().numpy()] > 0
        both = np.asarray(here.multiply(there).sum(axis=0))
        return torch.from_numpy(both / np.maximum(np.asarray(here.sum(axis=0)), 1)).float()

    def peaks(self, site: str, latent: int, most: int) -> list[tuple[int, int]]:
        """Where a latent is most active: text and position, once a text, the strongest first."""
        column = self.codes[site].csr[:, [latent]].tocoo()
        length = self.tokens.shape[1] - 1
        found: dict[int, int] = {}
        for place in column.row[np.argsort(-column.data, kind="stable")].tolist():
            found.setdefault(place // length, place % length + 1)
        return list(found.items())[:most]

    def along(self, site: str, latent: int, text: int, positions: range) -> NDArray[np.float32]:
        """The activations of a latent at some positions, from 1 on, of a text."""
        first = text * (self.tokens.shape[1] - 1) - 1
        rows = self.codes[site].csr[first + positions.start : first + positions.stop, [latent]]
        found: NDArray[np.float32] = rows.toarray()[:, 0]
        return found


def halves(excerpts: Sequence[Excerpt]) -> tuple[list[Excerpt], list[Excerpt]]:
    """What matchings may learn from, and what they are tested on: every other excerpt."""
    return list(excerpts[::2]), list(excerpts[1::2])


@torch.no_grad()
def read(model: Model, windows: Sequence[Window], texts: Texts) -> list[Readings]:
    """Read the texts, once for all windows and for everything; what each window's latents did."""
    dictionaries = {each.site: each for window in windows for each in window.dictionaries}

    def codes_of(rows: Tensor) -> dict[str, Codes]:
        (values,) = activations(model, list(dictionaries), rows)
        return {site: _codes(each, values[site]) for site, each in dictionaries.items()}

    with working(f"reading: {len(texts.tokens)} texts"):
        parts = side_by_side([partial(codes_of, rows) for rows in texts.tokens.split(AT_ONCE)])
    codes = {site: Codes.joined([part[site] for part in parts]) for site in dictionaries}
    return [_readings(window, texts, {site: codes[site] for site in window.sites}) for window in windows]


def _codes(dictionary: Dictionary, values: Tensor) -> Codes:
    rows = values.flatten(0, 1)
    return Codes.of(csr_array((dictionary.codes(rows) * dictionary.ordinary(rows)[:, None]).cpu().numpy()))


def _readings(window: Window, texts: Texts, codes: Mapping[str, Codes]) -> Readings:
    length = texts.tokens.shape[1] - 1
    kinds = np.repeat(np.asarray(texts.kinds), length)
    chosen = {kind: kinds == kind if kind != ALL else np.full(len(kinds), True) for kind in LEARNT_FROM}
    correlated = {kind: _correlated(window, codes, rows) for kind, rows in chosen.items()}
    return Readings(texts.tokens, codes, correlated)


def _correlated(window: Window, codes: Mapping[str, Codes], rows: NDArray[np.bool_]) -> Predecessors:
    """The nearest predecessors by correlation, from some of the tokens."""
    after = codes[window.after.site].csr[rows]
    found = []
    for module in window.modules:
        correlations = Correlations(after.shape[1], module.n)
        correlations.add(after, codes[module.site].csr[rows])
        found.append(correlations.matches())
    return Predecessors(*found)
