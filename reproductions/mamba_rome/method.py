"""Where a small network keeps its facts, and edits of one fact at a time. (Sen Sharma, Atkinson and Bau 2024)

A prompt is: fillers, the subject's two names, three words that ask for a relation in one of several ways, as in
`uh er | Ada Byron | tell the-town-of now ->`. Subjects share first names, and share last names, so that neither name
alone tells who is meant. A fifth of the subjects are never asked in the last way while a network learns.

Tracing: a prompt about a subject is run, and the same prompt about another one; then the latter again with the state of
one token behind one block taken from the former. With p the probability of the first subject's object,

    recovered = (p[restored] - p[corrupted]) / (p[clean] - p[corrupted]).

A rank-one edit (ROME, Meng and others 2022): a matrix W reads k at the subject's last name. A value v = W k + delta is
sought with which the network says the new object, and written with W' = W + delta a^T, a = C^-1 k / (k^T C^-1 k), so
that W' k = v while other reads change as little as their second moment C = E[k k^T] lets them.

A cut: from a block on, what a token passes to later ones is stopped. In Mamba the mean stands where its convolution and
state read the token (W_a x); in the transformer nothing attends to it.

Shapes: n facts, T positions, B blocks, c contexts. Positions have the ROLES, the same in all prompts.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import AdamW, Optimizer

from reproductions.common.metrics import Metric, mean_of
from reproductions.common.state_space import MambaBlock, Shape, Stack, Tap, TransformerBlock, adding, putting, rank_one
from reproductions.common.stats import pearson
from reproductions.common.training import Recipe, seeded, train

TURNED = 0.5  # of the batches have the names behind the asking words
FILLERS, NAMESAKES, WAYS, ASKING = 10, 4, 3, 3  # filler words; subjects of a first name; ways to ask, of so many words
FIRST, LAST = -ASKING - 2, -ASKING - 1  # where the subject's names stand, from the end
ROLES = ("before the subject", "first name", "last name", "1st word behind", "2nd word behind", "last token")
KINDS: Mapping[str, type[MambaBlock] | type[TransformerBlock]] = {"mamba": MambaBlock, "transformer": TransformerBlock}
LEARN, WARM, NORM, BATCH, SPREAD = 5e-3, 0.3, 1.0, 64, 0.15  # of the training; SPREAD is of embeddings at the start
SITES = {  # what is traced, and what it is called
    "mamba": {"resid": "state", "out": "W_o", "ssm": "state-space path", "gate": "gate"},
    "transformer": {"resid": "state", "out": "MLP", "attn": "attention"},
}
NAME, END = len(ROLES) + LAST, len(ROLES) - 1  # where the subject's last name and the last token stand in maps
CONTEXTS, STEPS, RATE, CLAMP, RIDGE = 2, 20, 0.3, 3.0, 1e-3  # of edits; RIDGE is a share of C's mean diagonal
READ = 400  # prompts whose reads C is the second moment of
NEARBY = 4  # neighbours, and namesakes, that each edit is examined on
EXAMS = ("rewrite", "paraphrase", "neighbour", "namesake")


@dataclass(frozen=True)
class World:
    """names: tokens [S, 2]. objects: a token for each subject and relation [S, R]. held: who is never asked in the
    last way [S]. asking: the tokens of each way to ask for each relation [WAYS, R, ASKING]. words: how many there are.
    """

    names: Tensor
    objects: Tensor
    held: Tensor
    asking: Tensor
    words: int

    @classmethod
    def of(cls, seed: int, subjects: int, relations: int, kinds: int) -> World:
        """A world of so many subjects and relations; each relation has so many objects, shared out evenly."""
        drawn = Generator().manual_seed(seed)
        firsts = subjects // NAMESAKES
        index = torch.arange(subjects)
        shuffled = torch.randperm(firsts, generator=drawn)
        names = torch.stack([index % firsts, firsts + shuffled[(index + index // firsts) % firsts]], 1) + FILLERS
        first_word = FILLERS + 2 * firsts
        way, relation = torch.arange(WAYS)[:, None] * (relations + 2), torch.arange(relations)
        asking = torch.stack([way + 0 * relation, way + 2 + relation, way + 1 + 0 * relation], -1) + first_word
        first_object = first_word + WAYS * (relations + 2)
        dealt = [torch.randperm(subjects, generator=drawn) % kinds for _ in range(relations)]
        objects = first_object + relation * kinds + torch.stack(dealt, 1)
        held = torch.zeros(subjects, dtype=torch.bool)
        held[torch.randperm(subjects, generator=drawn)[: subjects // 5]] = True
        return cls(names, objects, held, asking, first_object + relations * kinds)

    def prompts(self, facts: Tensor, way: Tensor | int, fillers: int, drawn: Generator, turned: bool = False) -> Tensor:
        """Tokens [n, fillers + 2 + ASKING] that ask for facts [n, 2] (subject, relation), fillers drawn at random.

        turned: with the names behind the asking words.
        """
        some = torch.randint(FILLERS, (len(facts), fillers), generator=drawn)
        parts = self.names[facts[:, 0]], self.asking[way, facts[:, 1]]
        return torch.cat([some, *(reversed(parts) if turned else parts)], 1)

    def answers(self, facts: Tensor) -> Tensor:
        """The object's token of each fact [n]."""
        return self.objects[facts[:, 0], facts[:, 1]]

    def facts(self, held: bool | None = None) -> Tensor:
        """All facts [n, 2], or only those of subjects that are held (or not held)."""
        among = torch.ones_like(self.held) if held is None else self.held == held
        return torch.cartesian_prod(among.nonzero()[:, 0], torch.arange(self.objects.shape[1]))


