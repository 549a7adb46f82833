"""Dead latents: does text made of the tokens that a latent promotes wake it, and would any other text do as well?

The paper reports that 62 % of the residual and 9.1 % of the MLP latents of 1,850 without a known activating text fired
on texts made from their output-centric descriptions; it names no control. Here a latent is dead if it was active on
none of the million tokens that its autoencoder was trained on and tested with. Two controls take the same effort: as
many texts of the same kinds from random tokens, and from the tokens of another latent of the same site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.activations import activations
from reproductions.common.autoencoders import firing_rates
from reproductions.common.model import Model
from reproductions.common.text import opening
from reproductions.output_centric.features import Feature, Latents
from reproductions.output_centric.method import PROJECTED, in_turn, token_change, vocab_proj

CARRIED = 2  # of a latent's tokens, the most telling, are put into every carrier sentence
TOKENS_AT_ONCE = 4096  # in one pass

# A token takes the place of {}, as it is: most tokens that begin a word bring a space.
CARRIERS = (
    "They talked about{} for hours.",
    "The word{} was on every page.",
    "Nobody had expected{} that year.",
    "My sister sent me a picture of{}.",
    "In the end it was only{}.",
    "How much do you know about{}?",
    "A short history of{}, with notes",
    "We drove past{} on the way home.",
    "The committee voted for{} twice.",
    "Without{}, little would change.",
    "Her first book dealt with{}.",
    "See also:{}",
    "Is there more{} in the kitchen?",
    "I wrote{} on the blackboard.",
    "Experts disagree on{} and its causes.",
    "The shop sells{} at half price.",
    "Chapter 4:{} in practice",
    "He dreamt of{} again.",
    "for each{} in the list:",
    "“{}”, she said.",
)

Text = tuple[int, ...]
Lists = Callable[[Tensor], Tensor]  # from latents [n] to the tokens that describe each [n, k], the most telling first


@dataclass(frozen=True)
class Attempts:
    """What became of n latents, each of which was given as many texts as any other."""

    fired: Tensor  # [n] of bool
    texts: Tensor  # [n] how many were read until it fired, or all
    tokens: Tensor  # [n] tokens of these texts, the first, special ones included


NOTHING = Attempts(torch.zeros(0).bool(), torch.zeros(0).long(), torch.zeros(0).long())


@dataclass(frozen=True)
class Revival:
    """The dead latents of a site: what texts of their own tokens did, and, for each seed, those of the controls.

    passed: the tokens that went through the model for all of this together, since no text is read twice.
    """

    family: str
    hook: str
    dead: Tensor  # [n]
    own: Attempts
    random: tuple[Attempts, ...]
    other: tuple[Attempts, ...]
    passed: int


def dead_latents(name: str, source: Latents) -> Tensor:
    """The latents [n] of a shipped autoencoder that fire nowhere in the training and the held-out text.

    Raises:
        AutoencoderError: it is not one that comes with this project.
    """
    return (firing_rates(name, source.hook) == 0).nonzero().squeeze(1)


def projected(model: Model, source: Latents) -> Lists:
    """The 50 tokens that VocabProj says a latent promotes."""
    return lambda latents: vocab_proj(model, source.directions(latents)).top


def projected_and_changed(model: Model, source: Latents, windows: Tensor) -> Lists:
    """50 tokens that VocabProj and TokenChange, on windows [n, position], say a latent promotes, in turn."""

    def tokens(latents: Tensor) -> Tensor:
        change = token_change(model, [Feature(source, int(latent)) for latent in latents], windows)
        lists = (projected(model, source)(latents), change.amplified.top, change.negated.bottom)
        found = [in_turn(*(each[row].tolist() for each in lists))[:PROJECTED] for row in range(len(latents))]
        return torch.tensor(found)

    return tokens


@dataclass(frozen=True)
class Probes:
    """Turns tokens into texts: alone, each with the next one of the list, and the first few in every carrier."""

    first: int  # the token that opens a text
    carriers: Sequence[tuple[Text, Text]]  # what stands before and behind the place
    carried: int

    @classmethod
    def of(cls, model: Model, carried: int = CARRIED) -> Probes:
        """Those of a model's tokenizer."""
        halves = [
            [tuple(model.tokenizer(half, add_special_tokens=False)["input_ids"]) for half in carrier.split("{}")]
            for carrier in CARRIERS
        ]
        return cls(opening(model), [(before, behind) for before, behind in halves], carried)

    def texts(self, tokens: Sequence[int]) -> list[Text]:
        """The texts of some tokens, of which as many of the same lengths come from any list of as many tokens."""
        alone = [(self.first, token) for token in tokens]
        pairs = [(self.first, *pair) for pair in zip(tokens, [*tokens[1:], tokens[0]], strict=True)]
        carried = [
            (self.first, *before, token, *behind)
            for token in tokens[: self.carried]
            for before, behind in self.carriers
        ]
        return [*alone, *pairs, *carried]


