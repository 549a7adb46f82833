"""How far one dictionary's features are in another, and how far they would be by chance.

The maximum cosine similarity of a feature i of one dictionary with another one, directions D [n, d] and E [k, d], is

    MCS_i = max_j cos(D_i, E_j).

How large it is by chance is told by flipped copies of E, E Q with Q = U diag(s) U' and random signs s, where U holds
the principal axes of E: all cosines within E and its spread along each axis stay, and only the directions are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.latents import Dictionary

SHARED = 0.9  # MCS from which on a feature counts as shared


def unit(vectors: Tensor) -> Tensor:
    """Vectors [..., d] brought to length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True)


def mcs(directions: Tensor, others: Tensor) -> Tensor:
    """The cosine of each direction [n, d] to the nearest of the others [k, d]: [n]."""
    return (unit(directions) @ unit(others).T).amax(-1)


@dataclass(frozen=True)
class Agreement:
    """MCS of features with another dictionary [n], with flipped copies of it and random directions [draws, n] each.

    `again` are further flipped copies, as a control.
    """

    mcs: Tensor
    flipped: Tensor
    again: Tensor
    random: Tensor

    @classmethod
    def of(cls, directions: Tensor, others: Tensor, seeds: Sequence[int]) -> Agreement:
        """Of directions [n, d] with others [k, d]."""
        noise = (torch.randn(others.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds)
        flipped, again = ([others @ flip(others, seed + apart) for seed in seeds] for apart in (0, 1_000_000))
        by_chance = (flipped, again, [drawn.to(others) for drawn in noise])
        flipped_mcs, again_mcs, random = (torch.stack([mcs(directions, some) for some in each]) for each in by_chance)
        return cls(mcs(directions, others), flipped_mcs, again_mcs, random)

    @property
    def gap(self) -> Tensor:
        """MCS less that with flipped copies, [n]."""
        return self.mcs - self.flipped.mean(0)

    @property
    def shared(self) -> Tensor:
        """1 where MCS is above 0.9, 0 where not, NaN where there is none, [n]."""
        return (self.mcs > SHARED).float().where(~self.mcs.isnan(), torch.nan)

    @property
    def chance(self) -> Tensor:
        """The same for further flipped copies in the other dictionary's place."""
        return (self.again - self.flipped).mean(0)


def flip(directions: Tensor, seed: int) -> Tensor:
    """An orthogonal map Q = U diag(s) U' [d, d] with random signs s along the principal axes U of directions [n, d].

    Rows D become D Q: all cosines among them and their spread along each axis stay.
    """
    axes = torch.linalg.eigh(directions.double().T @ directions.double()).eigenvectors
    signs = torch.randint(2, (len(axes),), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
    return ((axes * signs) @ axes.T).to(directions)


def turned(dictionary: Dictionary, turn: Tensor) -> Dictionary:
    """The same autoencoder with all that it reads and writes turned by an orthogonal map [d, d]; its centre stays."""
    sae = deepcopy(dictionary.sae)
    sae.W_enc.data, sae.W_dec.data = turn.T @ sae.W_enc.data, sae.W_dec.data @ turn
    return Dictionary(dictionary.site, sae)
