"""What must be in place for an induction head to form? (Singh et al., arXiv 2404.07129)

A sequence is exemplar, label, exemplar, label, query; the query is one of the exemplars, and its label is asked for.
Labels are dealt anew for each sequence, so that they have to be looked up: a head of layer 1 copies each exemplar onto
its label, and an induction head of layer 2 finds the label whose exemplar is the query's, and copies it out. A *clamp*
holds activations, throughout training, at what they would be if a part of this circuit were already there.

The network is that of the authors' code: two layers of attention alone, d = 64, H = 8 heads a layer, rotary positions,
LayerNorm before each layer and at the end, biases in the embedding and the unembedding alone, lecun-normal weights.

Several networks are trained at once as one stack, each from a start, exemplars and batches of its own; their losses
are added, and none touches another. Shapes: R networks, B sequences, T = 5 tokens, L labels, h heads of layer 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import log, nan
from pathlib import Path
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.nn.functional import one_hot
from torch.optim import Adam

from reproductions.common.attention import apart, causal_scores, silenced, together
from reproductions.common.curves import crossing, mean_and_range
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.side_by_side import accuracy, lecun_normal, linear, losses, normed, stacked, truncated_normal
from reproductions.common.stats import spearman
from reproductions.common.training import Recipe, generator_of, train

D, H, T, WIDTH = 64, 8, 5, 512  # of the states, heads, tokens, exemplars
BATCH, RATE, EVERY, JUDGED = 32, 2e-4, 10, 128  # sequences a step, learning rate, steps between looks, sequences a look
POSITIONS = torch.arange(T)
RIGHT, LABELS, RANDOM, SCORES, MASK = "right", "labels", "random", "scores", "mask"
LEARNED = 0.4 * log(2)  # the authors' mark: less than half of what is lost by not knowing which of two labels it is


@dataclass(frozen=True)
class Batch:
    """Sequences: their two classes and labels [R, B, 2], and which of the two is asked for [R, B]."""

    classes: Tensor
    labels: Tensor
    target: Tensor

    @property
    def answer(self) -> Tensor:
        """The query's label [R, B]."""
        return self.labels.gather(-1, self.target[..., None])[..., 0]


@dataclass(frozen=True)
class Task:
    """Exemplars [R, C, 512], one a class, and the pairs of labels [R, P, 2] that are trained on: 80 % of all pairs."""

    exemplars: Tensor
    pairs: Tensor

    @classmethod
    def of(cls, seeds: Sequence[int], classes: int = 50, labels: int = 5, draw: int = 0) -> Task:
        """The task of each seed; another draw has other exemplars and pairs, and the same start."""
        chance = [generator_of(seed, 10**9 + draw) for seed in seeds]
        exemplars = torch.stack([torch.randn(classes, WIDTH, generator=own) for own in chance])
        every = torch.combinations(torch.arange(labels))
        kept = [every[torch.randperm(len(every), generator=own)[: round(0.8 * len(every))]] for own in chance]
        return cls(exemplars, torch.stack(kept))

    def batch(self, generator: torch.Generator, n: int = BATCH) -> Batch:
        """n sequences for each network."""
        networks, classes = self.exemplars.shape[:2]
        draw = partial(torch.randint, size=(networks, n), generator=generator)
        one, apart, pair, flipped = draw(classes), 1 + draw(classes - 1), draw(self.pairs.shape[1]), draw(2)
        labels = self.pairs[torch.arange(networks)[:, None], pair]
        labels = torch.where(flipped[..., None] == 1, labels.flip(-1), labels)
        return Batch(torch.stack([one, (one + apart) % classes], -1), labels, draw(2))


@dataclass(frozen=True)
class Clamp:
    """What is held in place during training (section 4); by default nothing.

    heads: of layer 2 that are left, the others are silenced. previous: the first head of layer 1 attends so many tokens
    back. layer1: layer 2's patterns are made from the embeddings of the tokens so many back, and all else in it from
    the tokens' own. bypass: the same, with layer 1's output for its patterns. match: layer 2 attends to the right
    label, to labels alone, or to one of the two at random. copy: the logits of the two labels in the sequence are the
    head's scores for them, or as they are; all other labels are ruled out.
    """

    heads: int = 1
    previous: int = 0
    layer1: int = 0
    bypass: bool = False
    match: str = ""
    copy: str = ""