def lesson(world: World, model: Stack, drawn: Generator) -> Tensor:
    """The loss on a batch of random facts, asked in a random way behind 0 to 2 fillers: cross-entropy of the object.

    Every other batch or so has the names last: what is known of a subject must then be there at its last name.
    """
    facts = world.facts()[torch.randint(world.objects.numel(), (BATCH,), generator=drawn)]
    ways = torch.randint(WAYS, (BATCH,), generator=drawn)
    ways = torch.where(world.held[facts[:, 0]] & (ways == WAYS - 1), ways - 1, ways)
    fillers, turned = torch.randint(3, (), generator=drawn), torch.rand((), generator=drawn) < TURNED
    tokens = world.prompts(facts, ways, int(fillers), drawn, bool(turned))
    return cross_entropy(answer_logits(model, tokens), world.answers(facts))


def answer_logits(model: Stack, tokens: Tensor, taps: Mapping[str, Tap] | None = None) -> Tensor:
    """Logits [n, words] behind prompts."""
    return model.read(model.run(model.start(tokens), 0, taps)[:, -1])


def recall(world: World, model: Stack) -> dict[str, float]:
    """The share of facts that a network gets right: asked in a way it was taught, and in one that was held out."""
    asked = {"taught": (world.facts(), 0), "held_out": (world.facts(held=True), WAYS - 1)}
    return {name: right(world, model, facts, way).float().mean().item() for name, (facts, way) in asked.items()}


@torch.no_grad()
def right(world: World, model: Stack, facts: Tensor, way: int) -> Tensor:
    """Which facts a network gets right [n], asked behind one filler."""
    tokens = world.prompts(facts, way, 1, Generator().manual_seed(0))
    return answer_logits(model, tokens).argmax(-1) == world.answers(facts)


def one_cycle(steps: int, optimiser: Optimizer, step: int) -> None:
    """Clip gradients, and set the rate: up to LEARN in the first WARM of the steps, then down along half a cosine."""
    torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], NORM)
    up, down = step / (WARM * steps), (step - WARM * steps) / ((1 - WARM) * steps)
    optimiser.param_groups[0]["lr"] = LEARN * (up if up < 1 else (1 + math.cos(math.pi * down)) / 2)


def taught(kind: str, world: World, seed: int, d: int, blocks: int, steps: int) -> Stack:
    """A network that was taught a world; both kinds are of one size."""
    hidden = 2 * d if kind == "mamba" else 3 * d // 2
    model = seeded(seed, lambda: Stack(KINDS[kind], Shape(world.words, d, blocks, hidden), SPREAD))
    recipe = Recipe(steps, steps, partial(AdamW, lr=LEARN, weight_decay=0.01), partial(one_cycle, steps))
    train(f"{kind}_{seed}", model, partial(lesson, world), recipe, seed=seed)
    return model.requires_grad_(False)


