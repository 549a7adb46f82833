"""Weights before fine-tuning, from several fine-tuned versions (Horwitz, Kahana, Hoshen, ICML 2024, arXiv 2402.10208)

Each of n versions of a weight matrix is the base plus a low-rank adapter that was merged into it: W_i = W + B_i A_i.
W is sought as the matrix from which all versions differ by little more than matrices of rank r:

    min over W, M_1 .. M_n of rank r:  1/n sum_i mean (W_i - W - M_i)^2

by two steps in turn, from the mean of the versions on (abstract and algorithm; the authors' code):

    M_i = the best approximation of W_i - W that has rank q        W = mean over i of (W_i - M_i)

q begins at 1, doubles where the objective stalls, and is r from half-way on. An error is told as the authors tell it,
as log10 of the mean squared difference to the true W; how much nearer one matrix is than another, in decades of it.

Shapes: a matrix is [p, q], an adapter B [p, r] and A [r, q]; n versions [n, p, q].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from reproductions.common.blocks import Blocks
from reproductions.common.edits import unembed
from reproductions.common.held_out import Excerpt
from reproductions.common.metrics import Metric, mean_of, missing
from reproductions.common.model import Model
from reproductions.common.text import sequences

COPIES = 5  # versions, where nothing else is said: the authors' default
PATIENCE = 15  # iterations without progress after which the rank doubles, as in the authors' code
NOISE = 1e-6  # singular values below this share of the largest are the rounding of merged weights
LEARNING_RATE, TEXTS_A_STEP, LOGITS = 1e-3, 2, 8  # of training; tokens whose logits are held at once


def low_rank(matrices: Tensor, rank: int) -> Tensor:
    """The best approximations of that rank (Eckart and Young): each matrix [n, p, q] on its leading left directions."""
    vectors = torch.linalg.eigh(matrices @ matrices.mT).eigenvectors
    leading = vectors[..., vectors.shape[-1] - min(rank, vectors.shape[-1]) :]
    return leading @ (leading.mT @ matrices)


def directions(matrix: Tensor, most: int) -> Tensor:
    """Leading left singular vectors [p, k] of a matrix [p, q], at most so many; those of mere rounding are dropped."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        left, values, _ = torch.svd_lowrank(matrix, q=min(max(most, 1), *matrix.shape))
    return left[:, values > NOISE * values[0]]


def log_error(found: Tensor, base: Tensor) -> float:
    """The authors' error of a matrix: log10 of the mean squared difference to the base."""
    return float((found.double() - base.double()).square().mean().log10())


@dataclass
class Schedule:
    """The rank of each fit: doubled when the objective stalls, and the `last` one from half of the iterations on."""

    last: int
    iterations: int
    rank: int = 1
    best: float = math.inf
    stale: int = 0
    done: int = 0

    def step(self, objective: float) -> None:
        """Take note of the objective after an iteration."""
        self.done += 1
        self.stale = 0 if objective < self.best else self.stale + 1
        self.best = min(self.best, objective)
        if self.stale > PATIENCE:
            self.rank, self.stale = 2 * self.rank, 0
        self.rank = self.last if self.done >= self.iterations / 2 else min(self.rank, self.last)


@dataclass(frozen=True)
class Recovered:
    """Weights [p, q] in double precision; of each iteration the objective and, if the base is known, the error.

    Errors begin with that of the mean of the versions, so that there is one more of them.
    """

    weights: Tensor
    objective: tuple[float, ...]
    errors: tuple[float, ...]


@torch.no_grad()
def recover(
    versions: Tensor,
    rank: int,
    iterations: int = 300,
    start: int = 1,
    most: int | None = None,
    base: Tensor | None = None,
) -> Recovered:
    """The base of versions [n, p, q] whose adapters have the rank, from a first rank of `start` on.

    All that is fitted lies in the columns and rows by which versions differ, n r of each. So X_i = U' (W_i - mean) V
    [n, k, k] stand for them, with orthonormal U and V, and give the same iterates; `most` bounds k (by default n r),
    so that rounding beyond it stays in the mean. The base, if known, is only looked at to tell errors.
    """
    apart = versions.to(torch.double, copy=True)
    mean = apart.mean(0)
    apart -= mean
    most = most or len(versions) * rank
    U, V = (directions(torch.cat(list(side), dim=1), most) for side in (apart, apart.mT))
    X, W = U.mT @ apart @ V, torch.zeros(U.shape[1], V.shape[1], dtype=torch.double)
    off = (mean if base is None else base.double()) - mean
    goal = U.mT @ off @ V
    beyond = (off - U @ goal @ V.mT).square().sum()
    schedule, objective, squares = (
        Schedule(rank, iterations, min(start, rank)),
        [],
        [(goal - W).square().sum() + beyond],
    )
    for _ in range(iterations):
        M = low_rank(X - W, schedule.rank)
        W = (X - M).mean(0)
        objective.append(float((X - W - M).square().sum()) / versions.numel())
        squares.append((goal - W).square().sum() + beyond)
        schedule.step(float(torch.tensor(objective[-1])))  # in single precision, as the authors tell progress
    errors = (torch.stack(squares) / mean.numel()).log10().tolist() if base is not None else []
    return Recovered(mean + U @ W @ V.mT, tuple(objective), tuple(errors))


