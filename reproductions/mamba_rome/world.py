"""A world of invented facts, and small networks that are taught it.

A prompt is: fillers, the subject's two names, three words that ask for a relation in one of several ways, as in
`uh er | Ada Byron | tell the-town-of now ->`. Subjects share first names, and share last names, so that neither name
alone tells who is meant. A fifth of the subjects are never asked in the last way while a network learns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer

from reproductions.common.state_space import MambaBlock, Shape, Stack, Tap, TransformerBlock
from reproductions.common.training import Recipe, seeded, train

TURNED = 0.5  # of the batches have the names behind the asking words
FILLERS, NAMESAKES, WAYS, ASKING = 10, 4, 3, 3  # filler words; subjects of a first name; ways to ask, of so many words
FIRST, LAST = -ASKING - 2, -ASKING - 1  # where the subject's names stand, from the end
ROLES = ("before the subject", "first name", "last name", "1st word behind", "2nd word behind", "last token")
KINDS: Mapping[str, type[MambaBlock] | type[TransformerBlock]] = {"mamba": MambaBlock, "transformer": TransformerBlock}
RATE, WARM, NORM, BATCH, SPREAD = 5e-3, 0.3, 1.0, 64, 0.15  # of the training; SPREAD is of embeddings at the start


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


def recall(world: World, model: Stack) -> Mapping[str, float]:
    """The share of facts that a network gets right: asked in a way it was taught, and in one that was held out."""
    asked = {"taught": (world.facts(), 0), "held_out": (world.facts(held=True), WAYS - 1)}
    return {name: right(world, model, facts, way).float().mean().item() for name, (facts, way) in asked.items()}


@torch.no_grad()
def right(world: World, model: Stack, facts: Tensor, way: int) -> Tensor:
    """Which facts a network gets right [n], asked behind one filler."""
    tokens = world.prompts(facts, way, 1, Generator().manual_seed(0))
    return answer_logits(model, tokens).argmax(-1) == world.answers(facts)


def one_cycle(steps: int, optimiser: Optimizer, step: int) -> None:
    """Clip gradients, and set the rate: up to RATE in the first WARM of the steps, then down along half a cosine."""
    torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], NORM)
    up, down = step / (WARM * steps), (step - WARM * steps) / ((1 - WARM) * steps)
    optimiser.param_groups[0]["lr"] = RATE * (up if up < 1 else (1 + math.cos(math.pi * down)) / 2)


def taught(kind: str, world: World, seed: int, d: int, blocks: int, steps: int) -> tuple[Stack, dict[str, Tensor]]:
    """A network that was taught a world, and its recall on the way, by name [T]; both kinds are of one size."""
    hidden = 2 * d if kind == "mamba" else 3 * d // 2
    model = seeded(seed, lambda: Stack(KINDS[kind], Shape(world.words, d, blocks, hidden), SPREAD))
    recipe = Recipe(steps, max(1, steps // 5), partial(AdamW, lr=RATE, weight_decay=0.01), partial(one_cycle, steps))
    curve = train(f"{kind}_{seed}", model, partial(lesson, world), recipe, seed=seed, measure=partial(recall, world))
    return model.requires_grad_(False), curve.measured
