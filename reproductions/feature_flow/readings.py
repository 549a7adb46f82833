"""Text read once for all that needs it: matching by activations, folding, the contexts that latents fire in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from reproductions.common.activations import activations
from reproductions.common.held_out import Excerpt
from reproductions.common.progress import counting
from reproductions.feature_flow.groups import Texts
from reproductions.feature_flow.matching import MODULES, Correlations, Predecessors
from reproductions.feature_flow.windows import Dictionary, Window

ALL = "all"  # kinds of text together
CORRELATED = 5  # matches by correlation that are kept


@dataclass(frozen=True, eq=False)
class Readings:
    """What the latents of a window did on some text; position 0 is left out, and at an outlier nothing is active."""

    tokens: Tensor  # [texts, position]
    codes: Mapping[str, csr_array]  # by site: [texts * (positions - 1), latents]
    correlated: Mapping[str, Predecessors]  # by Pearson's r (the paper's appendix C.4), from each kind of text, and ALL

    def typical(self, site: str) -> Tensor:
        """How strongly each latent [n] is active when it is, on the mean; 0 for one that never is."""
        codes = self.codes[site]
        active = np.maximum(codes.count_nonzero(axis=0), 1)
        return torch.from_numpy(np.asarray(codes.sum(axis=0)) / active).float()

    def rates(self, site: str) -> Tensor:
        """The share of tokens on which each latent [n] is active."""
        codes = self.codes[site]
        return torch.from_numpy(np.asarray(codes.count_nonzero(axis=0))).float() / codes.shape[0]

    def peaks(self, site: str, latent: int, most: int) -> list[tuple[int, int]]:
        """Where a latent is most active: text and position, once a text, the strongest first."""
        column = self.codes[site][:, [latent]].tocoo()
        length = self.tokens.shape[1] - 1
        found: dict[int, int] = {}
        for place in column.row[np.argsort(-column.data, kind="stable")].tolist():
            found.setdefault(place // length, place % length + 1)
        return list(found.items())[:most]

    def along(self, site: str, latent: int, text: int, positions: range) -> NDArray[np.float32]:
        """The activations of a latent at some positions, from 1 on, of a text."""
        first = text * (self.tokens.shape[1] - 1) - 1
        rows = self.codes[site][first + positions.start : first + positions.stop, [latent]]
        found: NDArray[np.float32] = rows.toarray()[:, 0]
        return found


def halves(excerpts: Sequence[Excerpt]) -> tuple[list[Excerpt], list[Excerpt]]:
    """What matchings may learn from, and what they are tested on: every other excerpt."""
    return list(excerpts[::2]), list(excerpts[1::2])


@torch.no_grad()
def read(model: object, window: Window, texts: Texts) -> Readings:
    """Read the texts, once for everything."""
    dictionaries = (*window.modules, window.after)
    codes: dict[str, list[csr_array]] = {each.site: [] for each in dictionaries}
    sums = {kind: _correlations(window) for kind in (ALL, *texts.kinds)}
    rows: list[Tensor] = []
    with counting(f"reading, layer {window.layer}", len(texts.tokens), "texts") as advance:
        for kind, own in _by_kind(texts):
            rows.append(own)
            for values in activations(model, window.sites, own):
                found = {each.site: _codes(each, values[each.site]) for each in dictionaries}
                for group in (ALL, kind):
                    _count(sums[group], window, found)
                for site, dense in found.items():
                    codes[site].append(csr_array(dense.numpy()))
                advance(len(values[window.after.site]))
    correlated = {
        kind: Predecessors(*(each.matches(CORRELATED) for each in own.values())) for kind, own in sums.items()
    }
    return Readings(torch.cat(rows), {site: csr_array(vstack(parts)) for site, parts in codes.items()}, correlated)


def _by_kind(texts: Texts) -> Iterator[tuple[str, Tensor]]:
    for kind in dict.fromkeys(texts.kinds):
        yield kind, texts.tokens[torch.tensor([own == kind for own in texts.kinds])]


def _codes(dictionary: Dictionary, values: Tensor) -> Tensor:
    rows = values.flatten(0, 1)
    return (dictionary.codes(rows) * dictionary.ordinary(rows)[:, None]).cpu()


def _correlations(window: Window) -> dict[str, Correlations]:
    """In the order of MODULES."""
    return {module: Correlations(window.after.n, getattr(window, module).n) for module in MODULES}


def _count(sums: Mapping[str, Correlations], window: Window, found: Mapping[str, Tensor]) -> None:
    for module, correlations in sums.items():
        correlations.add(found[window.after.site], found[getattr(window, module).site])