@dataclass(frozen=True)
class Questions:
    """Facts of different subjects [n, 2], and prompts [n, T] that differ in the subject alone.

    corrupted and stranger: two subjects that share neither name nor object with the fact's, or with each other.
    """

    facts: Tensor
    answers: Tensor
    clean: Tensor
    corrupted: Tensor
    stranger: Tensor


def questions(world: World, model: Stack, n: int, seed: int) -> Questions:
    """A fact of each of n subjects, of those that a network knows if they are enough, in the first way to ask."""
    drawn = Generator().manual_seed(seed)
    who = torch.randperm(len(world.names), generator=drawn)
    facts = torch.stack([who, torch.randint(world.objects.shape[1], who.shape, generator=drawn)], 1)
    facts = facts[right(world, model, facts, 0).argsort(descending=True, stable=True)][:n]
    strangers = torch.stack([two_strangers(world, fact, drawn) for fact in facts])
    about = [torch.stack([subjects, facts[:, 1]], 1) for subjects in (facts[:, 0], *strangers.unbind(1))]
    prompts = (world.prompts(some, 0, 1, Generator().manual_seed(seed)) for some in about)
    return Questions(facts, world.answers(facts), *prompts)


def two_strangers(world: World, fact: Tensor, drawn: Generator) -> Tensor:
    """Two subjects [2] that share neither name nor object with the fact's subject, or with each other."""
    subjects, relation = [int(fact[0])], int(fact[1])
    for _ in range(2):
        names, objects = world.names[subjects], world.objects[subjects, relation]
        alike = (world.names[:, None] == names).any(-1) | (world.objects[:, None, relation] == objects)
        subjects.append(int(picked(~alike.any(-1), 1, drawn)))
    return torch.tensor(subjects[1:])


def picked(among: Tensor, n: int, drawn: Generator) -> Tensor:
    """n of the places where a mask is true; none twice while there are enough."""
    places = among.nonzero()[:, 0]
    return places[torch.randperm(len(places), generator=drawn)].repeat(n)[:n]


def probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Of tokens [...] under logits [..., words]."""
    return logits.softmax(-1).gather(-1, tokens[..., None])[..., 0]


@torch.no_grad()
def traced(model: Stack, asked: Questions, site: str, donors: Tensor) -> Tensor:
    """What comes back when a site's states of the donors' prompts are put into the corrupted ones, [B, T + 1].

    One token at a time; in the last column all of them at once.
    """
    n, positions = donors.shape
    given = model.seen(donors, [f"{block}.{site}" for block in range(len(model.blocks))])
    where = torch.cat([torch.eye(positions), torch.ones(1, positions)]).bool().repeat_interleave(n, 0)
    before, answers, rows = model.streams(model.start(asked.corrupted)), asked.answers.repeat(positions + 1), []
    high = probability(answer_logits(model, asked.clean), asked.answers)
    low = probability(model.read(before[-1][:, -1]), asked.answers)
    for block, h in enumerate(before[:-1]):
        tap = putting(given[f"{block}.{site}"][0].repeat(positions + 1, 1, 1), where)
        after = model.run(h.repeat(positions + 1, 1, 1), block, {f"{block}.{site}": tap})[:, -1]
        restored = probability(model.read(after), answers).view(positions + 1, n)
        rows.append((restored - low).sum(1) / (high - low).sum())
    return torch.stack(rows)


def second_moment(model: Stack, world: World, site: str, drawn: Generator) -> Tensor:
    """C [read, read]: of what a matrix reads at all tokens of random prompts, and a little on the diagonal."""
    facts = world.facts()[torch.randint(world.objects.numel(), (READ,), generator=drawn)]
    prompts = world.prompts(facts, torch.randint(WAYS, (READ,), generator=drawn), 2, drawn)
    read = model.seen(prompts, [site])[site][1].flatten(0, 1)
    moment = read.T @ read / len(read)
    return moment + RIDGE * moment.diagonal().mean() * torch.eye(len(moment))


def directions(keys: Tensor, moment: Tensor) -> Tensor:
    """a = C^-1 k / (k^T C^-1 k) for keys [n, read]."""
    solved = torch.linalg.solve(moment, keys.T).T
    return solved / (solved * keys).sum(-1, keepdim=True)


def sought(model: Stack, tokens: Tensor, site: str, value: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """delta [n, written] at the subject's last name with which prompts [n * c, T] are answered by objects `new` [n].

    Also the logits [n * c, words] before the last step. Adam on delta in units of |v0| / sqrt(written), with v0 =
    `value` [n, written]; |delta| stays below CLAMP |v0|.
    """
    block, contexts, width = int(site.partition(".")[0]), len(tokens) // len(new), value.shape[-1]
    before, answers = model.streams(model.start(tokens))[block], new.repeat_interleave(contexts)
    there = one_hot(torch.tensor(tokens.shape[1] + LAST), tokens.shape[1])[:, None]
    size, step = value.norm(dim=-1, keepdim=True) / math.sqrt(width), torch.zeros_like(value, requires_grad=True)
    optimiser = torch.optim.Adam([step], lr=RATE)
    for _ in range(STEPS):
        put = there * (step * size).repeat_interleave(contexts, 0)[:, None]
        logits = model.read(model.run(before, block, {site: adding(put)})[:, -1])
        optimiser.zero_grad()
        cross_entropy(logits, answers, reduction="sum").backward()
        optimiser.step()
        with torch.no_grad():
            step.mul_((CLAMP * math.sqrt(width) / step.norm(dim=-1, keepdim=True).clamp(min=1e-9)).clamp(max=1))
    return (step * size).detach(), logits.detach()


@dataclass(frozen=True)
class Exam:
    """Prompts [n, q, T] on which each edit is examined: P(wanted) - P(unwanted), objects' tokens [n, q]."""

    tokens: Tensor
    wanted: Tensor
    unwanted: Tensor

    @torch.no_grad()
    def marks(self, model: Stack, site: str, along: Tensor, delta: Tensor) -> float:
        """The mean over prompts and facts."""
        a, change = (some.repeat_interleave(self.tokens.shape[1], 0) for some in (along, delta))
        logits = answer_logits(model, self.tokens.flatten(0, 1), {site: rank_one(a, change)})
        logits = logits.view(*self.wanted.shape, -1)
        return float((probability(logits, self.wanted) - probability(logits, self.unwanted)).mean())


def exams(world: World, facts: Tensor, new: Tensor, drawn: Generator) -> list[Exam]:
    """One of each in EXAMS: the fact as it was edited, asked otherwise, and facts of two kinds of other subjects.

    Neighbours have the fact's object, and namesakes one of its subject's names; they should keep what they have.
    """
    found, old, relation = [], world.answers(facts)[:, None], facts[:, 1]
    for ways in ((0,), range(1, WAYS)):
        tokens = torch.stack([world.prompts(facts, way, 1, drawn) for way in ways], 1)
        found.append(Exam(tokens, new[:, None].expand(-1, len(ways)), old.expand(-1, len(ways))))
    objects = world.objects.T[relation]
    named = (world.names[facts[:, 0], None] == world.names).any(-1) & (objects != new[:, None])
    for among in (objects == old, named):
        among[torch.arange(len(facts)), facts[:, 0]] = False
        who = torch.stack([picked(row, NEARBY, drawn) for row in among])
        others = torch.stack([who, relation[:, None].expand_as(who)], -1).flatten(0, 1)
        tokens = world.prompts(others, 0, 1, drawn).view(*who.shape, -1)
        found.append(Exam(tokens, world.answers(others).view_as(who), new[:, None].expand_as(who)))
    return found


def new_objects(world: World, facts: Tensor, drawn: Generator) -> Tensor:
    """For each fact another object of its relation [n], at random."""
    kinds = world.objects.T[facts[:, 1]]
    other = [row[row != was].unique() for row, was in zip(kinds, world.answers(facts), strict=True)]
    return torch.stack([row[torch.randint(len(row), (), generator=drawn)] for row in other])


