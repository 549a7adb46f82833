"""Do some attention heads tell true answers from false ones, and does pushing them help? (Li et al., arXiv 2306.03341)

Inference-time intervention, from the authors' abstract and code. z [h] is a head's output before W_O. With z read at
the last token of "Q: … A: …", for true and for false answers:

1. a logistic probe for each head says which answers are true; the k heads whose probes do best are chosen;
2. theta is the difference of means, mean z(true) - mean z(false), of a chosen head, brought to length 1, and sigma the
   standard deviation of z along it;
3. while the model answers, z + alpha sigma theta takes the place of z, in all chosen heads, at the last token of the
   question and at every token of the answer.

Our preference for the truth is log p(true answer) - log p(false answer). How much a shift changes the model is told by
KL divergence and loss on plain text, where it is put at every position but the first; shifts are compared at one KL.
Topics are dealt into three parts; what is chosen and fitted on two of them is measured on the third.

Shapes: N questions with answers each, L layers, H heads in each, h = d_head, M = L H, k chosen heads, n cases.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import isnan
from pathlib import Path
from random import Random
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common.answers import Answers
from reproductions.common.edits import Edit, final_states
from reproductions.common.held_out import Excerpt
from reproductions.common.linear_systems import solved
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.probes import logistic
from reproductions.common.stats import mean_interval, nan_mean
from reproductions.common.substitution import divergences, unit
from reproductions.common.text import sequences

QUESTIONS = Path(__file__).with_name("questions.jsonl")
PARTS = 3  # of the topics
RIDGE, NEWTON = 0.01, 6  # of probes: weight of the squares, steps
FIRST = 5.0  # alpha of the first try, from whose KL the others follow
KL = 0.1  # nats a token: where shifts are compared
TRUE, FALSE, CAPITALS, FOREIGN = range(4)  # a question's answers: two of its own, one in capitals, one of another
TASKS = {
    "truth": "true answers, or false ones",
    "shuffled": "the same, labels shuffled",
    "alone": "the same, without the question",
    "alone_shuffled": "without the question, labels shuffled",
    "fit": "answers to the question, or to another one",
    "capitals": "answers in capitals, or as they are",
}
PAIRS = ((TRUE, FALSE), (CAPITALS, TRUE))  # answers between which a shift pushes
OF_CAPITALS = ("capitals", "plain")
PREFERENCE, LOSS = "preference for true answers gained", "loss on plain text added"
AT = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # KL at which curves are drawn
SHIFTS = {
    "truthful": "chosen heads, towards true answers",
    "reverse": "chosen heads, towards false answers",
    "heads": "random heads, towards true answers",
    "heads_again": "other random heads",
    "random": "chosen heads, in random directions",
    "opposite": "chosen heads, against these",
    "capitals": "heads chosen for capitals, towards capitals",
    "plain": "heads chosen for capitals, away from them",
}


@dataclass(frozen=True)
class Question:
    """A question of a topic with a true and a false answer; kind: misconception, or fact."""

    topic: str
    kind: str
    question: str
    true: str
    false: str


def questions(path: Path = QUESTIONS) -> list[Question]:
    """The questions of a file, one to a line; ours are beside this module."""
    return [Question(**json.loads(line)) for line in path.read_text(encoding="utf8").splitlines()]


def cases(asked: Sequence[Question]) -> tuple[list[str], list[list[str]]]:
    """Prompts [N], and four answers to each: true, false, true in capitals, true of a question half the list away.

    Over all questions the fourth are the same as the first, so that only the question says which of the two fits.
    """
    foreign = [*asked[len(asked) // 2 :], *asked[: len(asked) // 2]]
    answers = [[own.true, own.false, own.true.upper(), far.true] for own, far in zip(asked, foreign, strict=True)]
    return [f"Q: {own.question}\nA:" for own in asked], answers


def probes(x: Tensor, truth: Tensor, ridge: float = RIDGE) -> tuple[Tensor, Tensor]:
    """Logistic probes of all heads at once, weights [M, h] and biases [M], for x [M, n, h] and truth [n] of 0 and 1.

    By Newton's method, of the loss of `common.probes.logistic` where labels are as often 0 as 1.
    """
    mean, scale = x.mean(1, keepdim=True), (x - x.mean(1, keepdim=True)).square().mean((1, 2), keepdim=True).sqrt()
    inputs = torch.cat([(x - mean) / scale, torch.ones_like(x[..., :1])], -1)
    penalty = 2 * ridge * torch.tensor([1.0] * x.shape[2] + [0.0])
    parts = torch.zeros(len(x), inputs.shape[2])
    for _ in range(NEWTON):
        said = torch.einsum("mnh,mh->mn", inputs, parts).sigmoid()
        slope = torch.einsum("mnh,mn->mh", inputs, said - truth) / len(truth) + penalty * parts
        curved = (inputs * (said * (1 - said))[..., None]).mT @ inputs / len(truth) + penalty.diag()
        parts = parts - solved(curved, slope)
    weights = parts[:, :-1] / scale[:, 0]
    return weights, parts[:, -1] - (weights * mean[:, 0]).sum(1)


def fitted(z: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
    """Probes fitted to some questions [N] of z [N, 2, M, h], whose first answers have the label and second have not."""
    pairs = z[some].flatten(0, 1)
    return probes(pairs.transpose(0, 1), torch.tensor([1.0, 0.0]).repeat(int(some.sum())))


def right(z: Tensor, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
    """The share of a question's two answers that a probe is right about, and whether it ranks them right, [N, M]."""
    first, second = ((z * weights).sum(-1) + biases).unbind(1)
    return ((first > 0).float() + (second <= 0).float()) / 2, (first > second).float()


