"""One prompt with several contrasts to patch from, and what patching each head does to its answer.

"When Anna and Mark went to the park, Mark gave a book to" may be held against the same with another giver, or with
other names at the beginning. Shapes: T tokens, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor, cat

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.model import Model
from reproductions.common.patching import HEADS, Node, Patching, head_nodes
from reproductions.common.patching_cost import timed
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
    changes: list[dict[str, str]] = [{"giver": name} for name in others[:3]] + [{"one": others[3], "two": others[4]}]
    clean = template.format(**said)
    texts = [Texts(clean, template.format(**{**said, **change}), (one,), (two,)) for change in changes]
    made = [pair for text in texts if (pair := paired(model, text))]
    if len(made) < len(texts):
        return None
    return Asked(model.to_tokens(paraphrase.format(**said))[0].cpu(), made[:-1], made[-1])


def head_effects(model: Model, pair: Pair) -> tuple[Tensor, float]:
    """How much of the logit difference goes where each head [L H] takes what it brings in the corrupted prompt, and the
    processor seconds of that: all heads are patched in one growing pass."""
    lost, seconds = timed(lambda: _lost(Patching(model, pair.clean, pair.corrupted, [HEADS]), pair, head_nodes(model)))
    return lost.cpu(), seconds


def loop_seconds(model: Model, pair: Pair) -> float:
    """Processor seconds of patching all heads one by one, told from a few, spread evenly."""
    nodes = head_nodes(model)
    some = nodes[:: max(1, len(nodes) // TIMED)]
    run, ready = timed(lambda: Patching(model, pair.clean, pair.corrupted, [HEADS]))
    _, single = timed(lambda: [_lost(run, pair, [node]) for node in some])
    return ready + single / len(some) * len(nodes)


def _lost(run: Patching, pair: Pair, nodes: Sequence[Node]) -> Tensor:
    patched = run.patched(run.clean, run.corrupted, [[node] for node in nodes])
    logits = run.logits(cat([run.clean.states[-1][None, -1:], patched]))
    clean, *_ = found = logit_difference(logits, *(to.to(logits.device) for to in (pair.right, pair.wrong)))
    return clean - found[1:]
