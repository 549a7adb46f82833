"""Where a small network keeps its facts, and edits of one fact at a time. (Sen Sharma, Atkinson and Bau 2024)

Tracing: a prompt about a subject is run, and the same prompt about another one; then the latter again with the state of
one token behind one block taken from the former. With p the probability of the first subject's object,

    recovered = (p[restored] - p[corrupted]) / (p[clean] - p[corrupted]).

A rank-one edit (ROME, Meng and others 2022): a matrix W reads k at the subject's last name. A value v = W k + delta is
sought with which the network says the new object, and written with W' = W + delta a^T, a = C^-1 k / (k^T C^-1 k), so
that W' k = v while other reads change as little as their second moment C = E[k k^T] lets them.

A cut: from a block on, what a token passes to later ones is stopped. In Mamba the mean stands where its convolution and
state read the token (W_a x); in the transformer nothing attends to it.

Shapes: n facts, T positions, B blocks, c contexts. Positions stand for roles (`world.ROLES`), the same in all prompts.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, one_hot

from reproductions.common.metrics import Metric, mean_of
from reproductions.common.state_space import Stack, Tap, adding, putting, rank_one
from reproductions.common.stats import pearson
from reproductions.mamba_rome.world import FIRST, LAST, ROLES, WAYS, World, answer_logits, right, taught

SITES = {  # what is traced, and what it is called
    "mamba": {"resid": "state", "out": "W_o", "ssm": "state-space path", "gate": "gate"},
    "transformer": {"resid": "state", "out": "MLP", "attn": "attention"},
}
NAME, END = len(ROLES) + LAST, len(ROLES) - 1  # where the subject's last name and the last token stand in maps
CONTEXTS, STEPS, RATE, CLAMP, RIDGE = 2, 20, 0.3, 3.0, 1e-3  # of edits; RIDGE is a share of C's mean diagonal
READ = 400  # prompts whose reads C is the second moment of
NEARBY = 4  # neighbours, and namesakes, that each edit is examined on
EXAMS = ("rewrite", "paraphrase", "neighbour", "namesake")
NOISE = 3.0  # standard deviations of embeddings, for the other way to corrupt


@dataclass(frozen=True)
class Questions:
    """Facts of different subjects that a network knows [n, 2], and prompts [n, T] that differ in the subject alone.

    corrupted and stranger: two subjects that share neither name nor object with the fact's, or with each other.
    """

    facts: Tensor
    answers: Tensor
    clean: Tensor
    corrupted: Tensor
    stranger: Tensor


def questions(world: World, model: Stack, n: int, seed: int) -> Questions:
    """Random facts of n subjects, asked in the first way behind one filler."""
    drawn, facts = Generator().manual_seed(seed), world.facts()
    known = facts[right(world, model, facts, 0)]
    known = known[torch.randperm(len(known), generator=drawn)]
    firsts = {int(subject): place for place, subject in reversed(list(enumerate(known[:, 0])))}
    facts = known[sorted(firsts.values())[:n]]
    strangers = torch.stack([two_strangers(world, fact, drawn) for fact in facts])
    about = [torch.stack([who, facts[:, 1]], 1) for who in (facts[:, 0], *strangers.unbind(1))]
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
def traced(model: Stack, asked: Questions, site: str, donors: Tensor, start: Tensor) -> Tensor:
    """What comes back when a site's states of the donors' prompts are put into runs from `start`, [B, T + 1].

    One token at a time; in the last column all of them at once, which must bring back everything.
    """
    n, positions = donors.shape
    given = model.seen(donors, [f"{block}.{site}" for block in range(len(model.blocks))])
    where = torch.cat([torch.eye(positions), torch.ones(1, positions)]).bool().repeat_interleave(n, 0)
    before, answers, rows = model.streams(start), asked.answers.repeat(positions + 1), []
    high = probability(answer_logits(model, asked.clean), asked.answers)
    low = probability(model.read(before[-1][:, -1]), asked.answers)
    for block, h in enumerate(before[:-1]):
        tap = putting(given[f"{block}.{site}"][0].repeat(positions + 1, 1, 1), where)
        after = model.run(h.repeat(positions + 1, 1, 1), block, {f"{block}.{site}": tap})[:, -1]
        restored = probability(model.read(after), answers).view(positions + 1, n)
        rows.append((restored - low).sum(1) / (high - low).sum())
    return torch.stack(rows)


def noised(model: Stack, asked: Questions, seed: int) -> Tensor:
    """What the first block reads [n, T, d] with noise on both names' embeddings: the other way to corrupt."""
    start, drawn = model.start(asked.clean), Generator().manual_seed(seed)
    noise = NOISE * model.embed.weight.std() * torch.randn(len(start), 2, start.shape[-1], generator=drawn)
    return torch.cat([start[:, :FIRST], start[:, FIRST : LAST + 1] + noise, start[:, LAST + 1 :]], 1)