def edited(world: World, model: Stack, facts: Tensor, site: str, seed: int) -> dict[str, Tensor]:
    """Marks [exam] of edits at a site, by what was edited.

    rome: as above; other: written to the next fact's key; plain: without C. value: nothing is written, delta is added
    at the last name itself; its one mark is of the prompts that it was sought for.
    """
    drawn = Generator().manual_seed(seed)
    new = new_objects(world, facts, drawn)
    tested = exams(world, facts, new, drawn)
    tokens = world.prompts(facts.repeat_interleave(CONTEXTS, 0), 0, 2, drawn)
    value, key = (some[:, LAST].unflatten(0, (-1, CONTEXTS)).mean(1) for some in model.seen(tokens, [site])[site])
    delta, logits = sought(model, tokens, site, value, new)
    new_p, old_p = (probability(logits, some.repeat_interleave(CONTEXTS)) for some in (new, world.answers(facts)))
    a = directions(key, second_moment(model, world, site, drawn))
    along = {"rome": a, "other": a.roll(1, 0), "plain": directions(key, torch.eye(key.shape[-1]))}
    found = {name: [exam.marks(model, site, some, delta) for exam in tested] for name, some in along.items()}
    found["value"] = [float((new_p - old_p).mean())]
    return {name: torch.tensor(marks) for name, marks in found.items()}


@torch.no_grad()
def cut(model: Stack, asked: Questions, positions: Sequence[int], kind: str) -> Tensor:
    """The share of the object's probability that is lost [B] when tokens pass nothing on from a block on."""
    high = probability(answer_logits(model, asked.clean), asked.answers)
    where, blocks = torch.zeros_like(asked.clean, dtype=torch.bool), range(len(model.blocks))
    where[:, list(positions)] = True
    unheard = where[:, None, None] & ~torch.eye(where.shape[1], dtype=torch.bool)
    taps: list[dict[str, Tap]] = [{f"{b}.scores": lambda s, _: s.masked_fill(unheard, -torch.inf)} for b in blocks]
    if kind == "mamba":
        seen = model.seen(asked.clean, [f"{block}.up" for block in blocks])
        taps = [{site: putting(some.mean((0, 1)), where)} for site, (some, _) in seen.items()]
    cuts = [dict(ChainMap(*taps[block:])) for block in blocks]
    left = torch.stack([probability(answer_logits(model, asked.clean, some), asked.answers) for some in cuts])
    return 1 - left.sum(1) / high.sum()