CLAMPS = {
    "none": (Clamp(), "nothing"),
    "layer1": (Clamp(layer1=1), "layer 1"),
    "copy": (Clamp(copy=SCORES), "copying"),
    "match": (Clamp(match=RIGHT), "matching"),
    "both": (Clamp(layer1=1, copy=SCORES), "layer 1 and copying"),
    "bypass": (Clamp(bypass=True), "layer 1 kept to the patterns"),
    "mask": (Clamp(copy=MASK), "other labels ruled out"),
    "labels": (Clamp(match=LABELS), "attention kept to labels"),
    "copy_back": (Clamp(previous=2, copy=SCORES), "copying, one pattern two tokens back"),
    "previous": (Clamp(previous=1), "one previous-token pattern"),
    "previous_wrong": (Clamp(previous=2), "one pattern, two tokens back"),
    "layer1_wrong": (Clamp(layer1=2), "layer 1, two tokens back"),
    "match_wrong": (Clamp(match=RANDOM), "matching at random"),
    "all": (Clamp(heads=H), "nothing, all heads"),
}


@dataclass(frozen=True)
class Cut:
    """What is done to a trained network: heads that are left in layers 1 and 2, [R, H] of 0 and 1 each.

    own: layer 1 attends to the token itself. patterns, values: what layer 2 keeps of another pass (section 3).
    """

    first: Tensor | None = None
    second: Tensor | None = None
    own: bool = False
    patterns: Tensor | None = None
    values: Tensor | None = None


WHOLE = Cut()


@dataclass(frozen=True)
class Pass:
    """Logits [R, B, L], patterns and values.

    first: patterns of layer 1 [R, B, H, T, T], or the one held in place of all of it [T, T]. patterns: of layer 2,
    from the query [R, B, h, 1, T]. values: of layer 2 [R, B, h, T, d_head].
    """

    logits: Tensor
    first: Tensor
    patterns: Tensor
    values: Tensor


def parameters(labels: int) -> dict[str, Tensor]:
    """The start of one network; as in the authors' code, embeddings of labels are small."""
    shapes = {"embed": (WIDTH, D), "qkv": (2, 3, D, D), "out": (2, D, D), "unembed": (D, labels)}
    drawn = {name: lecun_normal(*shape) for name, shape in shapes.items()}
    drawn["label"] = 0.02 * truncated_normal(labels, D)
    zeros = {"embed_bias": torch.zeros(1, D), "unembed_bias": torch.zeros(1, labels), "shift": torch.zeros(3, 1, D)}
    return drawn | zeros | {"gain": torch.ones(3, 1, D)}


