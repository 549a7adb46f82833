"""How linear are a transformer's blocks? (Razzhigaev et al., arXiv 2405.12250)

X and Y are the states before and after a block, a row for each token, centred. The paper's score (section 3.1) is

    L = 1 - min over A of ||X A - Y||^2 / ||Y||^2                                     (with the residual stream),

and the same for U = Y - X, what the block adds (without it). We fit U, and Y = X + U follows: one error for both, so
that 1 - L_with = (1 - L_without) ||U||^2 / ||Y||^2. Whatever a block does, it scores high if it adds little.

A is fitted on some texts, by ridge regression whose strength these texts choose, and scored on others. Position 0, the
same in all texts, is left out, and so are sinks: tokens whose norm before or after the block is above three times the
median, which can hold half of the variance in one dimension.

Shapes: N texts of T positions, n tokens that count, d = d_model, L blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from matplotlib import pyplot as plt
from scipy.stats import rankdata, zscore
from torch import Tensor
from torch.nn.functional import cross_entropy

from reproductions.common import blocks as common
from reproductions.common.activations import norm_limit
from reproductions.common.edits import unembed
from reproductions.common.held_out import Excerpt
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.regression import LinearMap, excess, ridge
from reproductions.common.text import sequences

Update = Callable[[Tensor], Tensor]  # states [..., d] to what is added to them, [..., d]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the ridge, in units of the mean eigenvalue of X'X
LOGITS, CONTEXT = 64, 8  # tokens whose logits are held at once, tokens before losses count
CURVES = {
    "linearity_with_residual": "with the residual stream",
    "linearity_without_residual": "without it: what the block adds",
    "copy_score": "a scaled copy of the input",
    "linearity_with_residual_dealt": "with it, updates dealt to other tokens",
}


def first_tokens(model: Model, excerpts: Sequence[Excerpt], most: int = 1) -> Tensor:
    """Up to `most` sequences from the beginning of each excerpt, [N, 128], each with the first special token."""
    return torch.cat([sequences(model, [excerpt.text])[:most] for excerpt in excerpts]).to(model.W_E.device)


class Blocks(common.Blocks):
    """A model's blocks, some of which can be replaced.

    first: what each block leaves at position 0 [1, 1, d], which sees only itself and is alike in all texts.
    """

    def __init__(self, model: Model, tokens: Tensor) -> None:
        super().__init__(model, tokens)
        self.first = [y[:, :1] for y in self.states(tokens[:1])][1:]

    @torch.no_grad()
    def losses(self, tokens: Tensor, x: Tensor, start: int, updates: Mapping[int, Update]) -> Tensor:
        """Cross-entropy of each text [N], nats a token, from its tenth token on, for the states x before block `start`.

        Updates take the place of some blocks' own, at every position but the first.
        """
        for block in range(start, len(self)):
            if block in updates:
                rest = x[:, 1:] + updates[block](x[:, 1:])
                x = torch.cat([self.first[block].expand(len(x), -1, -1), rest], dim=1)
            else:
                x = self.run(block, x)
        states, after = self.model.ln_final(x)[:, CONTEXT:-1].flatten(0, 1), tokens[:, CONTEXT + 1 :].flatten()
        parts = zip(states.split(LOGITS), after.split(LOGITS), strict=True)
        losses = [cross_entropy(unembed(self.model, some), right, reduction="none") for some, right in parts]
        return torch.cat(losses).view(len(x), -1).mean(1)

    def costs(self, tokens: Tensor, variants: Sequence[Mapping[int, Update]]) -> Tensor:
        """What is added to the losses where updates replace the blocks' own, for each variant: [variants, N]."""
        before = list(self.states(tokens))
        found = [self.losses(tokens, before[min(updates)], min(updates), updates) for updates in variants]
        return torch.stack(found) - self.losses(tokens, before[-1], len(self), {})


