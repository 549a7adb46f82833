"""Circles of words: do they lie on a circle in their known order, and does a model read their angle?

The points z_j of n words in a plane of the residual stream (complex numbers) have the circularity

    C = max(|F_1|^2, |F_-1|^2) / sum_{k > 0} |F_k|^2,    F_k = sum_j z_j exp(-2 pi i k j / n),

1 for a regular polygon in its order, at most 1/2 on a line. Any few points look round in some order and plane, so the
known order is held against all n! / 2n cyclic orders, and each of them chooses a block and a plane for itself.

Shapes: T templates, L blocks, n words, d = d_model, N orders, P planes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from reproductions.common.activations import Reader
from reproductions.common.edits import Edit, final_states
from reproductions.common.errors import UserError
from reproductions.common.metrics import Metric, mean_of, plain, share_of
from reproductions.common.model import Model
from reproductions.common.stats import mean_interval

RINGS = {
    "days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "months": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December"],
}  # fmt: skip
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SENTENCES = [
    "See you next {}", "The list begins with {}", "It all happened last {}", "What comes to mind is {}", "We saw {}",
    "They will be back by {}", "My favourite is {}", "We have waited since {}", "He always talks about {}", "Only {}",
    "Everyone remembers {}", "It was a cold {}", "The answer was {}", "She wrote a poem about {}", "It is nearly {}",
    "The sign said {}", "We were hoping for {}", "The next word is {}", "Let us think of {}", "It had to be {}",
]  # fmt: skip
SUMS = {"days": "day of the week", "months": "calendar"}  # section 5
NEXT = [
    "Today it is {{}}. Tomorrow it is", "This {0} is {{}}. The next {0} is", "They came in {{}} and left in",
    "They came on {{}} and left on", "The {0}s in order are {{}},", "Say the {0}s in order: {{}},",
    "After one comes two, after five comes six, and after {{}} comes", "one, two; five, six; {{}},",
    "The first is {{}}, the second is", "Start with {{}}, then", "It was {{}}. A {0} later it was",
    "one -> two, five -> six, {{}} ->", "The shop closes on {{}} and opens again on", "I was here in {{}} and again in",
]  # fmt: skip
EARLY_LATE = ["very early on {}", "very late on {}", "morning on {}", "evening on {}"]  # section 5.3
NEUTRAL = ["quite often on {}", "rather seldom on {}", "only on {}", "even on {}"]
COMPONENTS = 5  # k of section 5.1
ROWS = 512  # prompts in one pass
MOVE = 3  # places from a word to the one that is written in its place


def prompts(model: Model, words: Sequence[str], template: str) -> tuple[Tensor, int]:
    """The template with each word for {}, as tokens [n, positions], and the position of the word.

    Raises:
        UserError: a word is not one token of the model.
    """
    ids = [model.tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in words]
    if several := [word for word, own in zip(words, ids, strict=True) if len(own) > 1]:
        raise UserError(f"not one token of this model, so that they have no state of their own: {', '.join(several)}")
    tokens = model.to_tokens(template.format(words[0])).cpu().repeat(len(words), 1)
    position = int((tokens[0] == ids[0][0]).nonzero()[-1])
    tokens[:, position] = torch.tensor(ids)[:, 0]
    return tokens, position


@torch.no_grad()
def word_states(model: Model, words: Sequence[str], templates: Sequence[str]) -> Tensor:
    """`resid_post` at each word after every block: [T, L, n, d]. What follows a word cannot change its state."""
    sites, found = [f"blocks.{layer}.hook_resid_post" for layer in range(model.cfg.n_layers)], []
    with Reader(model, sites) as reader:
        for tokens, position in (prompts(model, words, template) for template in templates):
            read = reader.read(tokens[:, : position + 1])
            found.append(torch.stack([read[site][:, -1].float().cpu() for site in sites]))
    return torch.stack(found)


def cyclic_orders(n: int, most: int, seed: int = 0) -> Tensor:
    """Places of n words in every cyclic order, turned or mirrored ones being one, the known order first: [N, n].

    Where there are more than `most`, so many are drawn at random instead.
    """
    if math.factorial(n - 1) // 2 <= most:
        return torch.tensor([(0, *rest) for rest in itertools.permutations(range(1, n)) if rest[0] <= rest[-1]])
    drawn = torch.rand(most, n, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return torch.cat([torch.arange(n)[None], drawn])


def planes(states: Tensor) -> Tensor:
    """Neighbouring principal components, 1-2 to 4-5 (section 4), of states [..., n, d]: [..., P, 2, d]."""
    centred = states - states.mean(-2, keepdim=True)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[..., : min(COMPONENTS, states.shape[-2] - 1), :]
    return torch.stack([axes[..., :-1, :], axes[..., 1:, :]], dim=-2)


def project(states: Tensor, axes: Tensor) -> Tensor:
    """States [..., n, d] less their mean, in planes [..., 2, d], as complex points [..., n]."""
    return torch.view_as_complex(((states - states.mean(-2, keepdim=True)) @ axes.mT).contiguous())


def circularity(points: Tensor, orders: Tensor) -> Tensor:
    """C of centred points [..., n] for orders [N, n]: [..., N]."""
    turn = torch.exp(2j * math.pi * orders / points.shape[-1])
    power = torch.maximum((points @ turn.mT).abs(), (points @ turn.mH).abs()).square()
    return power / (points.shape[-1] * points.abs().square().sum(-1, keepdim=True))


@dataclass(frozen=True)
class Circle:
    """What half of the sentences shows once the other half has chosen; the known order is the first of N.

    layer: the known order's block; axes [L, 2, d], points [L, n, 2]: its plane of each block, and the means in it;
    by_layer [T, L]: C there; line [L]: what 95 % of the orders do not exceed in their own planes; null [N]: C of every
    order in its own block and plane; p: the share as round as the known one; margins [T]: C of that less what 95 % do
    not exceed; closing [T]: mean distance of words two places apart less that of last and first, in mean radii.
    """

    layer: int
    axes: Tensor
    points: Tensor
    by_layer: Tensor
    line: Tensor
    null: Tensor
    p: float
    margins: Tensor
    closing: Tensor


def search(states: Tensor, orders: Tensor) -> Circle:
    """On every other of states [T, L, n, d] each order chooses a block and a plane; on the rest it is measured."""
    chosen, held = states[::2].mean(0), states[1::2]
    every = planes(chosen)
    scores = circularity(project(chosen[:, None], every), orders)  # [L, P, N]
    plane, layer = scores.argmax(1), scores.amax(1).argmax(0)  # [L, N], [N]
    found = [circularity(project(one[:, None], every), orders).gather(1, plane[:, None])[:, 0] for one in held]
    by_layer = torch.stack(found)  # [T, L, N]
    own = by_layer.gather(1, layer.expand(len(held), 1, -1))[:, 0]  # [T, N]
    axes, best, null = every[torch.arange(len(every)), plane[:, 0]], int(layer[0]), own.mean(0)
    points = torch.view_as_real(project(held, axes))  # [T, L, n, 2]
    ring = points[:, best]
    two_apart, ends = (ring[:, 2:] - ring[:, :-2]).norm(dim=-1).mean(1), (ring[:, -1] - ring[:, 0]).norm(dim=-1)
    return Circle(
        best, axes, points.mean(0), by_layer[..., 0], by_layer.mean(0).quantile(0.95, dim=1), null,
        p=float((null >= null[0]).float().mean()),
        margins=own[:, 0] - own.quantile(0.95, dim=1),
        closing=(two_apart - ends) / ring.norm(dim=-1).mean(1),
    )  # fmt: skip


def unit_circle(place: Tensor) -> Tensor:
    """circle(alpha) of section 5.1: places [n] as points [n, 2]."""
    angle = 2 * math.pi * place / len(place)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def planted(states: Tensor, seed: int = 0) -> Tensor:
    """A known answer: states [T, L, n, d] with a circle added, as wide as the words' own spread in each block."""
    axes = torch.randn(states.shape[-1], 2, generator=torch.Generator().manual_seed(seed))
    circle = unit_circle(torch.arange(states.shape[2])) @ torch.linalg.qr(axes).Q.mT
    spread = (states - states.mean(2, keepdim=True)).square().sum(-1).mean((0, 2)).sqrt()
    return states + spread[:, None, None] * circle


