"""Many systems of linear equations at once.

`torch.linalg.solve` and `torch.linalg.inv` are not to be given batches. On processors, PyTorch with two threads makes
wrong factors of batches of matrices of some 150 rows (its issue 142815, open): mostly with an error, but residuals of
.9 were seen here without one, where one thread leaves 1e-6. Single matrices are right, and so are Cholesky factors.
"""

from __future__ import annotations

import torch
from torch import Tensor


def solved(positive: Tensor, right: Tensor) -> Tensor:
    """x [..., n] in positive x = right, for symmetric positive definite matrices [..., n, n] and right sides [..., n].

    Raises:
        torch.linalg.LinAlgError: a matrix is not positive definite.
    """
    return torch.cholesky_solve(right[..., None], torch.linalg.cholesky(positive))[..., 0]
