"""A model whose blocks are nearly linear, token by token, with texts that it wrote itself; and claims judged on it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from reproductions import layer_linearity
from reproductions.common.claims import load_claims
from reproductions.common.metrics import Metric
from reproductions.common.verdicts import Judgement, judge_claim
from reproductions.layer_linearity.method import Block, Blocks, cost_metrics, measure, most_linear, score_metrics

CLAIMS = {claim.id: claim for claim in load_claims(Path(layer_linearity.__file__).with_name("reproduction.yml")).claims}
BENDS = (0.1, 0.5, 0.2, 0.02, 0.4, 0.05, 0.3, 0.15)  # of each block
N_BLOCKS, WIDTH, VOCABULARY, LENGTH = len(BENDS), 12, 60, 24
HELD_OUT = 40


class NearlyLinear(nn.Module):
    """x + x M + b, and a bend that no matrix makes."""

    def __init__(self, bend: float) -> None:
        super().__init__()
        self.M, self.b, self.bend = 0.4 * torch.randn(WIDTH, WIDTH) / WIDTH**0.5, torch.randn(WIDTH), bend
        self.K = torch.randn(WIDTH, WIDTH) / WIDTH**0.5
        self.K -= self.K.mean(0)  # what all states have in common is not bent

    def forward(self, x: Tensor) -> Tensor:
        return x + x @ self.M + 0.3 * self.b + self.bend * (x @ self.K).abs()


class Toy(nn.Module):
    """Looks to `Blocks` like a `TransformerBridge`."""

    def __init__(self, bend: float = 2.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.W_E, self.ln_final = torch.randn(VOCABULARY, WIDTH) + 1, nn.Identity()
        self.blocks = nn.ModuleList(NearlyLinear(bend * size) for size in BENDS)
        self.W_U = torch.randn(WIDTH, VOCABULARY)
        self.W_U *= 2 / (self.final(torch.arange(VOCABULARY)) @ self.W_U).std()
        self.original_model = SimpleNamespace(base_model=self.final, lm_head=lambda states: states @ self.W_U)

    def forward(self, tokens: Tensor, stop_at_layer: int) -> Tensor:
        assert stop_at_layer == 0
        return self.W_E[tokens]

    def final(self, tokens: Tensor, use_cache: bool = False) -> Tensor:
        x = self.W_E[tokens]
        for block in self.blocks:
            x = block(x)
        return x

    def texts(self, n: int) -> Tensor:
        """Tokens [n, LENGTH] that the model wrote, each drawn by what it makes of the last one."""
        tokens = torch.zeros(n, 1, dtype=torch.long)
        for _ in range(LENGTH - 1):
            drawn = torch.multinomial((self.final(tokens[:, -1]) @ self.W_U).softmax(-1), 1)
            tokens = torch.cat([tokens, drawn], dim=1)
        return tokens


def toy_run(model: Any) -> tuple[Blocks, list[Block], Tensor]:
    """A model's blocks, what was found of them, and its held-out texts."""
    tokens = model.texts(HELD_OUT + 60)
    blocks = Blocks(model, tokens)
    return blocks, measure(blocks, tokens[HELD_OUT:], tokens[:HELD_OUT]), tokens[:HELD_OUT]


def toy_costs(blocks: Blocks, held_out: Tensor, found: list[Block]) -> list[Metric]:
    """The metrics of costs, with these blocks' maps in place of blocks."""
    linear = blocks.costs(held_out, [{place: block.linear} for place, block in enumerate(found)])
    removed = blocks.costs(held_out, [{place: torch.zeros_like} for place in range(len(found))])
    updates = [[b.linear for b in found], [torch.zeros_like] * len(found), [b.dealt for b in found]]
    chosen = most_linear(found)
    together = blocks.costs(held_out, [{place: update[place] for place in chosen} for update in updates])
    return cost_metrics(found, linear, removed, together)


def judged(claim: str, metrics: list[Metric]) -> Judgement:
    """The verdict on a claim, in the full profile."""
    return judge_claim(CLAIMS[claim], {metric.name: metric for metric in metrics}, "full")


def all_metrics(blocks: Blocks, found: list[Block], held_out: Tensor) -> list[Metric]:
    """Whatever a run reports."""
    return [*score_metrics(found), *toy_costs(blocks, held_out, found)]