class Stack(torch.nn.Module):
    """Networks side by side: every parameter has the network as its first dimension."""

    def __init__(self, task: Task, seeds: Sequence[int]) -> None:
        super().__init__()
        self.task, labels = task, int(task.pairs.max()) + 1
        self.weights = stacked(seeds, partial(parameters, labels))

    def tokens(self, batch: Batch) -> Tensor:
        """Embeddings of the five tokens, [R, B, T, D]."""
        w, networks = self.weights, torch.arange(len(batch.target))[:, None]
        classes = linear(self.task.exemplars, w["embed"], w["embed_bias"])
        one, other = (classes[networks, batch.classes[..., place]] for place in (0, 1))
        labels = [w["label"][networks, batch.labels[..., place]] for place in (0, 1)]
        query = torch.where(batch.target[..., None] == 0, one, other)
        return torch.stack([one, labels[0], other, labels[1], query], 2)

    def normed(self, place: int, x: Tensor) -> Tensor:
        """LayerNorm before layers 0 and 1 and before the unembedding, of x [R, B, t, D]."""
        return normed(x, self.weights["gain"][:, place], self.weights["shift"][:, place])

    def part(self, layer: int, part: int, x: Tensor, heads: int) -> Tensor:
        """Queries, keys or values (0, 1, 2) of some heads: [R, B, heads, t, d_head]."""
        return apart(linear(x, self.weights["qkv"][:, layer, part, :, : heads * D // H]), heads)

    def added(self, layer: int, read: Tensor) -> Tensor:
        """What heads that read [R, B, heads, t, d_head] add to the residual stream, [R, B, t, D]."""
        joined = together(read)
        return linear(joined, self.weights["out"][:, layer, : joined.shape[-1]])

    def scores(self, layer: int, x: Tensor, heads: int, at: Tensor = POSITIONS) -> Tensor:
        """Attention scores from the tokens `at` to all, [R, B, heads, t, T]; -inf for those that come later."""
        return causal_scores(self.part(layer, 0, x[:, :, at], heads), self.part(layer, 1, x, heads), at)

    def first(self, x: Tensor, clamp: Clamp, cut: Cut) -> tuple[Tensor, Tensor]:
        """Layer 1: its patterns, and the residual stream behind it."""
        x_normed = self.normed(0, x)
        patterns = self.scores(0, x_normed, H).softmax(-1)
        if clamp.previous:
            held = back(clamp.previous).expand(*patterns.shape[:2], 1, T, T)
            patterns = torch.cat([held, patterns[:, :, 1:]], 2)
        read = (torch.eye(T) if cut.own else patterns) @ self.part(0, 2, x_normed, H)
        return patterns, x + self.added(0, silenced(read, cut.first))

    def forward(self, batch: Batch, clamp: Clamp, cut: Cut = WHOLE) -> Pass:
        """The networks' answers; layer 2 is computed where the query is, which is all that is judged."""
        x, at = self.tokens(batch), POSITIONS[-1:]
        if clamp.layer1:
            first, carried = back(clamp.layer1, asking=True), x
            seen = torch.einsum("ts,rbsd->rbtd", first, x)
        else:
            first, seen = self.first(x, clamp, cut)
            carried = x if clamp.bypass else seen
        scores = self.scores(1, self.normed(1, seen), clamp.heads, at)
        patterns = matched(scores, batch, clamp.match) if cut.patterns is None else cut.patterns
        values = self.part(1, 2, self.normed(1, carried), clamp.heads) if cut.values is None else cut.values
        final = carried[:, :, -1:] + self.added(1, silenced(patterns @ values, cut.second))
        logits = linear(self.normed(2, final)[:, :, 0], self.weights["unembed"], self.weights["unembed_bias"])
        return Pass(copied(logits, scores, batch, clamp.copy), first, patterns, values)


def back(tokens: int, *, asking: bool = False) -> Tensor:
    """The pattern [T, T] of attending so many tokens back, to itself where there are fewer and, asking, at the end."""
    to = [at if at < tokens or (asking and at == T - 1) else at - tokens for at in range(T)]
    return torch.eye(T)[to]


def matched(scores: Tensor, batch: Batch, match: str) -> Tensor:
    """Layer 2's patterns from the query [R, B, h, 1, T]; labels are tokens 1 and 3."""
    if match in (RIGHT, RANDOM):
        place = batch.target if match == RIGHT else batch.classes.sum(-1) % 2
        return one_hot(2 * place + 1, T).float()[:, :, None, None].expand_as(scores)
    return (scores.masked_fill(POSITIONS % 2 == 0, -torch.inf) if match == LABELS else scores).softmax(-1)


def copied(logits: Tensor, scores: Tensor, batch: Batch, copy: str) -> Tensor:
    """Logits [R, B, L], with the labels that are not in the sequence ruled out."""
    if not copy:
        return logits
    kept = scores[:, :, 0, 0, 1::2] if copy == SCORES else logits.gather(-1, batch.labels)
    return torch.full_like(logits, -1e9).scatter(-1, batch.labels, kept)


@dataclass(frozen=True)
class Run:
    """One training: a clamp of CLAMPS, and what the task is made of."""

    clamp: str
    steps: int
    classes: int = 50
    labels: int = 5
    draw: int = 0


@dataclass(frozen=True)
class Trained:
    """What networks went through: after `at` updates [t], loss [t, R] and induction strength [t, R, h]."""

    run: Run
    at: tuple[int, ...]
    loss: Tensor
    strength: Tensor

    def reached(self, level: float = LEARNED) -> Tensor:
        """Updates until the loss is below a level, [R]."""
        return crossing(self.at, self.loss, level)


def strength(patterns: Tensor, target: Tensor) -> Tensor:
    """Induction strength (section 3.1): attention from the query to the right label less that to the other, [R, h]."""
    on_labels = patterns[:, :, :, 0, 1::2]
    right = on_labels.gather(-1, target[:, :, None, None].expand(*on_labels.shape[:3], 1))[..., 0]
    return (2 * right - on_labels.sum(-1)).mean(1)


def previous(patterns: Tensor) -> Tensor:
    """Attention in layer 1 from the labels to the exemplars before them, [R, H]."""
    return (patterns[..., 1, 0] + patterns[..., 3, 2]).mean(1) / 2


def fit(name: str, run: Run, seeds: Sequence[int], folder: Path | None = None) -> tuple[Stack, Trained]:
    """Networks trained under a clamp, one a seed, and what they went through."""
    clamp, task = CLAMPS[run.clamp][0], Task.of(seeds, run.classes, run.labels, run.draw)
    judged = task.batch(generator_of(seeds[0], 2 * 10**9), JUDGED)

    def loss(stack: Stack, generator: torch.Generator) -> Tensor:
        batch = task.batch(generator)
        return losses(stack(batch, clamp).logits, batch.answer).mean(1).sum()

    def measure(stack: Stack) -> dict[str, Tensor]:
        found = stack(judged, clamp)
        strengths = strength(found.patterns, judged.target)
        return {"loss": losses(found.logits, judged.answer).mean(1), "strength": strengths}

    stack, recipe = Stack(task, seeds), Recipe(run.steps, EVERY, partial(Adam, lr=RATE, fused=True))
    curve = train(name, stack, loss, recipe, seed=seeds[0], measure=measure, folder=folder)
    return stack, Trained(run, curve.at, **curve.measured)


@dataclass(frozen=True)
class Heads:
    """What the heads of trained networks do; R networks, H heads of layer 2 (i) and of layer 1 (j), best first.

    Heads are put in order on some sequences and measured on others; those of layer 1 by their attention from labels to
    the exemplars before them. strength, dealt [R, H]: with the right labels, and with right and wrong dealt at random.
    alone, without [R, H]: accuracy with that head of layer 2 only, or without it. every, silent, strangers [R]: with
    all, with none, and with all but the strongest attending as in other sequences. wired [R, H, H]: with head i alone,
    its values kept, and its pattern made from what head j of layer 1 alone writes; own [R, 2]: so for (0, 1) and
    (1, 0), with j attending to its own token; unwired [R, H]: with none for j. kept, cut_off, mixed [R]: without layer
    1, with layer 2's patterns and values kept, not kept, or those of other sequences.
    """

    strength: Tensor
    dealt: Tensor
    alone: Tensor
    without: Tensor
    every: Tensor
    silent: Tensor
    strangers: Tensor
    wired: Tensor
    own: Tensor
    unwired: Tensor
    kept: Tensor
    cut_off: Tensor
    mixed: Tensor


def trained(name: str, run: Run, seeds: Sequence[int], folder: Path | None = None) -> Trained:
    """What networks went through."""
    return fit(name, run, seeds, folder)[1]


def trained_heads(steps: int, seeds: Sequence[int], folder: Path | None = None) -> tuple[Trained, Heads]:
    """What networks with all their heads went through, and what the heads do at the end."""
    stack, found = fit("all", Run("all", steps), seeds, folder)
    return found, heads(stack)


class Trial:
    """Networks trained with all heads, and sequences to try them on."""

    def __init__(self, stack: Stack, seed: int, n: int = 512) -> None:
        self.stack, self.batch = stack, stack.task.batch(torch.Generator().manual_seed(seed), n)
        self.clean = stack(self.batch, CLAMPS["all"][0])

    def accuracy(self, cut: Cut = WHOLE) -> Tensor:
        """With something cut, [R]."""
        return accuracy(self.stack(self.batch, CLAMPS["all"][0], cut).logits, self.batch.answer)

    def each(self, cuts: Iterable[Cut]) -> Tensor:
        """With each of so many cuts, [R, cuts]."""
        return torch.stack([self.accuracy(cut) for cut in cuts], -1)


@torch.no_grad()
def heads(stack: Stack) -> Heads:
    """What its heads do, once it is trained with all of them."""
    some, trial = Trial(stack, seed=1), Trial(stack, seed=2)
    orders = previous(some.clean.first), strength(some.clean.patterns, some.batch.target)
    ranks = [found.argsort(-1, descending=True) for found in orders]
    first, second = (one_hot(order, H).float().unbind(1) for order in ranks)  # by rank, [R, H] each
    patterns, values, none = trial.clean.patterns, trial.clean.values, torch.zeros_like(first[0])
    dealt = torch.randint(2, trial.batch.target.shape, generator=torch.Generator().manual_seed(3))
    led = second[0][:, None, :, None, None]
    return Heads(
        strength=strength(patterns, trial.batch.target).gather(-1, ranks[1]),
        dealt=strength(patterns, dealt).gather(-1, ranks[1]),
        alone=trial.each(Cut(second=head) for head in second),
        without=trial.each(Cut(second=1 - head) for head in second),
        every=trial.accuracy(),
        silent=trial.accuracy(Cut(second=none)),
        strangers=trial.accuracy(Cut(patterns=led * patterns + (1 - led) * patterns.roll(1, 1))),
        wired=torch.stack([trial.each(Cut(source, head, values=values) for source in first) for head in second], 1),
        own=trial.each(Cut(first[1 - i], second[i], own=True, values=values) for i in (0, 1)),
        unwired=trial.each(Cut(none, head, values=values) for head in second),
        kept=trial.accuracy(Cut(none, patterns=patterns, values=values)),
        cut_off=trial.accuracy(Cut(none)),
        mixed=trial.accuracy(Cut(none, patterns=patterns.roll(1, 1), values=values.roll(1, 1))),
    )


def toy(starts: int = 12, size: int = 20, steps: int = 1000) -> dict[str, Tensor]:
    """A tensor of rank one, a (x) b (x) c, fitted to another by gradient descent (section 4.1): losses [steps, starts].

    The squared error is (|a|^2 |b|^2 |c|^2 - 2 (a a*)(b b*)(c c*) + |a*|^2 |b*|^2 |c*|^2) / size^3, the loss half of
    it, shown as a share of the zero tensor's. Vectors that a fit's name lists are held at what they must become;
    `wrong` holds c at random numbers.
    """
    start, goal, other = torch.randn(3, 3, starts, size, generator=torch.Generator().manual_seed(1)).unbind()
    held = {"none": (goal, []), "c": (goal, [2]), "bc": (goal, [1, 2]), "wrong": (other, [2])}
    return {name: _fitted(start, goal, put, places, steps) for name, (put, places) in held.items()}


def _fitted(start: Tensor, goal: Tensor, put: Tensor, held: list[int], steps: int) -> Tensor:
    x, losses, free = start.clone(), [], [place for place in range(3) if place not in held]
    x[held], zero = put[held], goal.square().sum(-1).prod(0)
    for _ in range(steps):
        squares, products = x.square().sum(-1), (x * goal).sum(-1)  # [3, starts]
        losses.append((squares.prod(0) - 2 * products.prod(0)) / zero + 1)
        others = [(factors.prod(0) / factors)[..., None] for factors in (squares, products)]
        slope = others[0] * x - others[1] * goal
        x[free] -= slope[free] / x.shape[-1] ** 3
    return torch.stack(losses)


Runs = Mapping[str, Trained]
ABOUT = "Mean over seeds, with their range. ln 2 = 0.69 is what is lost by not knowing which of the two labels it is."
SHORT = ("layer1", "copy", "match", "both")  # clamps under which little is left to learn
ASKED = {"none", "both", "match"}  # clamps under which classes and labels are varied (section 5)


def planned(clamps: list[str], steps: int, short: int, classes: list[int], labels: list[int]) -> dict[str, Run]:
    """Trainings by name: one a clamp, and more with other numbers of classes or labels, for twice the steps.

    One with nothing held, which all others are compared with, is always among them.
    """
    runs = {clamp: Run(clamp, short if clamp in SHORT else steps) for clamp in dict.fromkeys(["none", *clamps])}
    for clamp in sorted(ASKED & set(runs)):
        more = 2 * runs[clamp].steps
        runs |= {f"{clamp}_{n}_classes": Run(clamp, more, classes=n) for n in classes}
        runs |= {f"{clamp}_{n}_labels": Run(clamp, more, labels=n) for n in labels}
    return runs | ({"none_redrawn": Run("none", steps, draw=1)} if classes or labels else {})


def sooner(runs: Runs, name: str, than: str = "none") -> Tensor:
    """How many times the updates to the authors' mark are halved from run to run, log2 [R]; NaN without both."""
    if name not in runs or than not in runs:
        return torch.full_like(runs["none"].reached(), nan)
    return (runs[than].reached() / runs[name].reached()).log2()


def slower(runs: Runs, clamp: str, what: str) -> Tensor:
    """How many times the updates are doubled by the most classes, or labels, that were tried with a clamp, log2 [R]."""
    most = max((getattr(run.run, what) for run in runs.values() if run.run.clamp == clamp), default=0)
    return sooner(runs, clamp, than=f"{clamp}_{most}_{what}")


def plateau(runs: Runs, name: str) -> Tensor:
    """log2 of how many times as long a run's loss takes from 1.3 to 0.9 ln 2 as from there to 0.5 ln 2, [R]; or NaN."""
    if name not in runs:
        return torch.full_like(runs["none"].reached(), nan)
    high, middle, low = (runs[name].reached(share * log(2)) for share in (1.3, 0.9, 0.5))
    return ((middle - high) / (low - middle)).log2()


def compared(runs: Runs) -> dict[str, Tensor]:
    """What is said of trainings, by metric: a value for each seed [R]."""
    alone = torch.maximum(sooner(runs, "layer1"), sooner(runs, "copy"))
    return {
        **{f"sooner_{name}": sooner(runs, name) for name in CLAMPS if name not in ("none", "all")},
        "plateau": plateau(runs, "none"),
        "plateau_match": plateau(runs, "match"),
        "combined": sooner(runs, "both") - alone,
        "combined_back": sooner(runs, "copy_back") - alone,
        "slower_redrawn": sooner(runs, "none", than="none_redrawn"),
        **{f"slower_{what}": slower(runs, "none", what) for what in ("classes", "labels")},
        **{f"slower_{what}_both": slower(runs, "both", what) for what in ("classes", "labels")},
        **{f"slower_{what}_match": slower(runs, "match", what) for what in ("classes", "labels")},
    }


OF_HEADS: Mapping[str, Callable[[Heads], Tensor]] = {  # metrics by name: a value for each seed [R]
    "first_strength": lambda found: found.strength[:, 0],
    "second_strength": lambda found: found.strength[:, 1],
    "second_strength_dealt": lambda found: found.dealt[:, 1],
    "ranked": lambda found: torch.tensor([*map(spearman, found.strength, found.alone)]),
    "added": lambda found: found.every - found.alone[:, 0],
    "added_strangers": lambda found: found.strangers - found.alone[:, 0],
    "redundant": lambda found: (found.every - found.silent) - (found.every[:, None] - found.without).sum(-1),
    "wired": lambda found: found.alone[:, 0] - found.unwired[:, 0],
    "wired_second": lambda found: found.wired[:, 0, 1] - found.unwired[:, 0],
    "wired_second_own": lambda found: found.own[:, 0] - found.unwired[:, 0],
    "wired_shared": lambda found: found.wired[:, 1, 0] - found.unwired[:, 1],
    "wired_shared_own": lambda found: found.own[:, 1] - found.unwired[:, 1],
    "through": lambda found: found.kept - found.cut_off,
    "through_mixed": lambda found: found.mixed - found.cut_off,
    "direct": lambda found: found.every - found.kept,
    "layer1_cost": lambda found: found.every - found.cut_off,
}


def metrics(runs: Runs, found: Heads) -> list[Metric]:
    """Means over seeds, and over starts of the toy."""
    fits = {name: crossing(range(len(losses)), losses, 0.1) for name, losses in toy().items()}
    units = {f"toy_{name}": (fits["none"] / fits[name]).log2() for name in ("c", "wrong")}
    units |= {"toy_bc": (fits["c"] / fits["bc"]).log2(), "toy_bc_wrong": (fits["c"] / fits["wrong"]).log2()}
    units |= compared(runs) | {name: of(found) for name, of in OF_HEADS.items()}
    return [mean_of(name, values.tolist()) for name, values in units.items()]


def draw_toy() -> plt.Figure:
    """The toy's losses, a line for each start."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
    titles = {"none": "nothing held", "c": "c held", "bc": "b and c held"}
    losses = toy()
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        axis.plot(losses[name], color="C0", lw=1, alpha=0.7)
        axis.set(title=title, xlabel="step", xscale="log", ylim=(-0.05, 1.6))
    axes[0].set_ylabel("loss, share of zero's")
    return figure


def draw(runs: Runs) -> plt.Figure:
    """Loss by clamp: each seed thin, their mean thick."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for axis, names in ((left, {"none", *SHORT}), (right, {"none", "bypass", "mask", "labels"})):
        for place, name in enumerate(name for name in CLAMPS if name in names and name in runs):
            run, colour = runs[name], f"C{place}"
            axis.plot(run.at[1:], run.loss[1:], color=colour, lw=0.6, alpha=0.5)
            axis.plot(run.at[1:], run.loss[1:].mean(1), color=colour, label=CLAMPS[name][1])
        axis.axhline(log(2), color="gray", ls=":", lw=1)
        axis.set(xscale="log", xlabel="updates")
        axis.legend(fontsize=8)
    left.set(title="held: a part of the circuit", ylabel="loss, nats (dotted: ln 2)")
    right.set(title="held: the same, without that part")
    return figure


def draw_heads(all_heads: Trained, found: Heads) -> plt.Figure:
    """Strengths over training, strength against accuracy alone, and which heads of layer 1 serve which of layer 2."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    left.plot(all_heads.at, all_heads.strength[:, 0])
    left.set(title="heads of layer 2, first seed", xlabel="updates", ylabel="induction strength")
    for place, (strengths, alone, without) in enumerate(zip(found.strength, found.alone, found.without, strict=True)):
        middle.plot(strengths, alone, "o", color=f"C{place}", ms=5)
        middle.plot(strengths, without, "^", color=f"C{place}", ms=5, mfc="none")
    middle.set(title="alone (dots), without it (triangles)", xlabel="induction strength", ylabel="accuracy")
    image = right.imshow((found.wired - found.unwired[..., None]).mean(0), cmap="viridis", aspect="auto")
    right.set(title="accuracy owed to a pair of heads", xlabel="layer 1, by rank", ylabel="layer 2, by rank")
    figure.colorbar(image, ax=right)
    return figure


def curves(runs: Runs) -> dict[str, Any]:
    """The explorer's data: loss by clamp, the mean over seeds with their range."""
    places = sorted({at for run in runs.values() for at in run.at if at % 20 == 0})
    series = []
    for name, run in runs.items():
        group = "parts of the circuit" if name in ("none", *SHORT) else "controls"
        words = CLAMPS[run.run.clamp][1]
        if name not in CLAMPS:
            group, words = "classes and labels", f"{words}: {name.partition('_')[2].replace('_', ' ')}"
        series.append({"name": words, "group": group, **mean_and_range(run.at, run.loss, places)})
    x, y = {"title": "updates", "values": places}, {"title": "loss, nats"}
    return {"title": "Loss while parts of the circuit are held", "about": ABOUT, "x": x, "y": y, "series": series}
