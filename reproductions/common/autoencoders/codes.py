"""What an autoencoder is compared with: other ways to write an activation as a sum of k directions.

Principal components are the best basis of all that a linear method can find; a random dictionary shows what as many
directions give that nobody trained. Both choose their k directions anew for every token, as an autoencoder does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reproductions.common.activation_files import chunks
from reproductions.common.linear_systems import solved

Code = Callable[[Tensor], Tensor]  # rows [n, d] to their reconstructions
FITTED_ROWS = 250_000  # training rows that principal components are fitted on
SOLVED_ROWS = 1024
RIDGE = 1e-5  # keeps the least squares of nearly parallel directions solvable


def principal_components(rows: Tensor, mean: Tensor, k: int) -> Code:
    """For each token the k principal components of `rows` with the largest coefficients, of either sign.

    The components are orthonormal, so no other k of them, and no other coefficients, would come closer.
    """
    basis = _eigenvectors(rows[:FITTED_ROWS], mean)

    def reconstruct(x: Tensor) -> Tensor:
        coefficients = (x - mean) @ basis
        chosen = coefficients.abs().topk(k, dim=-1).indices
        kept = torch.zeros_like(coefficients).scatter_(-1, chosen, coefficients.gather(-1, chosen))
        return kept @ basis.T + mean

    return reconstruct


def _eigenvectors(rows: Tensor, mean: Tensor) -> Tensor:
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=mean.device)
    for chunk in chunks(rows, str(mean.device)):
        centred = chunk - mean
        covariance += centred.T @ centred
    return torch.linalg.eigh(covariance).eigenvectors.float()


def random_dictionary(mean: Tensor, n: int, k: int, seed: int = 0) -> Code:
    """n random unit directions: for each token the k that it points along most, with least-squares coefficients.

    The directions are chosen as TopK chooses latents, by the largest inner product; the coefficients are then the best
    there are for them.
    """
    directions = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed)).to(mean.device)
    directions /= directions.norm(dim=-1, keepdim=True)

    def reconstruct(x: Tensor) -> Tensor:
        return torch.cat([_solve(chunk - mean, directions, k) for chunk in x.split(SOLVED_ROWS)]) + mean

    return reconstruct


def _solve(x: Tensor, directions: Tensor, k: int) -> Tensor:
    inner, chosen = (x @ directions.T).topk(k, dim=-1)
    basis = directions[chosen]  # [n, k, d]
    gram = basis @ basis.mT + RIDGE * torch.eye(k, device=x.device)
    coefficients = solved(gram, inner)
    return (coefficients[:, None] @ basis)[:, 0]