@dataclass(frozen=True)
class Probed:
    """How well the heads' probes do on topics that they were not fitted to.

    accuracy, ranked: [N, M]. chosen [PARTS, k]: the heads that did best within the other topics, best first.
    """

    accuracy: Tensor
    ranked: Tensor
    chosen: Tensor

    def of_chosen(self, values: Tensor, part: Tensor) -> Tensor:
        """The mean of values [N, M] over the heads chosen for each question's part [N], [N]."""
        return values.gather(1, self.chosen[part]).mean(1)


def dealt(topics: Sequence[str], parts: int, seed: int) -> Tensor:
    """The part [N] of each question: topics are dealt at random."""
    names = list(dict.fromkeys(topics))
    order = Random(seed).sample(names, len(names))
    return torch.tensor([order.index(topic) % parts for topic in topics])


def probe(z: Tensor, part: Tensor, topics: Sequence[str], k: int, seed: int) -> Probed:
    """Choose k heads and fit probes on two thirds of the topics, measure on the third; each third is held out once.

    For the choice, probes are fitted to one half of the two thirds and scored on the other, and the reverse.
    """
    accuracy, ranked = torch.empty(len(z), z.shape[2]), torch.empty(len(z), z.shape[2])
    half, chosen = dealt(topics, 2 * PARTS, seed) // PARTS, []  # parts are dealt by the same seed: halves within parts
    for own in range(PARTS):
        inner = torch.zeros(z.shape[2])
        for side in range(2):
            scored = (part != own) & (half == side)
            inner += right(z[scored], *fitted(z, (part != own) & (half != side)))[0].sum(0)
        chosen.append(inner.topk(k).indices)
        held = part == own
        accuracy[held], ranked[held] = right(z[held], *fitted(z, ~held))
    return Probed(accuracy, ranked, torch.stack(chosen))


