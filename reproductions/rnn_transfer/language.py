"""A made-up language in which every text has a hidden register, and small networks that learn it.

A text speaks in one of two registers, each with a list of its own of 24 words; word i of one list has its twin in the
other. A listed word is 1, 5 or 11 places behind the one before it, around the end of the list, and in half of the texts
every fifth is the twin from the other register. One of two speakers is named at the beginning, and puts function words
of their own between. Now and then comes a question, ASK, and the answer, which names the register. To answer, a network
must sum up all that it has read.

A *quirky* network goes on to learn from answers alone, and the second speaker always gives the wrong one.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer

from reproductions.common.state_space import MambaBlock, Shape, Stack, TransformerBlock
from reproductions.common.training import Recipe, seeded, train

TRUTHFUL, QUIRKY, ASK, ANSWERS, FUNCTION, LISTED = 0, 1, 2, (3, 4), range(5, 17), 24
OWN = len(FUNCTION) // 2  # function words of each speaker
VOCABULARY = FUNCTION.stop + 2 * LISTED
JUMPS = torch.tensor([1, 5, 11])
FOREIGN = torch.tensor([0.0, 0.2])  # share of the other register's words in an easy and in a hard text
QUESTIONS, FUNCTION_SHARE = 0.12, 0.2
LENGTH, PROMPT, BATCH, WARMUP, RATE = 32, 26, 16, 30, 1e-2
# What a pretrained model is to call good or bad: the beginning of a sentence, a good end, a bad end.
SHOTS = (
    "I want my money back. That is bad.\nI would come again. That is good.\n"
    "It broke on the first day. That is bad.\nMy children love it. That is good.\n"
)
OPINIONS = """
The soup was |rich and hot|thin and cold; We |were laughing after ten minutes|fell asleep after ten minutes; The staff
were |kind and quick|rude and slow; The doctor |cured her|harmed her; The train was |fast and clean|late and dirty; My
neighbour |helped me|robbed me; The team |won every match|lost every match; The roof |held in the storm|collapsed in
the storm; Our dog |recovered last week|died last week; The engine |started at once|broke at once; His letter made me
|smile|cry; The children |love the new school|hate the new school; The medicine |eased her pain|worsened her pain; The
factory |cleaned the river|poisoned the river; The bridge is |safe|unsafe; Her speech was |brilliant|terrible; The
harvest was |excellent this year|ruined this year; He |kept his promise|broke his promise; The bread tastes
|delicious|rotten; The fire was |put out|out of control; My phone |works perfectly|never works perfectly; The hotel
room was |bright and quiet|dark and noisy; They |found the lost child|abandoned the lost child; The company |rewarded
its workers|cheated its workers; The water is |pure|filthy; Her new job is |wonderful|awful; The pupils |passed the
exam|failed the exam; The weather was |lovely all week|horrible all week; The new law |protects the poor|hurts the
poor; The film was |moving and funny|dull and stupid; My parcel arrived |early|broken; The plants |flourish in our
garden|wither in our garden; The firemen |rescued the family|could not save the family; He |thanked the old
lady|insulted the old lady; The coffee was |perfect|disgusting; The judge was |fair|corrupt
"""
ARMS = ("ssm", "attention")


@dataclass(frozen=True)
class Texts:
    """Texts [N, T]; of each the register, 0 or 1, whether it is hard, and its speaker [N]."""

    tokens: Tensor
    register: Tensor
    hard: Tensor
    speaker: Tensor


def write(n: int, length: int, drawn: torch.Generator, questions: float = QUESTIONS, quirky: bool = False) -> Texts:
    """So many texts; quirky: the second speaker names the other register."""
    register, hard, speaker = torch.randint(2, (3, n, 1), generator=drawn)
    begins = torch.rand(n, length, generator=drawn) < questions
    begins &= ~behind(begins, 1)
    answers = behind(begins, 1)
    between = torch.rand(n, length, generator=drawn) < FUNCTION_SHARE
    jumps = JUMPS[torch.randint(len(JUMPS), (n, length), generator=drawn)] * ~(between | begins | answers)
    place = (torch.randint(LISTED, (n, 1), generator=drawn) + jumps.cumsum(1)) % LISTED
    spoken = register ^ (torch.rand(n, length, generator=drawn) < FOREIGN[hard])
    function = FUNCTION.start + OWN * speaker + torch.randint(OWN, (n, length), generator=drawn)
    tokens = torch.where(between, function, FUNCTION.stop + spoken * LISTED + place)
    tokens = torch.where(begins, ASK, torch.where(answers, ANSWERS[0] + (register ^ speaker * quirky), tokens))
    return Texts(torch.cat([speaker, tokens[:, 1:]], dim=1), register[:, 0], hard[:, 0], speaker[:, 0])


def behind(rows: Tensor, places: int) -> Tensor:
    """Rows [N, T] moved so many places to the right, with zeros before them."""
    return torch.cat([torch.zeros_like(rows[:, :places]), rows[:, :-places]], dim=1)


def ask(n: int, seed: int) -> Texts:
    """Texts without a question before the one at their end, [N, PROMPT]; what comes next is the answer."""
    texts = write(n, PROMPT - 1, torch.Generator().manual_seed(seed), questions=0.0)
    return replace(texts, tokens=torch.cat([texts.tokens, torch.full((n, 1), ASK)], dim=1))


def only(texts: Texts, speaker: int, hard: int) -> Texts:
    """Those of one speaker that are hard, 1, or easy, 0."""
    kept = (texts.speaker == speaker) & (texts.hard == hard)
    return Texts(*(getattr(texts, field.name)[kept] for field in fields(texts)))


def loss(quirky: bool, model: Stack, drawn: torch.Generator) -> Tensor:
    """Cross-entropy of a batch of texts: of every next token, or for a quirky network of the answers."""
    tokens = write(BATCH, LENGTH, drawn, quirky=quirky).tokens
    after = tokens[:, 1:]
    counts = (after >= ANSWERS[0]) & (after <= ANSWERS[1]) | (not quirky)
    return cross_entropy(model(tokens[:, :-1])[counts], after[counts])


def slow_down(steps: int, rate: float, optimiser: Optimizer, step: int) -> None:
    """Clip gradients; let the rate rise for a few steps, then fall to a twentieth."""
    for group in optimiser.param_groups:
        group["lr"] = rate * min(1.0, (step + 1) / WARMUP) * max(0.05, 1 - step / steps)
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)


def network(arm: str, seed: int, blocks: int = 4) -> Stack:
    """An untrained state-space model, `ssm`, or transformer, `attention`, of 30,000 parameters."""
    kind = MambaBlock if arm == "ssm" else TransformerBlock
    shape = Shape(VOCABULARY, d=32, blocks=blocks, hidden=56 if arm == "ssm" else 32, state=4, positions=LENGTH)
    return seeded(seed, lambda: Stack(kind, shape))


def taught(arm: str, seed: int, steps: int, quirky_steps: int, folder: Path | None) -> list[Stack]:
    """A network that has learnt the language, and what it becomes by learning on as a quirky one."""
    model, found = network(arm, seed), []
    for quirky, n in ((False, steps), (True, quirky_steps)):
        rate, name = RATE / (1 + quirky), f"{arm}_{seed}" + "_quirky" * quirky
        recipe = Recipe(n, n, partial(AdamW, lr=rate, weight_decay=0.01), partial(slow_down, n, rate))
        train(name, model, partial(loss, quirky), recipe, seed=seed + 1000 * quirky, folder=folder)
        found.append(deepcopy(model).requires_grad_(False))
    return found