@dataclass(frozen=True)
class Rows:
    """What a block reads and what it adds, x and u [n, d], at tokens of the texts [n]."""

    x: Tensor
    u: Tensor
    text: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, limits: tuple[float, float] | None = None) -> Rows:
        """Of states [N, T, d] all; with limits, those behind the first whose norms before and after are within them."""
        low, high = limits or (torch.inf, torch.inf)
        kept = (x.norm(dim=-1) <= low) & (y.norm(dim=-1) <= high)
        kept[:, 0] &= limits is None
        return cls(x[kept], (y - x)[kept], kept.nonzero()[:, 0])

    def dealt(self) -> Rows:
        """The null: the updates of each text dealt anew among its tokens."""
        shuffled = self.text.cpu() + torch.rand(len(self.text), generator=torch.Generator().manual_seed(0))
        return replace(self, u=self.u[shuffled.argsort().to(self.u.device)])

    def planted(self) -> Rows:
        """The oracle: updates that are a random linear map of what the block reads, about as long as that is."""
        A = torch.randn(2 * self.x.shape[1:], generator=torch.Generator().manual_seed(0)).to(self.x)
        return replace(self, u=self.x @ A / len(A) ** 0.5)

    def sums(self, values: Tensor) -> Tensor:
        """Sums of squares over the tokens of each text [N] of values [n, d]."""
        squares = values.square().sum(-1).double()
        return squares.new_zeros(int(self.text.max()) + 1).index_add(0, self.text, squares)


def fit(rows: Rows, strengths: Sequence[float] = STRENGTHS) -> list[LinearMap]:
    """Maps from states to updates: by ridge regression, by plain least squares, and the best scaled copy.

    Each strength of the ridge is tried on one random half of the texts, fitted on the other; the best is fitted on all.
    """
    means = rows.x.mean(0), rows.u.mean(0)
    order = torch.randperm(int(rows.text.max()) + 1, generator=torch.Generator().manual_seed(0)).to(rows.text)
    halves = [
        (rows.x[part] - means[0], rows.u[part] - means[1]) for part in (order[rows.text] % 2 == k for k in (0, 1))
    ]
    (xx, xu), (other_xx, other_xu) = ((x.double().mT @ x.double(), x.double().mT @ u.double()) for x, u in halves)
    tried = [ridge(xx, xu, strength) for strength in strengths]
    errors = [excess(A, other_xx, other_xu) for A in tried]
    both = xx + other_xx, xu + other_xu
    copy = both[1].trace() / both[0].trace() * torch.eye(len(xx)).to(xx)
    found = ridge(*both, strengths[errors.index(min(errors))]), ridge(*both, 0.0), copy
    return [LinearMap(A.to(rows.x), *means) for A in found]


def scores(rows: Rows, linear: LinearMap, suffix: str = "") -> dict[str, Tensor]:
    """The linearity score of each text [N] with and without the residual stream, and how far they lie apart."""
    error = rows.sums(rows.u - linear(rows.x))
    with_residual = 1 - error / rows.sums(rows.x + rows.u - linear.mean_x - linear.mean_y)
    without = 1 - error / rows.sums(rows.u - linear.mean_y)
    found = {"linearity_with_residual": with_residual, "linearity_without_residual": without}
    return {key + suffix: value for key, value in (found | {"residual_gap": with_residual - without}).items()}


@dataclass(frozen=True)
class Block:
    """A block's linear map, that of updates dealt anew, and the metrics of each text [N]."""

    linear: LinearMap
    dealt: LinearMap
    values: dict[str, Tensor]

    @classmethod
    def of(cls, fitted: Rows, held_out: Rows, whole: Rows) -> Block:
        """Fit on some texts and score on others; `as_published`, least squares in sample, on all tokens: `whole`."""
        maps, values = {}, scores(whole, fit(whole, (0.0,))[1], "_as_published")
        for name, train, test in (("", fitted, held_out), ("_dealt", fitted.dealt(), held_out.dealt())):
            maps[name], exact, copy = fit(train)
            values |= scores(test, maps[name], name) | scores(train, exact, f"_in_sample{name}")
            values[f"copy_score{name}"] = scores(test, copy)["linearity_with_residual"]
            values[f"copy_gain{name}"] = values[f"linearity_with_residual{name}"] - values[f"copy_score{name}"]
        raised = values["linearity_with_residual_as_published"] - values["linearity_with_residual_in_sample"]
        ratio = (held_out.sums(held_out.u) / held_out.sums(held_out.x + held_out.u)).sqrt()
        return cls(maps[""], maps["_dealt"], values | {"sinks_gain": raised, "norm_ratio": ratio})