def shuffled(z: Tensor, seed: int) -> Tensor:
    """z [N, 2, M, h] with the two answers of a random half of the questions in each other's place."""
    swap = torch.rand(len(z), generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(swap[:, None, None, None], z.flip(1), z)


def told_by_words(asked: Sequence[Question], part: Tensor) -> Tensor:
    """The share [N] of a question's answers that a logistic regression on the answers' words alone is right about."""
    texts = [answer.lower().split() for own in asked for answer in (own.true, own.false)]
    words = list(Counter(word for text in texts for word in text))
    x = torch.tensor([[float(word in text) for word in words] for text in texts])
    truth, held = torch.tensor([1.0, 0.0]).repeat(len(asked)), part.repeat_interleave(2)
    said = torch.empty(len(texts))
    for own in range(PARTS):
        found = logistic(x[held != own], truth[held != own, None], RIDGE)
        said[held == own] = ((found.scores(x[held == own])[:, 0] > 0).float() == truth[held == own]).float()
    return said.view(-1, 2).mean(1)


def directions(z: Tensor, heads: Tensor) -> Tensor:
    """sigma theta of each of some heads [k], as shifts of all heads [M, h], from z [n, 2, M, h] of first and second."""
    theta = unit(z[:, 0].mean(0) - z[:, 1].mean(0))[heads]
    return _placed(z, heads, theta)


def random_directions(z: Tensor, heads: Tensor, seed: int) -> Tensor:
    """The same with random directions, each with the standard deviation of z along it."""
    theta = unit(torch.randn(len(heads), z.shape[-1], generator=torch.Generator().manual_seed(seed)))
    return _placed(z, heads, theta)


def _placed(z: Tensor, heads: Tensor, theta: Tensor) -> Tensor:
    found = torch.zeros(z.shape[2:])
    found[heads] = (z[:, :, heads] * theta).sum(-1).flatten(0, 1).std(0)[:, None] * theta
    return found


def shifts(z: Tensor, chosen: Tensor, for_capitals: Tensor, seed: int) -> dict[str, Tensor]:
    """Each of `SHIFTS`, [M, h] for alpha = 1, from z [n, 4, M, h] of training topics and the heads chosen there [k]."""
    k = len(chosen)
    others = [head for head in range(z.shape[2]) if head not in chosen.tolist()]
    drawn = torch.tensor(Random(seed).sample(others, min(2 * k, len(others))))
    own = z[:, [TRUE, FALSE]]
    truthful = directions(own, chosen)
    somewhere, capitals = random_directions(own, chosen, seed), directions(z[:, [CAPITALS, TRUE]], for_capitals)
    return {
        "truthful": truthful,
        "reverse": -truthful,
        "heads": directions(own, drawn[:k]),
        "heads_again": directions(own, drawn[-k:]),
        "random": somewhere,
        "opposite": -somewhere,
        "capitals": capitals,
        "plain": -capitals,
    }


def edits(model: Model, shift: Tensor, alpha: float) -> dict[str, Edit]:
    """What adds alpha times a shift [M, h] to the outputs of the heads, layer by layer."""
    layers = (alpha * shift.to(model.W_E.device)).view(model.cfg.n_layers, model.cfg.n_heads, -1)
    return {f"blocks.{n}.attn.hook_z": partial(torch.add, own) for n, own in enumerate(layers) if own.any()}


class Plain:
    """Plain text [texts, T], and what edits do to it: KL divergence and added loss, nats a token."""

    def __init__(self, model: Model, tokens: Tensor) -> None:
        self.model, self.tokens = model, tokens
        self._clean = final_states(model, tokens)

    def effects(self, changed: Sequence[Mapping[str, Edit]], texts: int | None = None) -> Tensor:
        """[edits, 2, texts], as means over the predictions of a text from all positions but the first."""
        tokens = self.tokens[:texts]
        found = [final_states(self.model, tokens, some)[:, 1:-1].flatten(0, 1) for some in changed]
        clean = self._clean[:texts, 1:-1].flatten(0, 1)
        after = tokens[:, 2:].flatten().to(clean.device)
        return divergences(self.model, clean, found, after).view(len(changed), 2, len(tokens), -1).mean(-1).cpu()


@dataclass(frozen=True)
class Curve:
    """A shift by its strength, the first of S being none: KL and loss added [S, texts], preference [S, n]."""

    kl: Tensor
    loss: Tensor
    preference: Tensor

    def at(self, values: Tensor, kl: float) -> Tensor:
        """Values [S, ...] less those of no shift, where KL is so large; linear in its root in between, NaN beyond.

        Small effects grow with the strength, and KL with its square.
        """
        x, gained = self.kl.mean(1).sqrt(), values - values[0]
        above = next((place for place in range(1, len(x)) if x[place] ** 2 >= kl), 0)
        if not above:
            return torch.full_like(gained[0], 0.0 if kl == 0 else torch.nan)
        share = (kl**0.5 - x[above - 1]) / (x[above] - x[above - 1])
        return gained[above - 1] + share * (gained[above] - gained[above - 1])


@dataclass(frozen=True)
class Heads:
    """What was found at the heads: probes by task, each question's part [N], and what to shift by, part for part.

    preference [N]: log p of the true answer less that of the false one. words [N]: how often the answers' words alone
    are right.
    """

    probed: dict[str, Probed]
    part: Tensor
    preference: Tensor
    words: Tensor
    shifts: list[dict[str, Tensor]]


def look(model: Model, asked: Sequence[Question], share: float, seed: int) -> Heads:
    """Read all heads, fit all probes, choose a share of the heads, and find the directions of these."""
    topics, (prompts, given) = [own.topic for own in asked], cases(asked)
    answers = Answers(model, prompts, given)
    bare = Answers(model, ["Q: ?\nA:"], [[answer for own in given for answer in (own[TRUE], own[FALSE])]])
    z, alone = answers.read(range(4)), bare.read(range(2 * len(asked)))[0].unflatten(0, (-1, 2))
    truth, k = z[:, [TRUE, FALSE]], max(1, round(share * z.shape[2]))
    tasks = {
        "truth": truth,
        "shuffled": shuffled(truth, seed),
        "alone": alone,
        "alone_shuffled": shuffled(alone, seed),
        "fit": z[:, [TRUE, FOREIGN]],
        "capitals": z[:, [CAPITALS, TRUE]],
    }
    part = dealt(topics, PARTS, seed)
    probed = {name: probe(own, part, topics, k, seed) for name, own in tasks.items()}
    chosen = zip(probed["truth"].chosen, probed["capitals"].chosen, strict=True)
    found = [shifts(z[part != own], *both, PARTS * seed + own) for own, both in enumerate(chosen)]
    true, false = answers.log_p(range(len(asked)), (TRUE, FALSE)).T
    return Heads(probed, part, true - false, told_by_words(asked, part), found)


@dataclass(frozen=True)
class Part:
    """Curves of all shifts on the questions of one part of the topics that were asked, at these places."""

    places: list[int]
    curves: dict[str, Curve]


@dataclass(frozen=True)
class Setting:
    """How shifts are tried: plain text [texts, T], levels of KL, most questions of a topic, the seed of the draw."""

    tokens: Tensor
    levels: Sequence[float]
    most: int
    seed: int


def push(model: Model, asked: Sequence[Question], heads: Heads, own: int, setting: Setting) -> Part:
    """Shift heads in all ways while questions on topics of one part are answered."""
    places = drawn([question.topic for question in asked], heads.part == own, setting.most, setting.seed)
    prompts, given = cases(asked)
    answers = Answers(model, [prompts[place] for place in places], [given[place] for place in places])
    plain, shown = Plain(model, setting.tokens), {which: answers.log_p(range(len(places)), which) for which in PAIRS}
    found = {}
    for name, shift in heads.shifts[own].items():
        which = PAIRS[name in OF_CAPITALS]
        found[name] = curve(answers, plain, shift, which, shown[which], setting.levels)
    return Part(places, found)


def drawn(topics: Sequence[str], there: Tensor, most: int, seed: int) -> list[int]:
    """Places of at most so many questions of each topic, of those that are there [N]."""
    random, found = Random(seed), list[int]()
    for topic in dict.fromkeys(topics):
        own = [place for place, name in enumerate(topics) if name == topic and there[place]]
        found += sorted(random.sample(own, min(most, len(own))))
    return found


def curve(
    answers: Answers, plain: Plain, shift: Tensor, which: Sequence[int], before: Tensor, levels: Sequence[float]
) -> Curve:
    """A shift [M, h] in strengths that bring KL to about these levels: a first try, from which it grows as the square.

    before [n, 2]: log-probabilities of the two answers without it.
    """
    first = plain.effects([edits(plain.model, shift, FIRST)], 3)[0, 0].mean().item()
    changed = [edits(plain.model, shift, FIRST * (level / first) ** 0.5) for level in sorted(levels)]
    effects = torch.cat([torch.zeros(1, 2, len(plain.tokens)), plain.effects(changed)])
    places = range(len(before))
    log_p = torch.stack([before, *(answers.log_p(places, which, some) for some in changed)])
    return Curve(effects[:, 0], effects[:, 1], log_p[..., 0] - log_p[..., 1])


def first_tokens(model: Model, excerpts: Sequence[Excerpt], texts: int, tokens: int, seed: int) -> Tensor:
    """The first tokens of so many excerpts in random order, [texts, tokens]; those that are too short are left out."""
    some = Random(seed).sample(list(excerpts), len(excerpts))
    found = (sequences(model, [excerpt.text])[:1, :tokens] for excerpt in some)
    return torch.cat(list(islice(filter(len, found), texts)))


# What was found, topic by topic


def by_topic(values: Tensor, topics: Sequence[str]) -> list[float]:
    """The mean of values [n] in each topic, NaNs left out."""
    names = list(dict.fromkeys(topics))
    return [nan_mean([v for v, own in zip(values.tolist(), topics, strict=True) if own == name]) for name in names]


def probe_metrics(asked: Sequence[Question], heads: Heads) -> list[Metric]:
    """How often the chosen heads' probes are right, by task, and beside it the words alone and the model itself."""
    topics, probed, part = [own.topic for own in asked], heads.probed, heads.part
    kinds = torch.tensor([own.kind == "fact" for own in asked])
    accuracy = {task: own.of_chosen(own.accuracy, part) for task, own in probed.items()}
    ranked = {task: own.of_chosen(own.ranked, part) for task, own in probed.items()}
    wrong, truth = heads.preference < 0, probed["truth"]
    values = {
        "found": accuracy["truth"],
        "found_shuffled": accuracy["shuffled"],
        "ranked": ranked["truth"],
        "best": truth.accuracy.gather(1, truth.chosen[part][:, :1])[:, 0],
        "found_fact": only(accuracy["truth"], kinds),
        "found_misconception": only(accuracy["truth"], ~kinds),
        "wrong": only(accuracy["truth"], wrong),
        "wrong_shuffled": only(accuracy["shuffled"], wrong),
        "wrong_ranked": only(ranked["truth"], wrong),
        "gain": accuracy["truth"] - accuracy["alone"],
        "gain_shuffled": accuracy["shuffled"] - accuracy["alone_shuffled"],
        "gain_ranked": ranked["truth"] - ranked["alone"],
        "alone": accuracy["alone"],
        "fit": accuracy["fit"],
        "words": heads.words,
        "known_fact": only((heads.preference > 0).float(), kinds),
        "known_misconception": only((heads.preference > 0).float(), ~kinds),
    }
    return [topics_mean(name, own, topics, part) for name, own in values.items()]


def only(values: Tensor, there: Tensor) -> Tensor:
    """Values [n], NaN where they do not count."""
    return torch.where(there, values, torch.nan)


def topics_mean(name: str, values: Tensor, topics: Sequence[str], part: Tensor) -> Metric:
    """The mean over topics of values [n]; beside it that of each of the parts [n] that were held out in turn."""
    return mean_of(name, by_topic(values, topics), [nan_mean(values[part == own].tolist()) for own in range(PARTS)])


SCORES: Mapping[str, Callable[[Tensor], Tensor]] = {  # of preferences: log-odds, share of the probability, right or not
    "nats": torch.clone,
    "share": torch.sigmoid,
    "choice": lambda preference: (preference > 0).float(),
}
COMPARED = {  # metric: the score, the shift, and the shifts whose mean it is compared with
    "over_directions": ("nats", "truthful", ("random", "opposite")),
    "over_directions_again": ("nats", "random", ("opposite",)),
    "over_directions_share": ("share", "truthful", ("random", "opposite")),
    "over_heads": ("nats", "truthful", ("heads", "heads_again")),
    "over_heads_again": ("nats", "heads", ("heads_again",)),
    "over_heads_share": ("share", "truthful", ("heads", "heads_again")),
    "over_reverse": ("nats", "truthful", ("reverse",)),
    "over_reverse_again": ("nats", "random", ("opposite",)),
    "over_reverse_share": ("share", "truthful", ("reverse",)),
    "capitals": ("nats", "capitals", ("plain",)),
    "choice": ("choice", "truthful", ()),
    "choice_random": ("choice", "random", ()),
}


def gained(parts: Sequence[Part], score: str, shift: str, kl: float = KL) -> Tensor:
    """By how much a shift raises a score of the questions that were asked, part after part, at one KL, [n]."""
    return torch.cat([own.at(SCORES[score](own.preference), kl) for own in (part.curves[shift] for part in parts)])


def shift_metrics(asked: Sequence[Question], parts: Sequence[Part]) -> list[Metric]:
    """What shifts gain at one KL, topic by topic, and what they cost on plain text, text by text."""
    topics = [asked[place].topic for part in parts for place in part.places]
    part = torch.tensor([number for number, own in enumerate(parts) for _ in own.places])
    found = []
    for name, (score, shift, others) in COMPARED.items():
        values = gained(parts, score, shift)
        if others:
            values = values - torch.stack([gained(parts, score, other) for other in others]).mean(0)
        found.append(topics_mean(name, values, topics, part))
    return [*found, *costs(parts)]


def costs(parts: Sequence[Part]) -> list[Metric]:
    """Loss added at one KL by a few shifts, and by the strongest shift to the truth more than by the weakest."""
    curves = {name: [part.curves[name] for part in parts] for name in ("truthful", "heads", "random")}
    added = {f"cost_{name}": [own.at(own.loss, KL) for own in curves[name]] for name in curves}
    added["cost"] = [own.loss[-1] - own.loss[1] for own in curves["truthful"]]
    return [mean_of(name, torch.stack(own).mean(0).tolist()) for name, own in added.items()]


# What is shown


def draw(heads: Heads, asked: Sequence[Question], parts: Sequence[Part]) -> plt.Figure:
    """Probes of all heads, best first, by task; and the preference that each shift gains by KL."""
    figure, (left, beside) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for task in ("truth", "shuffled", "alone", "fit"):
        left.plot(heads.probed[task].accuracy.mean(0).sort(descending=True).values, label=TASKS[task])
    left.axhline(0.5, color="0.6", lw=0.8, zorder=0)
    left.set(xlabel="heads, best first", title="Answers told right by a head's probe, topics held out")
    for series in curves(asked, parts)["series"]:
        if series["group"] == PREFERENCE:
            known = [(kl, value) for kl, value in zip(AT, series["values"], strict=True) if value is not None]
            beside.plot(*zip(*known, strict=True), "o-", ms=3, label=series["name"])
    beside.axhline(0, color="0.6", lw=0.8, zorder=0)
    beside.set(xlabel="KL on plain text, nats a token", title="Preference for true answers gained, nats")
    for axes in (left, beside):
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure


def curves(asked: Sequence[Question], parts: Sequence[Part]) -> dict[str, Any]:
    """The explorer's data: preference gained and loss added by KL, for each shift between true and false answers."""
    topics = [asked[place].topic for part in parts for place in part.places]
    series = []
    for name in (name for name in SHIFTS if name not in OF_CAPITALS):
        gains = [by_topic(gained(parts, "nats", name, kl), topics) for kl in AT]
        own = [part.curves[name] for part in parts]
        added = [torch.stack([one.at(one.loss, kl) for one in own]).mean(0).tolist() for kl in AT]
        for group, values in ((PREFERENCE, gains), (LOSS, added)):
            series.append({"name": SHIFTS[name], "group": group, **with_ends(values)})
    title, about = "Pushing heads towards the truth", "Gain and cost of a push, by how far it moves plain text."
    x = {"title": "KL on plain text, nats a token", "values": list(AT)}
    return {"title": title, "about": about, "x": x, "y": {"title": "nats"}, "series": series}


def with_ends(values: Sequence[list[float]]) -> dict[str, list[float | None]]:
    """The mean of the units at each place, and its interval; None where not all were measured."""
    rows = [(nan_mean(own), *mean_interval(own)) if not any(map(isnan, own)) else (None,) * 3 for own in values]
    named = zip(("values", "low", "high"), zip(*rows, strict=True), strict=True)
    return {name: [None if value is None else round(value, 4) for value in own] for name, own in named}


def grid(model: Model, heads: Heads) -> dict[str, Any]:
    """The other explorer's data: how well each head's probe does, task by task."""
    shape = (model.cfg.n_layers, model.cfg.n_heads)
    shown = {task: own.accuracy.mean(0).view(shape).round(decimals=4).tolist() for task, own in heads.probed.items()}
    return {
        "title": "What each head knows",
        "about": "How often a probe on a head's output is right about an answer, on topics that it was not fitted to.",
        "rows": {"title": "layer", "names": list(range(shape[0]))},
        "columns": {"title": "head", "names": list(range(shape[1]))},
        "cell": {"one": "a head", "many": "heads"},
        "item": {"one": "a task", "many": "tasks"},
        "measures": [{"name": "accuracy", "title": "answers told right", "short": "right"}],
        "items": [{"name": task, "title": TASKS[task], "values": {"accuracy": own}} for task, own in shown.items()],
    }
