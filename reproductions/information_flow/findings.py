"""What routes say of heads: previous-token heads, heads that join words, prose and code, and patching beside them.

Heads are chosen on one half of the texts and held against the others on the other half, and the other way round.

Shapes: N texts of T tokens, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from scipy.stats import spearmanr
from torch import Tensor

from reproductions.common.contrasts import Asked, head_effects, loop_seconds
from reproductions.common.head_choice import Choose, apart, contrasted, crossed, halves, top
from reproductions.common.metrics import Metric, difference_of, mean_of
from reproductions.common.model import Model
from reproductions.common.patching_cost import timed
from reproductions.common.plots import CATEGORICAL
from reproductions.common.prompt_pairs import Pair
from reproductions.common.word_pieces import words
from reproductions.information_flow.method import flow, layers, route

OFFSETS = 5  # places before a token
WIDEST = 40  # tokens of a piece of code or prose


def snippets() -> list[str]:
    """Pieces of code in nine languages, all our own."""
    return Path(__file__).with_name("code.txt").read_text(encoding="utf8").split("\n%%\n")


def cut(model: Model, texts: Sequence[str], n: int) -> list[Tensor]:
    """The first n tokens of each text, opened as the tokenizer opens one; those that are too short are left out."""
    return [tokens for text in texts if len(tokens := model.to_tokens(text)[0, :n]) == n]


@dataclass(frozen=True)
class Read:
    """What heads do in texts, in percent where it is importance: means over tokens, the first one aside.

    share, sinkless [N, L, H]: importance, and without the first token. offsets [N, L, H, 5]: attention to the token
    so many places before. At second tokens of words and at words of one token: importance, and that without the first
    token at second ones; joins is attention to the token before at second ones less that at the others: [N, L, H], NaN
    where a text has none. sink [N]: percent of all that heads bring.
    """

    share: Tensor
    sinkless: Tensor
    offsets: Tensor
    second: Tensor
    second_sinkless: Tensor
    single: Tensor
    joins: Tensor
    sink: Tensor

    @classmethod
    def of(cls, model: Model, texts: Sequence[Tensor]) -> Read:
        """Of texts [T] of tokens."""
        return cls(*map(torch.stack, zip(*(_read(model, tokens) for tokens in texts), strict=True)))


def _read(model: Model, tokens: Tensor) -> list[Tensor]:
    passed = layers(model, tokens)
    pattern, found = torch.stack([layer.pattern for layer in passed]), flow(passed)
    share, sinkless = 100 * found.share()[..., 1:], 100 * found.without_first().share()[..., 1:]
    before = [pattern.diagonal(-offset, -2, -1) for offset in range(1, OFFSETS + 1)]
    second, single = (places[1:] for places in words(model, tokens))
    brought = found.heads[..., 1:, :]
    return [
        share.mean(-1),
        sinkless.mean(-1),
        torch.stack([at[..., OFFSETS - offset :].mean(-1) for offset, at in enumerate(before, start=1)], -1),
        *(of[..., at].mean(-1) for of, at in ((share, second), (sinkless, second), (share, single))),
        before[0][..., second].mean(-1) - before[0][..., single].mean(-1),
        100 * brought[..., 0].sum() / brought.sum(),
    ]


def head_metrics(found: Read, seed: int) -> list[Metric]:
    """Previous-token heads, heads that join words, and what the first token does."""

    def previous(those: Tensor) -> Tensor:
        return top(found.offsets[those].mean(0)[..., 0])

    def merging(those: Tensor) -> Tensor:
        return top(found.joins[those].nanmean(0))

    def further(those: Tensor, offset: int) -> Tensor:
        return top(found.offsets[those].mean(0)[..., offset].masked_fill(previous(those), -1))

    offset = [crossed(found.share, partial(further, offset=k), seed) for k in range(1, OFFSETS)]
    rows: list[tuple[str, Tensor, Choose]] = [
        ("previous", found.share, previous),
        ("previous_sinkless", found.sinkless, previous),
        ("merging", found.second, merging),
        ("merging_sinkless", found.second_sinkless, merging),
        ("merging_first", found.single, merging),
    ]
    return [
        *(mean_of(name, crossed(values, choose, seed)) for name, values, choose in rows),
        mean_of("previous_offset", torch.tensor(offset).mean(0).tolist()),
        mean_of("sink", found.sink.tolist()),
    ]


def domain_metrics(code: Read, prose: Read, seed: int) -> list[Metric]:
    """Heads that serve code; the control deals both domains into two mixed halves."""
    mixed = [
        torch.cat([of.share[part] for of, part in ((code, a), (prose, b))])
        for a, b in zip(halves(len(code.share), seed + 1), halves(len(prose.share), seed + 2), strict=True)
    ]
    sides = {
        "code": (code.share, prose.share),
        "code_sinkless": (code.sinkless, prose.sinkless),
        "code_halves": (mixed[0], mixed[1]),
    }
    return [difference_of(name, *contrasted(values, seed)) for name, values in sides.items()]


@dataclass(frozen=True)
class Prompts:
    """By prompt: importance on the route of heads, for it, its paraphrase and a prompt of another task, [n, 3, L H];
    what patching each head takes from the answer with three givers and with other names, [n, 4, L H]; and processor
    seconds [n, 3] of a route, of patching all heads one by one, and of patching them in one growing pass."""

    routes: Tensor
    effects: Tensor
    seconds: Tensor


def compare(model: Model, prompts: Sequence[Asked], others: Sequence[Pair], tau: float) -> Prompts:
    """Routes and patching side by side."""
    rows = []
    for prompt, other in zip(prompts, others, strict=True):
        first, seconds = timed(partial(on_route, model, prompt.names.clean, tau))
        routes = [first, *(on_route(model, tokens, tau) for tokens in (prompt.paraphrase, other.clean))]
        effects, together = zip(*(head_effects(model, pair) for pair in (*prompt.givers, prompt.names)), strict=True)
        times = torch.tensor([seconds, loop_seconds(model, prompt.names), together[-1]])
        rows.append((torch.stack(routes), torch.stack(effects), times))
    return Prompts(*map(torch.stack, zip(*rows, strict=True)))


def on_route(model: Model, tokens: Tensor, tau: float) -> Tensor:
    """The importance of each head [L H] on the route of a text."""
    found = flow(layers(model, tokens))
    return route(found, tau).heads(found).flatten().cpu()


def agreement(one: Tensor, other: Tensor) -> Tensor:
    """The rank correlation over heads [n] of numbers of heads [n, L H]."""
    return torch.tensor([spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)])


def prompt_metrics(found: Prompts) -> list[Metric]:
    """Routes against patching: what agrees, and what either costs."""
    routes, effects = found.routes.unbind(1), found.effects.unbind(1)
    again, third, choice = (agreement(effects[0], other) for other in effects[1:])
    paraphrase, other = (agreement(routes[0], one) for one in routes[1:])
    doublings = (found.seconds[:, 1:] / found.seconds[:, :1]).log2()
    values = {
        "choice": again - choice,
        "choice_again": again - third,
        "stable": paraphrase - choice,
        "stable_other": other - choice,
        "agree": agreement(routes[0], effects[0].abs()),
        "agree_other": agreement(routes[2], effects[0].abs()),
        "faster": doublings[:, 0],
        "faster_together": doublings[:, 1],
    }
    return [mean_of(name, value.tolist()) for name, value in values.items()]


def ways(found: Prompts) -> dict[str, tuple[list[float], list[float]]]:
    """Processor-seconds of ways to find heads, and how far each agrees with what patching every head does."""
    sizes, (route, loop, together) = found.effects.abs().unbind(1), found.seconds.unbind(1)
    rows = {
        "a route": (route, found.routes[:, 0]),
        "a route of another task's prompt": (route, found.routes[:, 2]),
        "patching, another contrast": (together, sizes[3]),
        "patching, another name": (together, sizes[1]),
        "patching, in one growing pass": (together, sizes[0]),
        "patching, one by one": (loop, sizes[0]),
    }
    return {way: (seconds.tolist(), agreement(own, sizes[0]).tolist()) for way, (seconds, own) in rows.items()}


def draw(general: Read, code: Read, prose: Read, compared: Prompts) -> plt.Figure:
    """Heads in general by layer, in code against in prose, and on the route against what patching them does."""
    share, patched, routes = general.share.mean(0), compared.effects[:, 0].mean(0), compared.routes[:, 0].mean(0)
    kinds = {"previous token": top(general.offsets.mean(0)[..., 0]), "join words": top(general.joins.nanmean(0))}
    serve = {"for code": apart(code.share, prose.share)}
    layer = torch.arange(len(share))[:, None].expand_as(share)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    _heads(left, layer, share, kinds, "layer", "importance (% of a state)")
    _heads(middle, prose.share.mean(0), code.share.mean(0), serve, "importance in prose (%)", "importance in code (%)")
    _heads(right, patched, routes, kinds, "what patching takes from the answer", "importance on the route")
    return figure


def _heads(axes: plt.Axes, x: Tensor, y: Tensor, kinds: dict[str, Tensor], xlabel: str, ylabel: str) -> None:
    axes.scatter(x, y, s=8, color="#c8ccd1")
    for (name, mask), color in zip(kinds.items(), CATEGORICAL, strict=False):
        axes.scatter(x.flatten()[mask.flatten()], y.flatten()[mask.flatten()], s=16, color=color, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8)