def measure(blocks: Blocks, fitted: Tensor, held_out: Tensor) -> list[Block]:
    """All blocks, from tokens [N, T] of some texts and of others."""
    found = []
    for (x, y), (z, w) in zip(pairwise(blocks.states(fitted)), pairwise(blocks.states(held_out)), strict=True):
        train, test = (Rows.of(*pair, (norm_limit(x[:, 1:]), norm_limit(y[:, 1:]))) for pair in ((x, y), (z, w)))
        found.append(deepcopy(Block.of(train, test, Rows.of(x, y))))  # else it lies behind, and so keeps, freed memory
        if len(found) == len(blocks.first) // 2:
            found[-1].values.update(scores(test.planted(), fit(train.planted())[0], "_planted"))
    return found


def table(found: Sequence[Block], name: str) -> Tensor:
    """A metric's values [L, N], of the blocks that have it."""
    return torch.stack([block.values[name] for block in found if name in block.values])


def most_linear(found: Sequence[Block]) -> list[int]:
    """The quarter of the blocks that score highest on the fitted texts."""
    return table(found, "linearity_with_residual_in_sample").mean(1).topk(len(found) // 4).indices.tolist()


def agreement(a: Tensor, b: Tensor) -> Tensor:
    """Products of standardised ranks of two lists [L]; their mean is Spearman's rank correlation."""
    return torch.from_numpy(zscore(rankdata(a.cpu())) * zscore(rankdata(b.cpu())))


def score_metrics(found: Sequence[Block]) -> list[Metric]:
    """Means over texts of the means over blocks."""
    return [mean_of(name, table(found, name).mean(0).tolist()) for name in max((b.values for b in found), key=len)]


def cost_metrics(found: Sequence[Block], linear: Tensor, removed: Tensor, together: Tensor) -> list[Metric]:
    """Of what it costs to replace, or remove, single blocks [L, N]; together, to replace, remove, and replace by the
    maps of dealt updates the most linear blocks at once [3, N]: means over texts, and rank correlations over blocks.
    """
    score, half = table(found, "linearity_with_residual").mean(1), linear.shape[1] // 2
    units = {
        **dict(zip(("cost", "cost_removed", "cost_dealt"), together, strict=True)),
        "replacement_gain": together[1] - together[0],
        "replacement_gain_dealt": together[1] - together[2],
        "replacement_gain_single": (removed - linear)[most_linear(found)].mean(0),
        "choice": agreement(score, -linear.mean(1)),
        "choice_removed": agreement(score, -removed.mean(1)),
        "choice_reliability": agreement(linear[:, :half].mean(1), linear[:, half:].mean(1)),
    }
    return [mean_of(name, values.tolist()) for name, values in units.items()]


def draw(found: Sequence[Block], linear: Tensor, removed: Tensor) -> plt.Figure:
    """Scores by block, and what replacing a block costs against how far it is from linear."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
    for name, words in CURVES.items():
        left.plot(table(found, name).mean(1).cpu(), marker=".", label=words)
    left.set(xlabel="block", title="Linearity score, held out", ylim=(None, 1.02))
    for cost, words in ((linear, "replaced by its linear map"), (removed, "removed")):
        right.scatter(1 - table(found, "linearity_with_residual").mean(1).cpu(), cost.mean(1).cpu(), label=words, s=18)
    right.set(xlabel="1 - score with the residual stream", title="Loss added by one block's change, nats a token")
    right.set_yscale("symlog", linthresh=0.1)
    for axes in (left, right):
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return figure


def curves(found: Sequence[Block], sources: Sequence[str]) -> dict[str, Any]:
    """The explorer's data: each curve by block, for all held-out texts and for those of each source."""
    groups = {"all texts": sources} | {name: [name] for name in dict.fromkeys(sources)}
    series = [
        {"name": words, "group": group, "values": values[:, [own in some for own in sources]].mean(1).tolist()}
        for values, words in ((table(found, name).cpu(), words) for name, words in CURVES.items())
        for group, some in groups.items()
    ]
    x, y = {"title": "block", "values": list(range(len(found)))}, {"title": "share of the variance, held out"}
    about = "How much of what a block leaves, or adds, a linear map of its input predicts; a copy goes most of the way."
    return {"title": "How linear is each block?", "about": about, "x": x, "y": y, "series": series}
