"""Linear probes: logistic regressions of what is rare, how well they find it, and which few inputs do nearly as well.

Shapes: n cases, d inputs, L labels, each of which a case has or has not: truth [n, L] of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, embedding_bag

RIDGE, ITERATIONS = 1e-3, 100
SPARSITY, STEPS, RATE = 0.01, 300, 0.01  # weight of the absolute values; of Adam
RISE, MOST = 0.03, 10  # of F1 by a further input; inputs


@dataclass(frozen=True)
class Probe:
    """Logistic regressions: weights [L, d] and biases [L]."""

    weights: Tensor
    biases: Tensor

    def scores(self, x: Tensor) -> Tensor:
        """[n, L] for inputs [n, d]: above 0 where a case is said to have a label."""
        return x @ self.weights.T + self.biases


def balanced(scores: Tensor, truth: Tensor) -> Tensor:
    """The logistic loss, with the few cases that have a label weighing as much as the many that have not."""
    return binary_cross_entropy_with_logits(scores, truth, pos_weight=(len(truth) - truth.sum(0)) / truth.sum(0))


@torch.enable_grad()
def logistic(x: Tensor, truth: Tensor, ridge: float = RIDGE) -> Probe:
    """Fitted to x [n, d] and truth, with x centred and brought to a scale of 1 meanwhile."""
    mean, scale = x.mean(0), (x - x.mean(0)).square().mean().sqrt()
    parts = torch.zeros(truth.shape[1], x.shape[1] + 1, requires_grad=True)
    inputs = torch.cat([(x - mean) / scale, torch.ones(len(x), 1)], 1)
    fit = torch.optim.LBFGS([parts], max_iter=ITERATIONS, line_search_fn="strong_wolfe")
    fit.step(partial(_lost, fit, inputs, truth, parts, ridge))
    weights = parts.detach()[:, :-1] / scale
    return Probe(weights, parts.detach()[:, -1] - weights @ mean)


def _lost(fit: Any, inputs: Tensor, truth: Tensor, parts: Tensor, ridge: float) -> float:
    fit.zero_grad()
    loss = balanced(inputs @ parts.T, truth) + ridge * parts[:, :-1].square().sum(1).mean()
    loss.backward()
    return loss.item()


def f1(found: Tensor, truth: Tensor) -> Tensor:
    """F1 of what was found [n, L], for each label [L]."""
    both = (found.bool() & truth.bool()).sum(0)
    return 2 * both / (found.sum(0) + truth.sum(0)).clamp(min=1)


@torch.enable_grad()
def sparse_weights(x: Tensor, truth: Tensor) -> Tensor:
    """Weights [d, L] of logistic regressions on inputs [n, d] that are 0 or more, their absolute values penalised.

    Few inputs are active in a case, so that sums run over those alone; they are brought to a scale of 1.
    """
    values, active = x.topk(int((x > 0).sum(1).max()))
    values = values / values[values > 0].mean()
    weights = torch.zeros(x.shape[1], truth.shape[1], requires_grad=True)
    biases = torch.zeros(truth.shape[1], requires_grad=True)
    adam = torch.optim.Adam([weights, biases], lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        scores = embedding_bag(active, weights, per_sample_weights=values, mode="sum") + biases
        (balanced(scores, truth) + SPARSITY * weights.abs().sum(0).mean()).backward()
        adam.step()
    return weights.detach()


def main_inputs(x: Tensor, truth: Tensor) -> list[tuple[Tensor, Probe]]:
    """For each label the inputs that it is told from, and the probe on them.

    They are the k that sparse weights weigh most; k grows as long as F1, on the cases that all is fitted to, rises.
    """
    orders = sparse_weights(x, truth).T.argsort(1, descending=True)
    return [_main(x, own[:, None], order) for own, order in zip(truth.T, orders, strict=True)]


def _main(x: Tensor, own: Tensor, order: Tensor) -> tuple[Tensor, Probe]:
    best, found = -1.0, (order[:0], Probe(torch.empty(1, 0), torch.zeros(1)))
    for k in range(1, MOST + 1):
        probe = logistic(x[:, order[:k]], own)
        reached = f1(probe.scores(x[:, order[:k]]) > 0, own).item()
        if reached <= best + RISE:
            break
        best, found = reached, (order[:k], probe)
    return found
