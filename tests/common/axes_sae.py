"""A stand-in for an autoencoder, of which everything is known."""

import math
from types import SimpleNamespace

import torch
from torch import Tensor

from tests.common.tiny_bridge import WIDTH


class AxesSae:
    """Latents are the axes of the space and their opposites; the k strongest are kept, and what is left is missed."""

    def __init__(self, k: int = 4, limit: float = math.inf) -> None:
        self.k, self.W_dec, self.W_enc = k, torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)]), None
        self.cfg = SimpleNamespace(metadata=SimpleNamespace(outlier_norm=limit))

    def encode(self, x: Tensor) -> Tensor:
        """Activations [..., 2 WIDTH] for x [..., WIDTH]."""
        codes = (x @ self.W_dec.T).relu()
        return torch.zeros_like(codes).scatter(-1, (top := codes.topk(self.k, -1)).indices, top.values)

    def decode(self, codes: Tensor) -> Tensor:
        """What activations rebuild."""
        return codes @ self.W_dec
