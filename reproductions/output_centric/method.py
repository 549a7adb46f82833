"""Three ways to describe a feature by tokens, and ensembles of them (section 3 of the paper).

MaxAct lists what a feature reads; VocabProj and TokenChange list what it does to the output. The paper has a language
model turn such lists into a sentence; here a list, cut to the same budget for every method, is the description.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reproductions.common.edits import Edit, final_states, logit_lens, unembed
from reproductions.common.model import Model
from reproductions.common.progress import working
from reproductions.common.workers import side_by_side
from reproductions.output_centric.features import Feature, Source, clamps
from reproductions.output_centric.words import Words

PROJECTED = 50  # tokens at either end of a projection
CHANGED = 10  # tokens at either end of each change
CLAMP = 10.0  # what TokenChange sets a feature to, and its negative
FEATURES_AT_ONCE = 512  # in one block of the projection
ROWS_AT_ONCE = 24  # sequences in one pass

MAX_ACT, VOCAB_PROJ, TOKEN_CHANGE = "MaxAct", "VocabProj", "TokenChange"
SINGLE = (MAX_ACT, VOCAB_PROJ, TOKEN_CHANGE)
RAW = {"Raw (MA+VP)": (0, 1), "Raw (MA+TC)": (0, 2), "Raw (VP+TC)": (1, 2), "Raw (All)": (0, 1, 2)}
RAW_ALL, CONCAT_ALL = "Raw (All)", "Concat (All)"
METHODS = (*SINGLE, *RAW, CONCAT_ALL)


@dataclass(frozen=True)
class Ends:
    """The tokens at both ends of a ranking of the vocabulary, for n features; the most extreme come first."""

    top: Tensor  # [n, k]
    bottom: Tensor  # [n, k]

    @classmethod
    def of(cls, logits: Tensor, k: int) -> Ends:
        """The ends of logits [n, vocabulary]."""
        return cls(*(logits.topk(k, dim=-1, largest=largest).indices.cpu() for largest in (True, False)))

    @classmethod
    def joined(cls, blocks: Iterable[Ends]) -> Ends:
        """The ends of one block of features after the other."""
        found = list(blocks)
        return cls(torch.cat([ends.top for ends in found]), torch.cat([ends.bottom for ends in found]))


@dataclass(frozen=True)
class TokenChange:
    """Which tokens' logits rise and fall most when a feature is amplified, and when it is negated."""

    amplified: Ends
    negated: Ends


@torch.no_grad()
def vocab_proj(model: Model, directions: Tensor, k: int = PROJECTED) -> Ends:
    """The ends of unembed(final_norm(v)) for directions [n, d_model], in blocks of one matrix product each."""
    blocks = directions.split(FEATURES_AT_ONCE)
    return Ends.joined(Ends.of(logit_lens(model, block), k) for block in blocks)


@torch.no_grad()
def embedding_ends(model: Model, directions: Tensor, k: int = PROJECTED) -> Ends:
    """The ends of E v: the projection on the embedding instead, which no norm precedes (tables 3 and 4)."""
    blocks = directions.split(FEATURES_AT_ONCE)
    return Ends.joined(Ends.of(block @ model.W_E.T, k) for block in blocks)


@torch.no_grad()
def token_change(
    model: Model, features: Sequence[Feature], windows: Tensor, clamp: float = CLAMP, k: int = CHANGED
) -> TokenChange:
    """The mean change of the logits over windows [n, position] when features are set to +clamp and to -clamp.

    All runs pass through the feature's autoencoder, whose error therefore does not count. Logits are linear in what
    the final norm gives, so the mean of the logits is the unembedding of a mean.
    """
    clean = {source: _clean(model, source, windows) for source in dict.fromkeys(f.source for f in features)}

    def changed(batch: Sequence[Feature]) -> list[Ends]:
        base = torch.cat([clean[feature.source] for feature in batch])
        return [Ends.of(change, k) for change in _changes(model, batch, windows, clamp, base)]

    with working(f"TokenChange: {len(features)} features"):
        parts = batches(features, ROWS_AT_ONCE // (2 * len(windows)))
        found = side_by_side([partial(changed, batch) for batch in parts])
    amplified, negated = (Ends.joined(part) for part in zip(*found, strict=True))
    return TokenChange(amplified, negated)


def batches(features: Sequence[Feature], most: int) -> Iterator[Sequence[Feature]]:
    """The features, so many at a time, or one."""
    size = max(1, most)
    return (features[start : start + size] for start in range(0, len(features), size))


def _clean(model: Model, source: Source, windows: Tensor) -> Tensor:
    return _mean_logits(model, windows, {source.hook: source.reconstructed}, 1)


def _changes(model: Model, batch: Sequence[Feature], windows: Tensor, clamp: float, base: Tensor) -> tuple[Tensor, ...]:
    """Mean logits [features, vocabulary] with +clamp and with -clamp, less those without."""
    both = torch.tensor([clamp, -clamp]).repeat(len(batch))
    edits = clamps([feature for feature in batch for _ in range(2)], both, len(windows), reconstruct=True)
    logits = _mean_logits(model, windows, edits, len(both))
    return logits[::2] - base, logits[1::2] - base


def _mean_logits(model: Model, windows: Tensor, edits: Mapping[str, Edit], n: int) -> Tensor:
    """The mean over windows and over positions after the first, of each of n interventions: [n, vocabulary]."""
    states = final_states(model, windows.repeat(n, 1), edits)[:, 1:]
    return unembed(model, states.reshape(n, -1, states.shape[-1]).mean(1))


@dataclass(frozen=True)
class Material:
    """What the three methods found for one feature, as words, the most telling first."""

    max_act: Sequence[int]
    vocab_proj: Sequence[int]
    token_change: Sequence[int]

    def described(self, budget: int) -> dict[str, list[int]]:
        """The description of each method: the same number of words, except that Concat joins three of that number."""
        found = [list(words)[:budget] for words in (self.max_act, self.vocab_proj, self.token_change)]
        raw = {name: in_turn(*(found[part] for part in parts))[:budget] for name, parts in RAW.items()}
        return dict(zip(SINGLE, found, strict=True)) | raw | {CONCAT_ALL: in_turn(*found)}


def projected_words(ends: Ends, index: int, words: Words, *, suppressed: bool = True) -> list[int]:
    """VocabProj's material of a feature: promoted and suppressed tokens in turn, or the promoted alone."""
    lists = [ends.top, ends.bottom] if suppressed else [ends.top]
    return in_turn(*(words.folded(tokens[index].tolist()) for tokens in lists))


def changed_words(change: TokenChange, index: int, words: Words, *, suppressed: bool = True) -> list[int]:
    """TokenChange's material of a feature: the four lists in turn, or the two of what the feature promotes."""
    lists = [change.amplified.top, change.negated.bottom]
    if suppressed:
        lists += [change.amplified.bottom, change.negated.top]
    return in_turn(*(words.folded(tokens[index].tolist()) for tokens in lists))


def in_turn(*lists: Sequence[int]) -> list[int]:
    """The lists merged, one of each in turn, without repeats."""
    turns = itertools.zip_longest(*lists)
    return list(dict.fromkeys(word for turn in turns for word in turn if word is not None))