def revive(
    model: Model,
    source: Latents,
    dead: Tensor,
    seeds: Sequence[int],
    lists: Lists | None = None,
    carried: int = CARRIED,
) -> Revival:
    """Try to wake the dead latents [n] of a site with texts of the tokens in `lists`, by default VocabProj's.

    A latent wakes where it is active at any position but 0, on a token within its autoencoder's norm limit. The random
    tokens of a seed are the same for all latents: any text may wake any of them.
    """
    given = _given(dead, source.n, len(model.W_E), seeds, lists or projected(model, source)) if len(dead) else []
    found, passed = _read(model, source, dead, Probes.of(model, carried), given)
    own, *controls = found or [NOTHING] * (1 + 2 * len(seeds))
    random, other = tuple(controls[: len(seeds)]), tuple(controls[len(seeds) :])
    return Revival(source.family, source.hook, dead, own, random, other, passed)


def _given(dead: Tensor, n_latents: int, n_tokens: int, seeds: Sequence[int], lists: Lists) -> list[list[list[int]]]:
    """The tokens that each latent is given [ways][n][k]: its own, then random ones a seed, then another's a seed."""
    drawn = [torch.Generator().manual_seed(seed) for seed in seeds]
    others = [_others(dead, n_latents, generator) for generator in drawn]
    described = torch.cat([dead, *others]).unique()
    tokens_of = dict(zip(described.tolist(), lists(described).tolist(), strict=True))
    own, *theirs = [[tokens_of[latent] for latent in latents.tolist()] for latents in (dead, *others)]
    random = [torch.randperm(n_tokens, generator=generator)[: len(own[0])].tolist() for generator in drawn]
    return [own, *([tokens] * len(dead) for tokens in random), *theirs]


def _others(latents: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """For each latent of n another one, drawn uniformly."""
    drawn = torch.randint(n - 1, latents.shape, generator=generator)
    return drawn + (drawn >= latents)


def _read(
    model: Model, source: Latents, dead: Tensor, probes: Probes, given: Sequence[Sequence[Sequence[int]]]
) -> tuple[list[Attempts], int]:
    """The attempts of each way to give tokens to latents [ways][n][k], and how many tokens went through the model."""
    if not given:
        return [], 0
    numbers: dict[Text, int] = {}
    asked = torch.tensor(
        [
            [[numbers.setdefault(text, len(numbers)) for text in probes.texts(tokens)] for tokens in to_latents]
            for to_latents in given
        ]
    )  # [ways, n, texts]
    lengths = torch.tensor([len(text) for text in numbers])
    woken = _woken(model, source, dead, list(numbers))
    hits = woken[asked, torch.arange(len(dead))[:, None]]
    return [_attempts(*way) for way in zip(hits, lengths[asked], strict=True)], int(lengths.sum())


@torch.no_grad()
def _woken(model: Model, source: Latents, dead: Tensor, texts: Sequence[Text]) -> Tensor:
    """Which texts wake which of the dead latents: [texts, n]. Texts of a length are read together, without padding."""
    found = torch.zeros(len(texts), len(dead), dtype=torch.bool)
    by_length: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        by_length.setdefault(len(text), []).append(number)
    for length, rows in by_length.items():
        batch = max(1, TOKENS_AT_ONCE // length)
        read = activations(model, [source.hook], torch.tensor([texts[row] for row in rows]), batch)
        for part, values in zip(torch.tensor(rows).split(batch), read, strict=True):
            codes = source.activations(values[source.hook], dead.to(model.W_E.device))
            found[part] = (codes > 0).any(1).cpu()
    return found


def _attempts(hits: Tensor, lengths: Tensor) -> Attempts:
    """From which texts woke each latent, and how long these are: both [n, texts], in the order of reading."""
    fired = hits.any(1)
    unread = hits.cumsum(1) - hits.long() > 0  # the texts behind the first that woke it
    return Attempts(fired, (~unread).sum(1), (lengths * ~unread).sum(1))


def counted(revival: Revival) -> tuple[str, int, str, str, str]:
    """Of a site's dead latents, how many fired on texts of their own tokens, of random ones, and of another's."""
    return revival.hook, len(revival.dead), _fired([revival.own]), _fired(revival.random), _fired(revival.other)


def _fired(seeds: Sequence[Attempts]) -> str:
    """How many fired, the mean over seeds."""
    return f"{sum(int(attempts.fired.sum()) for attempts in seeds) / max(1, len(seeds)):g}"
