"""Applies the rule of `reading`: half of the relations choose what heads are taken to read, the other half tests it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from reproductions.common.model import Model
from reproductions.common.stats import nan_mean, standard_error
from reproductions.common.workers import side_by_side
from reproductions.head_mapping.dynamic import head_outputs
from reproductions.head_mapping.findings import agreement
from reproductions.head_mapping.method import Heads, Pairs, readout_hits
from reproductions.head_mapping.reading import (
    CANDIDATES,
    PAPER,
    READINGS,
    Choice,
    chooses,
    reading_of,
    within_one_error,
)

AUTO = "auto"
PAIRS = 12  # of each choosing relation


@dataclass(frozen=True)
class Chosen:
    """The choice; the relations that made it, by place; and the agreement that each of the candidates got from them.

    agreements: [candidate][relation], NaN for relations that do not choose. Without candidates nobody was asked.
    """

    choice: Choice
    choosers: tuple[bool, ...]
    candidates: tuple[Choice, ...] = ()
    agreements: tuple[tuple[float, ...], ...] = ()

    def rows(self) -> list[tuple[str, str, str]]:
        """Each candidate, the mean and standard error of its agreement over the choosing relations, and the mark."""
        return [
            (
                str(candidate),
                f"{nan_mean(found):.2f} ± {standard_error(found):.2f}",
                "chosen" * (candidate == self.choice),
            )
            for candidate, found in zip(self.candidates, self.agreements, strict=True)
        ]

    @property
    def counted(self) -> list[bool]:
        """The relations on which agreement may be reported: those that did not choose."""
        return [not chooser for chooser in self.choosers]


def chosen_reading(model: Model, pairs: Pairs, templates: Sequence[str], reads: str, fold_norms: str) -> Chosen:
    """What heads are taken to read: by the rule where `reads` is "auto", else as `reads` and `norms` say.

    fold_norms: "true" or "false"; "auto" leaves the gains of the norms to the rule, and without a rule out, as the
    paper does.

    Raises:
        ValueError: `reads` is neither "auto" nor a reading.
    """
    allowed = [choice for choice in CANDIDATES if fold_norms in (AUTO, str(choice.fold_norms).lower())]
    if reads != AUTO:
        if reads not in READINGS:
            raise ValueError(f"reads is {reads!r}, but must be {AUTO} or one of {', '.join(READINGS)}")
        return Chosen(Choice(reads, fold_norms == "true"), (False,) * len(pairs.names))
    choosers = chooses(pairs.names)
    agreements = candidate_agreements(model, first_of_each(pairs, choosers), templates, allowed)
    choice = within_one_error(dict(zip(allowed, agreements, strict=True)))
    return Chosen(choice, choosers, tuple(allowed), tuple(map(tuple, agreements)))


def first_of_each(pairs: Pairs, relations: Sequence[bool], most: int = PAIRS) -> Pairs:
    """The first few pairs of some relations; the names stay."""
    rows = [
        row
        for place, wanted in enumerate(relations)
        if wanted
        for row in (pairs.relation == place).nonzero().squeeze(1)[:most].tolist()
    ]
    return pairs.select(torch.tensor(rows, dtype=torch.long, device=pairs.source.device))


@torch.no_grad()
def candidate_agreements(
    model: Model, pairs: Pairs, templates: Sequence[str], candidates: Sequence[Choice]
) -> list[list[float]]:
    """The agreement of static and dynamic scores without context, for each candidate: [candidate][relation]."""
    variants = {folded: Heads.of(model, replace(PAPER, fold_norms=folded)) for folded in (False, True)}

    def written(template: str) -> list[Tensor]:
        v = head_outputs(model, pairs.source, template)[1]
        return [_scores(heads, v, pairs) for heads in variants.values()]

    def mapped(choice: Choice) -> list[Tensor]:
        heads = replace(variants[choice.fold_norms], reading=reading_of(model, choice.reads))
        return [_scores(heads, heads.values(pairs.source), pairs)]

    works = [partial(written, template) for template in templates] + [partial(mapped, choice) for choice in candidates]
    found = side_by_side(works)
    dynamic = dict(zip(variants, map(torch.stack, zip(*found[: len(templates)], strict=True)), strict=True))
    static = [scores for (scores,) in found[len(templates) :]]
    return [agreement(own, dynamic[choice.fold_norms]) for own, choice in zip(static, candidates, strict=True)]


def _scores(heads: Heads, z: Tensor, pairs: Pairs) -> Tensor:
    """The scores [R, L, H] of head outputs z [N, L, H, h]."""
    return pairs.mean(readout_hits(heads, z, pairs.target, pairs.top_k, suppression=False).promoted)