def maps(model: Stack, asked: Questions, sites: Sequence[str], seed: int) -> dict[str, Tensor]:
    """All tracing maps [B, T + 1]: states restored, a stranger's put there, and noise for the other way to corrupt."""
    other = model.start(asked.corrupted)
    found = {site: traced(model, asked, site, asked.clean, other) for site in sites}
    found |= {f"{site} stranger": traced(model, asked, site, asked.stranger, other) for site in sites}
    return found | {"resid noise": traced(model, asked, "resid", asked.clean, noised(model, asked, seed))}


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

    Also the logits [n * c, words] with it. Adam on delta in units of |v0| / sqrt(written), v0 = `value` [n, written];
    |delta| stays below CLAMP |v0|.
    """
    block, contexts, width = int(site.partition(".")[0]), len(tokens) // len(new), value.shape[-1]
    before, answers = model.streams(model.start(tokens))[block], new.repeat_interleave(contexts)
    there = one_hot(torch.tensor(tokens.shape[1] + LAST), tokens.shape[1])[:, None]
    size, step = value.norm(dim=-1, keepdim=True) / sqrt(width), torch.zeros_like(value, requires_grad=True)
    optimiser = torch.optim.Adam([step], lr=RATE)
    for _ in range(STEPS):
        put = there * (step * size).repeat_interleave(contexts, 0)[:, None]
        logits = model.read(model.run(before, block, {site: adding(put)})[:, -1])
        optimiser.zero_grad()
        cross_entropy(logits, answers, reduction="sum").backward()
        optimiser.step()
        with torch.no_grad():
            step.mul_((CLAMP * sqrt(width) / step.norm(dim=-1, keepdim=True).clamp(min=1e-9)).clamp(max=1))
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
    return torch.cat([row[picked(row > 0, 1, drawn)] for row in other])


def edited(world: World, model: Stack, facts: Tensor, site: str, seed: int) -> dict[str, Tensor]:
    """Marks [exam] of edits at a site, by what was edited.

    rome: as above; other: the next fact's key; plain: without C; none: nothing. value: delta is added at the last name
    itself, nothing is written; its one mark is of the prompts that it was sought for.
    """
    drawn = Generator().manual_seed(seed)
    new = new_objects(world, facts, drawn)
    tested = exams(world, facts, new, drawn)
    tokens = world.prompts(facts.repeat_interleave(CONTEXTS, 0), 0, 2, drawn)
    value, key = (some[:, LAST].unflatten(0, (-1, CONTEXTS)).mean(1) for some in model.seen(tokens, [site])[site])
    delta, logits = sought(model, tokens, site, value, new)
    new_p, old_p = (probability(logits, some.repeat_interleave(CONTEXTS)) for some in (new, world.answers(facts)))
    a = directions(key, second_moment(model, world, site, drawn))
    along = {"rome": a, "other": a.roll(1, 0), "plain": directions(key, torch.eye(key.shape[-1])), "none": 0 * a}
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

    recall: by what was asked, as the training went on. traced: maps [B, T + 1] by what was put where. edits: marks
    [B - 1, exam] by what was edited how; what the last block writes at a name, nothing brings to the last token.
    cuts: what is lost [B].
    """

    kind: str
    seed: int
    recall: dict[str, Tensor]
    traced: dict[str, Tensor]
    edits: dict[str, Tensor]
    cuts: dict[str, Tensor]

    @property
    def blocks(self) -> int:
        """B."""
        return len(self.traced["resid"])

    @property
    def late(self) -> list[int]:
        """The last third of the blocks but for the last, behind which the answer is there by construction."""
        return list(range(2 * self.blocks // 3, self.blocks - 1))

    @property
    def middle(self) -> slice:
        """From the second sixth of the blocks to the end of the second third."""
        return slice(self.blocks // 6, 2 * self.blocks // 3)

    def lead(self, blocks: slice, put: str = "resid") -> float:
        """What the last name's state brings back, less the most that another token's but the last does, in blocks."""
        found = self.traced[put][blocks]
        return float((found[:, NAME] - found[:, [*range(NAME), *range(NAME + 1, END)]].amax(1)).mean())

    def late_site(self, put: str = "resid") -> float:
        """Late blocks: what the last token brings back, less what the subject's last name does."""
        return float((self.traced[put][self.late, END] - self.traced[put][self.late, NAME]).mean())

    def output_first(self, put: str = "") -> float:
        """First two thirds, at the last name: what a block's output brings back, less the better of its two factors."""
        out, ssm, gate = (self.traced[site + put][: 2 * self.blocks // 3, NAME] for site in ("out", "ssm", "gate"))
        return float((out - torch.maximum(ssm, gate)).mean())

    def path_last(self, put: str = "") -> float:
        """Second half, at the last token: what the state-space path brings back, less what the gate does."""
        ssm, gate = (self.traced[site + put][self.blocks // 2 :, END] for site in ("ssm", "gate"))
        return float((ssm - gate).mean())

    @property
    def located(self) -> int:
        """The block behind which the last name's state brings back the most."""
        return int(self.traced["resid"][:-1, NAME].argmax())

    def mark(self, exam: str, what: str = "out rome") -> float:
        """An exam's mean over edits in the first half of the blocks."""
        return float(self.edits[what][: self.blocks // 2, EXAMS.index(exam)].mean())

    def cut_early(self, what: str = "subject") -> float:
        """What is lost by cuts from middle blocks on, less what is lost by a cut in the last block alone."""
        lost = self.cuts[what]
        return float(lost[self.blocks // 6 : self.blocks // 2 + 1].mean() - lost[-1])


def study(
    kind: str, seed: int, world: Sequence[int], size: Sequence[int], steps: int, facts: int, matrices: bool
) -> Study:
    """Teach a network a world of (subjects, relations, objects of each), and find out all that is asked of it.

    size: d and blocks. matrices: whether edits are tried at W_a and W_g too, and a second time at W_o.
    """
    made, edits = World.of(seed, *world), dict[str, Tensor]()
    model, recall = taught(kind, made, seed, size[0], size[1], steps)
    asked = questions(made, model, facts, seed)
    sites = {"out": ("out", seed)}
    if matrices and kind == "mamba":
        sites |= {"up": ("up", seed), "gate_up": ("gate_up", seed), "again": ("out", seed + 1000)}
    for name, (site, drawn) in sites.items():
        marks = [edited(made, model, asked.facts, f"{block}.{site}", drawn) for block in range(len(model.blocks) - 1)]
        edits |= {f"{name} {what}": torch.stack([some[what] for some in marks]) for what in marks[0]}
    cuts = {name: cut(model, asked, places, kind) for name, places in (("subject", (FIRST, LAST)), ("filler", (0,)))}
    return Study(kind, seed, recall, maps(model, asked, list(SITES[kind]), seed), edits, cuts)


def numbers(s: Study) -> dict[str, float]:
    """What is reported of one network, by the name of the metric."""
    found = {f"{name}_{s.kind}": float(values[-1]) for name, values in s.recall.items()}
    found[f"whole_{s.kind}"] = float(s.traced["resid"][s.blocks // 2, -1])
    for put in ("", "_stranger", "_noise"):
        states = "resid" + put.replace("_", " ")
        found |= {f"early_{s.kind}{put}": s.lead(s.middle, states), f"late_{s.kind}{put}": s.late_site(states)}
        found[f"first_{s.kind}{put}"] = s.lead(slice(1), states)
    for exam, what in product(EXAMS, ("rome", "other", "plain", "none")):
        found[f"{exam}_{s.kind}_{what}".removesuffix("_rome")] = s.mark(exam, f"out {what}")
    for what in ("rome", "other"):
        late = float(s.edits[f"out {what}"][s.late, 0].mean())
        found[f"fall_{s.kind}_{what}".removesuffix("_rome")] = s.mark("rewrite", f"out {what}") - late
    for number, exam in enumerate(EXAMS):
        marks = {what: s.edits[f"out {what}"][s.located, number].item() for what in ("rome", "other", "plain")}
        marks["own"] = -s.edits["out rome"][s.located, 0].item()
        found |= {f"{exam}_there_{s.kind}_{what}".removesuffix("_rome"): mark for what, mark in marks.items()}
    found[f"value_there_{s.kind}"] = float(s.edits["out value"][s.located, 0])
    found[f"value_{s.kind}"] = float(s.edits["out value"][: s.blocks // 2].mean())
    found |= {f"cut_{s.kind}": s.cut_early(), f"cut_{s.kind}_filler": s.cut_early("filler")}
    found |= {
        f"cut_{s.kind}_first": float(s.cuts["subject"][0]),
        f"there_{s.kind}": float(s.cuts["subject"][s.middle].mean()),
    }
    if s.kind == "mamba":
        found |= {"output": s.output_first(), "output_stranger": s.output_first(" stranger")}
        found |= {"path": s.path_last(), "path_stranger": s.path_last(" stranger")}
    if "up rome" in s.edits:
        others = {"up": "up rome", "gate_up": "gate_up rome", "again": "again rome", "other": "out other"}
        found |= {f"over_{name}": s.mark("paraphrase") - s.mark("paraphrase", what) for name, what in others.items()}
    return found


def likeness(mamba: Study, transformer: Study, *, turned: bool = False) -> float:
    """Pearson's r of two maps of states, without what is 0 or 1 by construction: the filler's row, the last block."""
    one, other = (some.traced["resid"][:-1, 1 : END + 1] for some in (mamba, transformer))
    return pearson(one.flatten(), (other.flip(0) if turned else other).flatten())


def metrics(studies: Sequence[Study]) -> list[Metric]:
    """Means over networks, each of which was taught a world of its own."""
    kinds = [[some for some in studies if some.kind == kind] for kind in SITES]
    rows = [[numbers(some) for some in own] for own in kinds]
    found = [mean_of(name, [row[name] for row in own]) for own in rows for name in own[0]]
    for name, turned in (("alike", False), ("alike_turned", True)):
        pairs = zip(*kinds, strict=True)
        found.append(mean_of(name, [likeness(*pair, turned=turned) for pair in pairs]))
    return found


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
            panel.set(title=f"{kind}: {title}", xlabel="block", xticks=range(found.shape[1]))
            panel.set(yticks=range(len(ROLES)), yticklabels=ROLES)
    panels[1, 3].axis("off")
    figure.colorbar(image, ax=panels, label="recovered", shrink=0.6)
    return figure


def draw_edits(studies: Sequence[Study]) -> plt.Figure:
    """Marks of edits by block, for either kind of network, and what cuts from a block on cost."""
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for place, (kind, matrix) in enumerate((("mamba", "W_o"), ("transformer", "the MLP's second matrix"))):
        marks = mean_over(studies, kind, "edits", "out rome")
        for exam, values in zip(EXAMS, marks.T, strict=True):
            panels[place].plot(values, marker="o", label=exam)
        panels[place].set(title=f"{kind}: edits of {matrix}", xlabel="block", ylabel="P(wanted) - P(unwanted)")
        panels[place].set(ylim=(-1.05, 1.05), xticks=range(len(marks)))
        for what, style in (("subject", "-"), ("filler", ":")):
            lost = mean_over(studies, kind, "cuts", what)
            panels[2].plot(lost, style, color=f"C{place}", label=f"{kind}, {what}")
    panels[2].set(title="what tokens pass on, cut off", xlabel="from this block on", ylabel="share of P lost")
    for panel in panels[1:]:
        panel.legend(fontsize=8)
    return figure


def grid(studies: Sequence[Study]) -> dict[str, Any]:
    """The explorer's data: tokens by blocks, for each site of both kinds; a stranger's states stand beside."""
    items = []
    for kind, (site, title) in ((kind, pair) for kind, sites in SITES.items() for pair in sites.items()):
        shown = {"restored": site, "stranger": f"{site} stranger"}
        values = {
            name: mean_over(studies, kind, "traced", what).round(decimals=3).tolist() for name, what in shown.items()
        }
        items.append({"name": f"{kind}-{site}", "title": f"{kind}: {title}", "group": kind, "values": values})
    return {
        "title": "Which state brings the answer back",
        "about": "With another subject's name the right object loses its probability. This is the share that comes "
        "back when the state of one token, behind or within one block, is taken from the run with the right name.",
        "rows": {"title": "token", "names": list(ROLES)},
        "columns": {"title": "block", "names": list(range(studies[0].blocks))},
        "cell": {"one": "state", "many": "states"},
        "item": {"one": "site", "many": "sites"},
        "measures": [
            {"name": "restored", "title": "with the right subject's state restored", "short": "restored"},
            {"name": "stranger", "title": "with the state of a third subject put there", "short": "stranger"},
        ],
        "items": items,
    }
