"""Both examinations of descriptions, feature by feature: what finds the inputs, and what tells the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from reproductions.common.stats import mean_interval
from reproductions.output_centric.features import Feature
from reproductions.output_centric.judges import (
    CHANCE,
    JUDGES,
    Description,
    InputScore,
    Library,
    WordJudges,
    input_score,
    oracle,
    output_scores,
)

NEGATIVES_SEED = 1000

Descriptions = Sequence[Description]  # one for each feature


@dataclass(frozen=True)
class Inputs:
    """The input side: passages that no description has seen, and how active n features are in them."""

    library: Library
    peaks: Tensor  # [n, passages]

    def scores(self, descriptions: Descriptions) -> tuple[Tensor, Tensor]:
        """The paper's score [n], the mean over draws of other passages; and a finer one, the area under the curve."""
        found = [self._score(row, description) for row, description in enumerate(descriptions)]
        return torch.tensor([score.accuracy for score in found]), torch.tensor([score.area for score in found])

    def of(self, rows: Sequence[int]) -> Inputs:
        """The same for some of the features."""
        return Inputs(self.library, self.peaks[list(rows)])

    def _score(self, row: int, description: Description) -> InputScore:
        generator = torch.Generator().manual_seed(NEGATIVES_SEED + row)
        return input_score(self.library, description, self.peaks[row], generator)


@dataclass(frozen=True)
class Outputs:
    """The output side, for those `rows` of n features that were steered: two draws of texts under the same clamps."""

    n: int
    rows: Sequence[int]
    sources: Sequence[object]  # of each row
    draws: Sequence[WordJudges]
    log_ratios: Tensor  # what the model itself says of the words of each text of the first draw: [rows, words]
    budget: int  # words of an oracle

    @classmethod
    def of(
        cls,
        features: Sequence[Feature],
        rows: Sequence[int],
        draws: Sequence[WordJudges],
        log_ratios: Tensor,
        budget: int,
    ) -> Outputs:
        """Examine the texts of those of the features that were steered."""
        return cls(len(features), rows, [features[row].source.hook for row in rows], draws, log_ratios, budget)

    def score(self, descriptions: Descriptions) -> Tensor:
        """How often a description leads to the right one of three texts [n]: the mean over the judges listened to."""
        own = [descriptions[row] for row in self.rows]
        return self._placed(self._heard(self._by_judge([own] * len(self.draws))))

    def asked(self, descriptions: Descriptions) -> Tensor:
        """The same by another kind of judge: the model itself, which reads the sampled texts."""
        fits = torch.stack([self.log_ratios[:, list(descriptions[row])].mean(1) for row in self.rows])
        return self._placed(output_scores(fits, self.sources))

    @property
    def oracle(self) -> Tensor:
        """The score [n] of words from the other draw, by the judges listened to: the positive control."""
        return self._placed(self._heard(self.oracles))

    @cached_property
    def oracles(self) -> dict[str, Tensor]:
        """The same by each judge, listened to or not: [rows]."""
        made = [oracle(judges.expected, self.sources, self.budget) for judges in reversed(self.draws)]
        return self._by_judge(made)

    @cached_property
    def listened(self) -> dict[str, Tensor]:
        """Whether each judge counts for a row [rows]: its oracle beats chance on the half that the row is not in."""
        return {judge: _passing(scores, self.sources) for judge, scores in self.oracles.items()}

    def _by_judge(self, of_draws: Sequence[Descriptions]) -> dict[str, Tensor]:
        """Each judge's scores [rows], the mean over draws, of the descriptions that are held against each draw."""
        found = [judges.scores(own) for judges, own in zip(self.draws, of_draws, strict=True)]
        return {
            judge: torch.stack([output_scores(scores[judge], self.sources) for scores in found]).mean(0)
            for judge in JUDGES
        }

    def _heard(self, by_judge: Mapping[str, Tensor]) -> Tensor:
        """The mean over the judges listened to, NaN where there is none: [rows]."""
        heard = [scores.where(self.listened[judge], torch.nan) for judge, scores in by_judge.items()]
        return torch.stack(heard).nanmean(0)

    def _placed(self, scores: Tensor) -> Tensor:
        """Scores [rows] in their places among all features [n]."""
        found = torch.full((self.n,), torch.nan)
        found[list(self.rows)] = scores
        return found


def halves(sources: Sequence[object]) -> Tensor:
    """Which features are in the first half, from the source of each: [n] of bool.

    Every other source: those of one source share their texts, so that within it one gains what another loses.
    """
    places = {source: place for place, source in enumerate(dict.fromkeys(sources))}
    return torch.tensor([places[source] % 2 == 0 for source in sources])


def _passing(scores: Tensor, sources: Sequence[object]) -> Tensor:
    """For each of some scores [n], whether those of the other half are above chance."""
    first = halves(sources)
    passes = [mean_interval(scores[half].tolist())[0] > CHANCE["output"] for half in (first, ~first)]
    return torch.where(first, passes[1], passes[0])