def circles(model: Model, name: str, most: int, seed: int = 0) -> dict[str, Circle]:
    """A ring and its controls: number words, these in a random order, and with a circle planted in that order."""
    n = len(RINGS[name])
    ring, numbers = (word_states(model, words, SENTENCES) for words in (RINGS[name], NUMBERS[:n]))
    shuffled = numbers[:, :, torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    states = {"ring": ring, "numbers": numbers, "shuffled": shuffled, "planted": planted(shuffled, seed)}
    return {kind: search(own, cyclic_orders(n, most, seed)) for kind, own in states.items()}


@torch.no_grad()
def answers(model: Model, words: Sequence[str], tokens: Tensor, edits: Mapping[str, Edit] | None = None) -> Tensor:
    """Logits of the words behind prompts [rows, positions]: [rows, n]."""
    ids = prompts(model, words, " {}")[0][:, -1]
    return (final_states(model, tokens, edits)[:, -1] @ model.W_U[:, ids]).float().cpu()


def answer_metrics(model: Model, name: str) -> list[Metric]:
    """The n x n sums of section 5, and questions for the next one: how often the right word is the likeliest of all."""
    words, unit, metrics = RINGS[name], name.removesuffix("s"), []
    counts = {f"{count.capitalize()} {unit}{'s' * (k > 1)}": k for k, count in enumerate(NUMBERS[: len(words)], 1)}
    sums = {f"Let's do some {SUMS[name]} math. {count} from {{}} is": k for count, k in counts.items()}
    for task, asked in {"sums": sums, "next": {question.format(unit): 1 for question in NEXT}}.items():
        said = torch.stack([answers(model, words, prompts(model, words, own)[0]).argmax(1) for own in asked])
        right = said == (torch.arange(len(words)) + torch.tensor([*asked.values()])[:, None]) % len(words)
        metrics.append(share_of(f"{task}_{name}", int(right.sum()), right.numel()))
    return metrics


def circle_write(states: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """W [L, 5, d], and what is written for each word, W^T P^+ circle(place): [L, n, d] (equations 5 and 6).

    P maps the principal components W of states [T, L, n, d], less each template's mean, to the circle by least squares.
    """
    rows = (states - states.mean(2, keepdim=True)).transpose(0, 1).flatten(1, 2)  # [L, T n, d]
    W, circle = torch.linalg.svd(rows, full_matrices=False).Vh[:, :COMPONENTS], unit_circle(place)
    probe = torch.linalg.lstsq(rows @ W.mT, circle.repeat(len(states), 1).expand(len(W), -1, -1)).solution
    return W, circle @ torch.linalg.pinv(probe) @ W


def moved(model: Model, name: str, layers: Sequence[int], others: int, seed: int = 0, shift: int = 1) -> Tensor:
    """How far answers follow when the state of each word i is made that of word j = i + 3: [T, layers, 4].

    The logit of the answer to j less that to i, mean over words, after these writes: j's angle, with all else at the
    mean over words; the same with probes of other orders, what 95 % of these do not exceed (only in the middle of the
    first third of the layers); j's five components, the rest as it was; j's whole state. Every other question fits.
    """
    words, asked = RINGS[name], [question.format(name.removesuffix("s")) for question in NEXT]
    n, states, early = len(words), word_states(model, words, asked)[:, layers], len(layers) // 6
    orders = cyclic_orders(n, 1000, seed)
    drawn = 1 + torch.randperm(len(orders) - 1, generator=torch.Generator().manual_seed(seed))[: others * 7 // n]
    fits = [circle_write(states[::2], place) for place in orders[[0, *drawn.tolist()]]]
    W, writes = fits[0][0], torch.stack([write for _, write in fits], dim=1)  # [L, 5, d], [L, 1 + others, n, d]
    i, j = torch.arange(n), torch.arange(MOVE, n + MOVE) % n
    found = torch.empty(len(asked) // 2, len(layers), 4)
    for (t, question), (k, layer) in itertools.product(enumerate(asked[1::2]), enumerate(layers)):
        (tokens, position), own = prompts(model, words, question), states[2 * t + 1, k]
        angles = own.mean(0) + writes[k, : None if k == early else 1, j]
        swapped = own + (own[j] - own) @ W[k].mT @ W[k]
        new = torch.cat([angles, swapped[None], own[None, j]]).flatten(0, 1).to(model.W_E.device)
        at, site = torch.tensor([position - 1], device=new.device), f"blocks.{layer}.hook_resid_post"
        put = partial(torch.index_copy, dim=1, index=at)  # edits do not see position 0
        edits = [{site: partial(put, source=part[:, None])} for part in new.split(ROWS)]
        rows = tokens.repeat(len(new) // n, 1).split(ROWS)
        logits = torch.cat([*map(partial(answers, model, words), rows, edits)]).view(-1, n, n)
        leads = (logits[:, i, (j + shift) % n] - logits[:, i, (i + shift) % n]).mean(1)
        found[t, k] = torch.tensor([leads[0], leads[1:-2].quantile(0.95) if k == early else torch.nan, *leads[-2:]])
    return found


def turned(model: Model, circle: Circle) -> list[Metric]:
    """By how many places weekdays turn from early to late, between neutral phrases, and from neighbour to neighbour."""
    layer, days = round(30 / 32 * model.cfg.n_layers) - 1, RINGS["days"]  # the block as deep as the paper's
    axes, usual = circle.axes[layer], torch.view_as_complex(circle.points[layer].contiguous())
    points = [project(word_states(model, days, own)[:, layer], axes) for own in (EARLY_LATE, NEUTRAL)]
    place = (usual.roll(-1) * usual.conj()).imag.sum().sign() * len(days) / (2 * math.pi)  # the calendar turns left
    pairs = {f"turned{kind}": (own[::2], own[1::2]) for kind, own in zip(("", "_neutral"), points, strict=True)}
    pairs["turned_neighbours"] = points[0].roll(1, 1), points[0].roll(-1, 1)
    places = {name: (to * start.conj()).angle().mean(0) * place for name, (start, to) in pairs.items()}
    return [mean_of(name, own.tolist()) for name, own in places.items()]


def moved_metrics(name: str, leads: Tensor) -> list[Metric]:
    """Leads [T, layers, 4] of the written words' answers after each write, in the middle of the first third."""
    early, kinds = leads[:, leads.shape[1] // 6], ("", "_order", "_components", "_state")
    return [mean_of(f"moved_{name}{kind}", early[:, k].tolist()) for k, kind in enumerate(kinds)]


def circle_metrics(name: str, found: Mapping[str, Circle]) -> list[Metric]:
    """Margins and closing steps of a ring and its controls, and the p of the ring."""
    metrics = [plain(f"p_{name}", found["ring"].p, len(found["ring"].null))]
    for kind, circle in found.items():
        suffix = "" if kind == "ring" else f"_{kind}"
        values = {"ring": circle.margins, "closed": circle.closing}
        metrics += [mean_of(f"{what}_{name}{suffix}", own.tolist()) for what, own in values.items()]
    return metrics


def curves(found: Mapping[str, Mapping[str, Circle]]) -> dict[str, Any]:
    """For the explorer: circularity by block, with intervals over sentences, and what 95 % of orders do not exceed."""
    about = "A regular polygon has 1, a line at most 0.5. Number words are a line; in planted ones there is a circle."
    series = []
    for ring, circle, kind in [(ring, circle, kind) for ring, own in found.items() for kind, circle in own.items()]:
        group, line = ring if kind == "ring" else f"{kind}, as many as {ring}", circle.line.tolist()
        low, high = map(list, zip(*map(mean_interval, circle.by_layer.T.tolist()), strict=True))
        values = {"values": circle.by_layer.mean(0).tolist(), "low": low, "high": high}
        series += [{"name": "known order", "group": group, **values}]
        series += [{"name": "95 % of all orders lie below", "group": group, "values": line}]
    axes = {"x": {"title": "block", "values": [*range(len(line))]}, "y": {"title": "circularity"}}
    return {"title": "How round a ring of words is after each block", "about": about, **axes, "series": series}


def draw(found: Mapping[str, Circle]) -> Figure:
    """A row for each ring: its plane in the first, the chosen and the last block, and the roundness of all orders."""
    figure, rows = plt.subplots(len(found), 4, figsize=(12, 3 * len(found)))
    for (name, circle), panels in zip(found.items(), rows, strict=True):
        for panel, layer in zip(panels, (0, circle.layer, len(circle.points) - 1), strict=False):
            x, y = circle.points[layer][[*range(circle.points.shape[1]), 0]].T
            panel.plot(x, y, "o-", markersize=4, linewidth=1)
            for word, *at in zip((RINGS | {"numbers": NUMBERS})[name], x.tolist(), y.tolist(), strict=False):
                panel.annotate(word[:3], at, xytext=(3, 3), textcoords="offset points", fontsize="small")
            panel.set(title=f"{name}, block {layer}", xticks=[], yticks=[], aspect="equal")
        panels[-1].hist(circle.null, bins=40)
        panels[-1].axvline(float(circle.null[0]), color="C1")
        panels[-1].set(title=f"all orders; line: p = {circle.p:.1g}", xlabel="circularity", yticks=[])
    figure.tight_layout()
    return figure