@torch.no_grad()
def recover_whole(versions: Tensor, rank: int, iterations: int = 300) -> Tensor:
    """The second route: whole matrices in single precision and a randomised SVD of each, as in the authors' code."""
    W, schedule = versions.mean(0), Schedule(rank, iterations)
    for _ in range(iterations):
        parts = [torch.svd_lowrank(version - W, q=schedule.rank) for version in versions]
        M = torch.stack([(left * values) @ right.mT for left, values, right in parts])
        W = (versions - M).mean(0)
        schedule.step(float((versions - W - M).square().mean()))
    return W


# Versions of a real model


def matrices(model: Model, last: int, kinds: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear maps of these kinds, such as `q_proj`, in the last blocks; named like `29 q_proj`."""
    found = {}
    for place in range(len(model.blocks) - last, len(model.blocks)):
        for name, module in model.blocks[place].named_modules():
            kind = name.removesuffix("._original_component").rpartition(".")[2]
            if isinstance(module, nn.Linear) and kind in kinds:
                found[f"{place} {kind}"] = module
    return found


class Tail(Blocks):
    """The last blocks of a model and the states `before` them of tokens [n, T]: for other weights, and gradients."""

    def __init__(self, model: Model, tokens: Tensor, last: int) -> None:
        super().__init__(model, tokens)
        self.tokens, self.first = tokens, len(model.blocks) - last
        self.before = next(islice(self.states(tokens), self.first, None))

    def read(self, x: Tensor) -> Tensor:
        """What the unembedding reads, for states [batch, T, d] before these blocks."""
        for block in range(self.first, len(self)):
            args, kwargs = self._calls[block]
            found = self.model.blocks[block](x, *args[1:], **kwargs)
            x = found[0] if isinstance(found, tuple) else found
        final: Tensor = self.model.ln_final(x)
        return final


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: B and A of each matrix, and the training loss of its first and of its last steps."""

    B: dict[str, Tensor]
    A: dict[str, Tensor]
    losses: tuple[float, float]


def train(tail: Tail, targets: Mapping[str, nn.Linear], rank: int, steps: int, start: int, seed: int) -> Adapter:
    """An adapter for the tail's texts: B from 0 and A from random numbers that `start` seeds, by Adam.

    The loss is that of the next token among the tokens that these texts have; `seed` orders texts.
    """
    drawn, order = (torch.Generator().manual_seed(each) for each in (start, seed))
    A = {name: uniform(rank, linear.in_features, drawn) for name, linear in targets.items()}
    B = {name: torch.zeros(linear.out_features, rank, requires_grad=True) for name, linear in targets.items()}
    hooks = [linear.register_forward_hook(adding(B[name], A[name])) for name, linear in targets.items()]
    known = tail.tokens.unique()
    W_U, place = tail.model.W_U[:, known].detach(), torch.searchsorted(known, tail.tokens)
    optimiser, losses = torch.optim.Adam([*A.values(), *B.values()], lr=LEARNING_RATE), []
    try:
        for _ in range(steps):
            rows = torch.randperm(len(place), generator=order)[:TEXTS_A_STEP]
            logits = tail.read(tail.before[rows])[:, :-1] @ W_U
            loss = cross_entropy(logits.flatten(0, 1), place[rows, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    finally:
        for hook in hooks:
            hook.remove()
    few = max(1, steps // 4)
    B, A = ({name: factor.detach() for name, factor in side.items()} for side in (B, A))
    return Adapter(B, A, (sum(losses[:few]) / few, sum(losses[-few:]) / few))


def uniform(rank: int, width: int, drawn: torch.Generator) -> Tensor:
    """A's first values, as the peft library draws them: uniform within 1/sqrt(width)."""
    return ((2 * torch.rand(rank, width, generator=drawn) - 1) / math.sqrt(width)).requires_grad_()


def adding(B: Tensor, A: Tensor) -> Any:
    """A hook that adds an adapter to what a linear map gives."""
    return lambda _, given, found: found + given[0] @ A.mT @ B.mT


def deal(model: Model, excerpts: Sequence[Excerpt], n: int, texts: int, tokens: int, seed: int) -> list[Tensor]:
    """Texts [texts, tokens] for each of n adapters, from one source for each in turn; and held-out ones, at the end."""
    some = Random(seed).sample(list(excerpts), len(excerpts))
    cut = [(each.source, rows[0]) for each in some if len(rows := sequences(model, [each.text])[:, :tokens])]
    sources, held, rest = sorted({source for source, _ in cut}), cut[:texts], cut[texts:]
    dealt = [[row for source, row in rest if source == sources[place % len(sources)]] for place in range(n)]
    share = math.ceil(n / len(sources))
    own = [rows[place // len(sources) :: share][:texts] for place, rows in enumerate(dealt)]
    return [torch.stack(rows) for rows in (*own, [row for _, row in held])]


@dataclass(frozen=True)
class Family:
    """Adapters of one model: each with a start of its own; three of twice the rank; and five all from the same A."""

    own: list[Adapter]
    wide: list[Adapter]
    same: list[Adapter]

    @classmethod
    def trained(cls, tails: Sequence[Tail], targets: Mapping[str, nn.Linear], rank: int, steps: int) -> Family:
        """One adapter for each of the tails, on its texts."""
        every = list(enumerate(tails))
        return cls(
            [train(tail, targets, rank, steps, start=seed, seed=seed) for seed, tail in every],
            [train(tail, targets, 2 * rank, steps, start=seed, seed=seed) for seed, tail in every[:3]],
            [train(tail, targets, rank, steps, start=0, seed=seed) for seed, tail in every[:COPIES]],
        )


def merged(base: Tensor, adapters: Sequence[Adapter], name: str) -> Tensor:
    """Versions [n, p, q] of a matrix, in single precision."""
    return torch.stack([base + each.B[name] @ each.A[name] for each in adapters])


def random_versions(base: Tensor, like: Tensor, rank: int, seed: int) -> Tensor:
    """Versions whose changes are products of Gaussian factors of the rank, and as long as those of `like` [n, p, q]."""
    drawn, (n, p, q) = torch.Generator().manual_seed(seed), like.shape
    change = torch.randn(n, p, rank, generator=drawn) @ torch.randn(n, rank, q, generator=drawn)
    length = (like - base).flatten(1).norm(dim=1) / change.flatten(1).norm(dim=1)
    return base + length[:, None, None] * change


def int8(matrices: Tensor) -> Tensor:
    """Rounded to 255 levels a row, as 8-bit weights are kept."""
    step = matrices.abs().amax(-1, keepdim=True) / 127
    return (matrices / step).round() * step


CASES = {  # what a matrix is recovered from, and how, in words
    "trained": "5 versions",
    "two": "2 versions",
    "three": "3 versions",
    "all": "all versions",
    "others": "5 other versions",
    "other_three": "3 other versions",
    "wide": "3 of twice the rank",
    "random": "5 with random factors",
    "same": "5 that began with the same A",
    "fixed": "5, the full rank from the start",
    "half": "5, half of the rank assumed",
    "double": "5, twice the rank assumed",
    "bf16": "5 in bfloat16",
    "int8": "5 in int8",
    "full_rank": "5 with changes of full rank",
}


def cases(
    base: Tensor, family: Family, name: str, rank: int, seed: int
) -> Iterator[tuple[str, Tensor, dict[str, int]]]:
    """Of one matrix [p, q], one after the other: the case, its versions, and what `recover` is told."""
    own = merged(base, family.own, name)
    five, usual, most = own[:COPIES], {"rank": rank}, COPIES * rank
    yield "trained", five, usual
    yield "two", own[:2], usual
    yield "three", own[:3], usual
    yield "all", own, usual
    yield "others", own[-COPIES:], usual
    yield "other_three", own[-3:], usual
    yield "wide", merged(base, family.wide, name), {"rank": 2 * rank}
    yield "random", random_versions(base, five, rank, seed), usual
    yield "same", merged(base, family.same, name), usual
    yield "fixed", five, {"rank": rank, "start": rank}
    yield "half", five, {"rank": rank // 2, "most": most}
    yield "double", five, {"rank": 2 * rank, "most": most}
    yield "bf16", five.bfloat16().float(), usual
    yield "int8", int8(five), usual
    yield "full_rank", random_versions(base, five, min(base.shape), seed), usual


@dataclass(frozen=True)
class Matrix:
    """Errors of one matrix: by case, that of the mean of the versions and those after each iteration.

    half, one, whole: of the base in float16, of a version (mean over five), of the second route (NaN if not taken).
    change: the length of what an adapter adds beside that of the base, mean over five.
    """

    name: str
    errors: dict[str, list[float]]
    half: float
    one: float
    whole: float
    change: float

    def gain(self, case: str, iteration: int = -1) -> float:
        """By how many decades the recovered matrix is nearer to the base than the mean of the versions is."""
        return self.errors[case][0] - self.errors[case][iteration]


def measure(name: str, base: Tensor, family: Family, rank: int, iterations: int, seed: int, whole: bool) -> Matrix:
    """All cases of one matrix, and the second route if it is to be taken."""
    errors = {
        case: list(recover(versions, iterations=iterations, base=base, **told).errors)
        for case, versions, told in cases(base, family, name, rank, seed)
    }
    five = merged(base, family.own[:COPIES], name)
    return Matrix(
        name=name,
        errors=errors,
        half=log_error(base.half(), base),
        one=sum(log_error(version, base) for version in five) / len(five),
        whole=log_error(recover_whole(five, rank, iterations), base) if whole else math.nan,
        change=float(((five - base).flatten(1).norm(dim=1) / base.norm()).mean()),
    )


# What a model with such weights predicts


@contextmanager
def weights(targets: Mapping[str, nn.Linear], put: Mapping[str, Tensor]) -> Iterator[None]:
    """A context in which the linear maps have other weights."""
    kept = {name: linear.weight.data for name, linear in targets.items()}
    try:
        for name, linear in targets.items():
            linear.weight.data = put[name].to(kept[name])
        yield
    finally:
        for name, linear in targets.items():
            linear.weight.data = kept[name]


@torch.no_grad()
def divergences(tail: Tail, targets: Mapping[str, nn.Linear], puts: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """KL(base || other weights) of next-token distributions, nats a token, means over each text [puts, n]."""
    states = [tail.read(tail.before)]
    for put in puts:
        with weights(targets, put):
            states.append(tail.read(tail.before))
    found = []
    for rows in torch.stack(states)[:, :, 1:].flatten(1, 2).split(LOGITS, dim=1):
        log_p, *others = (unembed(tail.model, each).double().log_softmax(-1) for each in rows)
        found.append(torch.stack([(log_p.exp() * (log_p - log_q)).sum(-1) for log_q in others]))
    return torch.cat(found, dim=1).view(len(puts), len(tail.before), -1).mean(-1)


REPLACED = {  # what takes the place of all trained matrices
    "one": "one version",
    "mean": "the mean of five versions",
    "recovered": "recovered from the five",
    "oracle": "their mean, with the adapters taken off again",
    "mean_full": "the mean of five with changes of full rank",
    "recovered_full": "recovered from those",
}


def behave(
    tail: Tail, targets: Mapping[str, nn.Linear], family: Family, rank: int, iterations: int
) -> dict[str, Tensor]:
    """KL divergence from the base on each text [n], by what takes the place of all trained matrices (REPLACED)."""
    puts: dict[str, dict[str, Tensor]] = {what: {} for what in REPLACED}
    for seed, (name, linear) in enumerate(targets.items()):
        base = linear.weight.data
        five = merged(base, family.own[:COPIES], name)
        full = random_versions(base, five, min(base.shape), seed)
        added = merged(torch.zeros_like(base), family.own[:COPIES], name)
        makes = five[0], five.mean(0), recover(five, rank, iterations).weights, (five - added).mean(0)
        for what, made in zip(REPLACED, (*makes, full.mean(0), recover(full, rank, iterations).weights), strict=True):
            puts[what][name] = made.float()
    return dict(zip(puts, divergences(tail, targets, list(puts.values())), strict=True))


def nearer(kl: Mapping[str, Tensor], what: str, than: str) -> Tensor:
    """log10 of how many times smaller one KL divergence is than another, by text; below 1e-16 they are rounding."""
    return (kl[than].clamp(min=1e-16) / kl[what].clamp(min=1e-16)).log10()


# Numbers and pictures


def toy(worlds: int = 16, size: int = 48, rank: int = 2) -> list[float]:
    """The positive control: decades won on Gaussian matrices, from five versions with changes of a twentieth."""
    found = []
    for seed in range(worlds):
        base = torch.randn(size, size, generator=torch.Generator().manual_seed(1000 + seed))
        errors = recover(random_versions(base, 1.05 * base.expand(COPIES, -1, -1), rank, seed), rank, base=base).errors
        found.append(errors[0] - errors[-1])
    return found


GAPS = {  # decades by which more is won over the mean in one case than in another
    "schedule": ("trained", "fixed"),
    "half": ("trained", "half"),
    "double": ("trained", "double"),
    "same": ("trained", "same"),
    "bf16": ("trained", "bf16"),
    "int8": ("trained", "int8"),
    "others": ("trained", "others"),
}
# The same after half of the iterations, when little is at the limits of precision yet.
HALFWAY = (("versions", ("all", "three")), ("rank", ("three", "wide")), ("other_three", ("three", "other_three")))


def metrics(found: Sequence[Matrix], kl: Mapping[str, Tensor]) -> list[Metric]:
    """Means over matrices, and over texts for what a model predicts."""
    half = len(found[0].errors["trained"]) // 2
    units = {
        **{f"gain_{case}": [matrix.gain(case) for matrix in found] for case in CASES},
        **{f"gap_{name}": [each.gain(a) - each.gain(b) for each in found] for name, (a, b) in GAPS.items()},
        **{f"halfway_{k}": [each.gain(a, half) - each.gain(b, half) for each in found] for k, (a, b) in HALFWAY},
        "gain_toy": toy(),
        "exact": [matrix.half - matrix.errors["trained"][-1] for matrix in found],
        "exact_mean": [matrix.half - matrix.errors["trained"][0] for matrix in found],
        "error_recovered": [matrix.errors["trained"][-1] for matrix in found],
        "error_mean": [matrix.errors["trained"][0] for matrix in found],
        "error_one": [matrix.one for matrix in found],
        "change": [matrix.change for matrix in found],
        "behaviour": nearer(kl, "recovered", "mean").tolist(),
        "behaviour_one": nearer(kl, "recovered", "one").tolist(),
        "behaviour_full_rank": nearer(kl, "recovered_full", "mean_full").tolist(),
        "behaviour_oracle": nearer(kl, "oracle", "mean").tolist(),
    }
    whole = [each.errors["trained"][0] - each.whole for each in found if not math.isnan(each.whole)]
    return [mean_of(name, values) for name, values in units.items()] + [
        mean_of("gain_whole", whole) if whole else missing("gain_whole")
    ]


GROUPS = {  # of the explorer's curves
    "number of versions": ("two", "three", "trained", "all"),
    "what is assumed": ("trained", "fixed", "half", "double"),
    "rank of the adapters": ("three", "other_three", "wide"),
    "what adapters are like": ("trained", "others", "random", "same", "full_rank"),
    "rounding": ("trained", "bf16", "int8"),
}


def error(found: Sequence[Matrix], case: str) -> Tensor:
    """The error of a case before and after each iteration [iterations + 1], mean over matrices."""
    return torch.tensor([matrix.errors[case] for matrix in found]).mean(0)


def draw(found: Sequence[Matrix]) -> plt.Figure:
    """Errors by iteration and number of versions, and what is won in every case."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for case in GROUPS["number of versions"]:
        left.plot(error(found, case), label=CASES[case])
    left.axhline(sum(matrix.half for matrix in found) / len(found), ls=":", color="0.5", label="the base in float16")
    left.set(xlabel="iteration", title="Error: log10 of the mean squared difference to the base")
    left.legend(fontsize=8)
    for place, case in enumerate(CASES):
        right.plot([matrix.gain(case) for matrix in found], [place] * len(found), "o", ms=4, color="C0", alpha=0.6)
    right.set_yticks(range(len(CASES)), CASES.values(), fontsize=8)
    right.invert_yaxis()
    right.axvline(0, lw=0.8, color="0.5")
    right.set(xlabel="decades nearer than the mean of the versions", title="Each matrix, by case")
    return figure


def curves(found: Sequence[Matrix], every: int = 5) -> dict[str, Any]:
    """The explorer's data: the error of each case by iteration."""
    series = [
        {
            "name": CASES[case],
            "group": group,
            "values": [round(value, 4) for value in error(found, case)[::every].tolist()],
        }
        for group, some in GROUPS.items()
        for case in some
    ]
    about = "How near to the base the recovered matrices are, from the mean of the versions on; lower is nearer."
    x = {"title": "iteration", "values": list(range(0, len(found[0].errors["trained"]), every))}
    y = {"title": "log10 of the mean squared error"}
    return {"title": "How fast is the base recovered?", "about": about, "x": x, "y": y, "series": series}
