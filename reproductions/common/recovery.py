"""How much of a model's loss is recovered where something takes the place of a site's activations.

With the loss that a substitute adds, and the loss that the site's mean activation adds in every place,

    loss recovered = 1 - added by the substitute / added by the mean,

and likewise for the KL divergence from the model's own prediction. Position 0 and outliers, on which no autoencoder
here was trained, keep what they have.

Shapes: N texts of T positions, d = d_model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.latents import Dictionary
from reproductions.common.model import Model
from reproductions.common.substitution import Reading

Shares = dict[str, Tensor]  # of each text [N], by what was put in


@dataclass(frozen=True)
class Recovered:
    """The share of the loss, and of the KL divergence, that each substitute recovers in each text [N]."""

    loss: Shares
    kl: Shares


class Site:
    """A model at the site of a dictionary: its activations x [N, T - 1, d], and what others in their place recover.

    usual [N, T - 1]: which of them are no outliers.
    """

    def __init__(self, model: Model, tokens: Tensor, dictionary: Dictionary) -> None:
        self.reading = Reading(model, tokens, dictionary.site)
        self.x = self.reading.x
        self.usual = dictionary.ordinary(self.x)

    @torch.no_grad()
    def recovered(self, substitutes: Iterable[tuple[str, Tensor]]) -> Recovered:
        """Of each named substitute [N, T - 1, d]."""
        mean = self.x[self.usual].mean(0).expand_as(self.x)
        put = {"mean": mean, **dict(substitutes)}
        effects = self.reading.effects(
            {name: torch.where(self.usual[..., None], some, self.x) for name, some in put.items()}
        )
        worst = effects.pop("mean")
        return Recovered(
            {name: 1 - effect.loss / worst.loss for name, effect in effects.items()},
            {name: 1 - effect.kl / worst.kl for name, effect in effects.items()},
        )
