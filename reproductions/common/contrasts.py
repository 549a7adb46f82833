"""One prompt with several contrasts to patch from, and what patching each head does to its answer.

"When Anna and Mark went to the park, Mark gave a book to" may be held against the same with another giver, or with
other names at the beginning. Shapes: T tokens, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import process_time

from torch import Tensor, cat

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.model import Model
from reproductions.common.patching import HEADS, Patching, head_nodes
from reproductions.common.prompt_pairs import GIVING, NAMES, PLACES, THINGS, Pair, PairError, Texts, paired

TRIES = 100  # draws for each prompt that is wanted
TIMED = 6  # heads that are patched one by one, to time it


@dataclass(frozen=True)
class Asked:
    """A prompt with its paraphrase [T]: pairs with three other givers, and one with other names at the beginning."""

    paraphrase: Tensor
    givers: Sequence[Pair]
    names: Pair


def asked(model: Model, n: int, seed: int = 0) -> list[Asked]:
    """So many prompts of which this model's tokenizer makes pairs.

    Raises:
        PairError: there are too few.
    """
    random, found = Random(seed), list[Asked]()
    for _ in range(TRIES * n):
        if len(found) < n and (one := _asked(model, random)):
            found.append(one)
    if len(found) < n:
        raise PairError(f"this model's tokenizer gives {len(found)} prompts with all contrasts, not {n}: ask for fewer")
    return found


def _asked(model: Model, random: Random) -> Asked | None:
    one, two, *others = random.sample(NAMES, 7)
    template, paraphrase = random.sample(GIVING, 2)
    said = {"one": one, "two": two, "giver": two, "place": random.choice(PLACES), "thing": random.choice(THINGS)}
    changes: list[Mapping[str, str]] = [{"giver": name} for name in others[:3]] + [{"one": others[3], "two": others[4]}]
    clean = template.format(**said)
    texts = [Texts(clean, template.format(**{**said, **change}), (one,), (two,)) for change in changes]
    made = [pair for text in texts if (pair := paired(model, text))]
    if len(made) < len(texts):
        return None
    return Asked(model.to_tokens(paraphrase.format(**said))[0].cpu(), made[:-1], made[-1])


def head_effects(model: Model, pair: Pair) -> Tensor:
    """How much of the logit difference goes where each head [L H] takes what it brings in the corrupted prompt."""
    run = Patching(model, pair.clean, pair.corrupted, [HEADS])
    nodes = [[node] for node in head_nodes(model)]
    states = cat([run.clean.states[-1][None, -1:], run.patched(run.clean, run.corrupted, nodes)])
    clean, *_ = found = logit_difference(run.logits(states), *(to.to(states.device) for to in (pair.right, pair.wrong)))
    return (clean - found[1:]).cpu()


def patching_seconds(model: Model, pair: Pair) -> list[float]:
    """Processor seconds of patching all heads, one by one (told from a few, spread evenly) and in one growing pass."""
    nodes = [[node] for node in head_nodes(model)]
    some, started = nodes[:: max(1, len(nodes) // TIMED)], process_time()
    run = Patching(model, pair.clean, pair.corrupted, [HEADS])
    ready = process_time()
    for node in some:
        run.patched(run.clean, run.corrupted, [node])
    single = process_time()
    run.patched(run.clean, run.corrupted, nodes)
    together = process_time() - single
    return [ready - started + (single - ready) / len(some) * len(nodes), ready - started + together]