@dataclass(frozen=True)
class Study:
    """What was found of one network.

    recall: of facts, by how they were asked. traced: maps [B, T + 1] by site, and with a stranger's states there.
    edits: marks [B - 1, exam] by matrix and what was written; from the last block nothing reaches the last token.
    cuts: what is lost [B], by whose tokens.
    """

    kind: str
    recall: Mapping[str, float]
    traced: dict[str, Tensor]
    edits: dict[str, Tensor]
    cuts: dict[str, Tensor]

    @property
    def parts(self) -> dict[str, slice]:
        """Blocks that claims speak of. Late ones are without the last, behind which the answer is at the last token."""
        blocks = len(self.traced["resid"])
        half, third = blocks // 2, 2 * blocks // 3
        parts = {"first": slice(1), "middle": slice(blocks // 6, third), "late": slice(third, blocks - 1)}
        return parts | {"first half": slice(half), "second half": slice(half, blocks), "two thirds": slice(third)}

    @property
    def located(self) -> int:
        """The block behind which the last name's state brings back the most."""
        return int(self.traced["resid"][:-1, NAME].argmax())

    def mark(self, blocks: str, exam: str, what: str) -> float:
        """The mean over edits in a part of the blocks."""
        return float(self.edits[what][self.parts[blocks], EXAMS.index(exam)].mean())


def study(
    kind: str, seed: int, world: Sequence[int], size: Sequence[int], steps: int, facts: int, matrices: bool
) -> Study:
    """Teach a network a world of (subjects, relations, objects of each), and find out all that is asked of it.

    size: d and blocks. matrices: whether edits are tried at W_a and W_g too, and a second time at W_o.
    """
    made, edits = World.of(seed, *world), dict[str, Tensor]()
    model = taught(kind, made, seed, size[0], size[1], steps)
    asked = questions(made, model, facts, seed)
    sites = {"out": ("out", seed)}
    if matrices and kind == "mamba":
        sites |= {"up": ("up", seed), "gate_up": ("gate_up", seed), "again": ("out", seed + 1000)}
    for name, (site, drawn) in sites.items():
        marks = [edited(made, model, asked.facts, f"{block}.{site}", drawn) for block in range(len(model.blocks) - 1)]
        edits |= {f"{name}_{what}": torch.stack([some[what] for some in marks]) for what in marks[0]}
    maps = {site: traced(model, asked, site, asked.clean) for site in SITES[kind]}
    maps |= {f"{site}_stranger": traced(model, asked, site, asked.stranger) for site in SITES[kind]}
    cuts = {name: cut(model, asked, places, kind) for name, places in (("subject", (FIRST, LAST)), ("filler", (0,)))}
    return Study(kind, recall(made, model), maps, edits, cuts)


Place = tuple[str, int]  # a site, and a token
ELSEWHERE = tuple(("resid", place) for place in range(END) if place != NAME)
COMPARED: Mapping[str, tuple[str, Place, Sequence[Place]]] = {  # metric: blocks; what is restored; and its rivals
    "first": ("first", ("resid", NAME), ELSEWHERE),
    "early": ("middle", ("resid", NAME), ELSEWHERE),
    "late": ("late", ("resid", END), [("resid", NAME)]),
    "output": ("two thirds", ("out", NAME), [("ssm", NAME), ("gate", NAME)]),
    "path": ("second half", ("ssm", END), [("gate", END)]),
}


def lead(s: Study, metric: str, donor: str = "") -> float:
    """What comes back with a state restored, less the most that one of its rivals brings back, mean over blocks."""
    part, own, rivals = COMPARED[metric]
    back, *others = (s.traced[site + donor][s.parts[part], place] for site, place in (own, *rivals))
    return float((back - torch.stack(others).amax(0)).mean())


def numbers(s: Study) -> dict[str, float]:
    """What is reported of one network, by the name of the metric."""
    compared = [name for name, (_, _, rivals) in COMPARED.items() if rivals[0][0] in SITES[s.kind]]
    traces = {name + donor: lead(s, name, donor) for name in compared for donor in ("", "_stranger")}
    subject, filler, middle = s.cuts["subject"], s.cuts["filler"], s.parts["middle"]
    cuts = {"all_cut": subject[0], "there": subject[middle].mean()}
    cuts |= {"cut": subject[middle].mean() - subject[-1], "cut_filler": filler[middle].mean() - filler[-1]}
    return {**s.recall, **traces, **{name: float(lost) for name, lost in cuts.items()}, **edit_numbers(s)}


def edit_numbers(s: Study) -> dict[str, float]:
    """What is reported of edits; the controls that are written otherwise have a name of their own at the end."""
    found = {"value": float(s.edits["out_value"][s.located, 0])}
    for suffix, what in (("", "out_rome"), ("_other", "out_other"), ("_plain", "out_plain")):
        found |= {exam + suffix: float(mark) for exam, mark in zip(EXAMS, s.edits[what][s.located], strict=True)}
        found[f"fall{suffix}"] = s.mark("first half", "rewrite", what) - s.mark("late", "rewrite", what)
    found |= {f"{exam}_own": -found["rewrite"] for exam in ("neighbour", "namesake")}
    if "up_rome" in s.edits:
        others = {"up": "up_rome", "gate_up": "gate_up_rome", "again": "again_rome", "other": "out_other"}
        own = s.mark("first half", "paraphrase", "out_rome")
        found |= {f"over_{name}": own - s.mark("first half", "paraphrase", what) for name, what in others.items()}
    return found


def likeness(mamba: Study, transformer: Study, *, turned: bool = False) -> float:
    """Pearson's r of two maps of states, without what is 0 or 1 by construction: the filler's row, the last block."""
    one, other = (some.traced["resid"][:-1, 1 : END + 1] for some in (mamba, transformer))
    return pearson(one.flatten(), (other.flip(0) if turned else other).flatten())


def metrics(studies: Sequence[Study]) -> list[Metric]:
    """Means over networks, each of which was taught a world of its own."""
    kinds = {kind: [some for some in studies if some.kind == kind] for kind in SITES}
    rows = {kind: [numbers(some) for some in own] for kind, own in kinds.items()}
    found = [mean_of(f"{kind}_{name}", [row[name] for row in own]) for kind, own in rows.items() for name in own[0]]
    pairs = list(zip(*kinds.values(), strict=True))
    found.append(mean_of("alike", [likeness(*pair) for pair in pairs]))
    return [*found, mean_of("alike_turned", [likeness(*pair, turned=True) for pair in pairs])]


def mean_over(studies: Sequence[Study], kind: str, found: str, what: str) -> Tensor:
    """The mean over a kind's networks of a map, of marks or of what a cut costs; maps with tokens down [T, B]."""
    mean = torch.stack([getattr(some, found)[what] for some in studies if some.kind == kind]).mean(0)
    return mean[:, :-1].T if found == "traced" else mean


def draw_traces(studies: Sequence[Study]) -> plt.Figure:
    """Tracing maps, a panel for each site: Mamba above, the transformer below."""
    figure, panels = plt.subplots(2, 4, figsize=(11, 5), sharey=True, layout="constrained")
    for row, (kind, sites) in zip(panels, SITES.items(), strict=True):
        for panel, (site, title) in zip(row, sites.items(), strict=False):
            found = mean_over(studies, kind, "traced", site)
            image = panel.imshow(found, vmin=0, vmax=1, cmap="Purples", aspect="auto")
            panel.set(title=f"{kind.title()}: {title}", xlabel="block", xticks=range(found.shape[1]))
            panel.set(yticks=range(len(ROLES)), yticklabels=ROLES)
    panels[1, 3].axis("off")
    figure.colorbar(image, ax=panels, label="recovered", shrink=0.6)
    return figure


def draw_edits(studies: Sequence[Study]) -> plt.Figure:
    """Marks of edits by block, for either kind of network, and what cuts from a block on cost."""
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for place, (kind, matrix) in enumerate((("mamba", "W_o"), ("transformer", "MLPs"))):
        marks = mean_over(studies, kind, "edits", "out_rome")
        for exam, values in zip(EXAMS, marks.T, strict=True):
            panels[place].plot(values, marker="o", label=exam)
        panels[place].set(title=f"{kind.title()}: edits of {matrix}", xlabel="block", ylabel="P(wanted) - P(unwanted)")
        panels[place].set(ylim=(-1.05, 1.05), xticks=range(len(marks)))
        for what, style in (("subject", "-"), ("filler", ":")):
            lost = mean_over(studies, kind, "cuts", what)
            panels[2].plot(lost, style, color=f"C{place}", label=f"{kind.title()}, {what}")
    panels[2].set(title="What tokens pass on, cut off", xlabel="from this block on", ylabel="share of P lost")
    for panel in panels[1:]:
        panel.legend(fontsize=8)
    return figure


def grid(studies: Sequence[Study]) -> dict[str, Any]:
    """The explorer's data: tokens by blocks, for each site of both kinds."""
    items = []
    for kind, (site, title) in ((kind, pair) for kind, sites in SITES.items() for pair in sites.items()):
        values = {"restored": mean_over(studies, kind, "traced", site).round(decimals=3).tolist()}
        items.append({"name": f"{kind}-{site}", "title": f"{kind.title()}: {title}", "group": kind, "values": values})
    return {
        "title": "Which state brings the answer back",
        "about": "With another subject's name the right object loses its probability. This is the share that comes "
        "back when the state of one token, behind or within one block, is taken from the run with the right name.",
        "rows": {"title": "token", "names": list(ROLES)},
        "columns": {"title": "block", "names": list(range(len(studies[0].traced["resid"])))},
        "cell": {"one": "state", "many": "states"},
        "item": {"one": "site", "many": "sites"},
        "measures": [{"name": "restored", "title": "with the right subject's state restored", "short": "restored"}],
        "items": items,
    }
