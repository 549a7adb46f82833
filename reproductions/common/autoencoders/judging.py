"""What an autoencoder is worth: the numbers of its card, on held-out text, beside two baselines of equal sparsity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reproductions.common.activation_files import SiteRows, chunks
from reproductions.common.autoencoders.codes import Code, principal_components, random_dictionary
from reproductions.common.autoencoders.training import Scaling
from reproductions.common.model import Model

if TYPE_CHECKING:
    from sae_lens import TopKSAE

BATCH = 8  # sequences in one pass to the logits
LOSS_SEQUENCES = 48  # held-out sequences on which the loss is measured
BINS = 10  # of the density histogram, half a decade each, from 10^-5 to 1


@dataclass(frozen=True)
class Spliced:
    """The model's loss on held-out sequences, with a site's activations replaced by what a code makes of them."""

    model: Model
    tokens: Tensor  # [n, position]

    @cached_property
    def clean(self) -> float:
        """The loss of the model as it is."""
        return self._loss([])

    def loss(self, site: SiteRows, name: str, code: Code) -> float:
        """Position 0 and outlier tokens, which no code was made for, stay as they are."""

        def replace(activation: Tensor, hook: Any) -> Tensor:
            rows = activation[:, 1:]
            ordinary = rows.norm(dim=-1) <= site.limit
            replaced = activation.clone()
            replaced[:, 1:][ordinary] = code(rows[ordinary])
            return replaced

        return self._loss([(name, replace)])

    @torch.no_grad()
    def _loss(self, hooks: list[tuple[str, Callable[..., Tensor]]]) -> float:
        """Mean cross-entropy in nats, over every prediction but the one that is made at position 0."""
        device = self.model.W_E.device
        losses = []
        with self.model.hooks(fwd_hooks=hooks):
            for batch in self.tokens.to(device).split(BATCH):
                logits = self.model(batch)[:, 1:-1].transpose(1, 2)
                losses.append(torch.nn.functional.cross_entropy(logits, batch[:, 2:], reduction="none"))
        return torch.cat(losses).mean().item()


@dataclass(frozen=True)
class Judge:
    """Judges codes of one site: fitted on its training rows, measured on its held-out rows."""

    name: str
    training: SiteRows
    held_out: SiteRows
    spliced: Spliced
    device: str

    @cached_property
    def mean(self) -> Tensor:
        """The mean of the training rows: [d]."""
        return Scaling.of(self.training.load(), self.device).mean

    @cached_property
    def mean_loss(self) -> float:
        """The loss with every activation replaced by the mean."""
        return self.spliced.loss(self.training, self.name, self.mean.expand_as)

    def quality(self, code: Code) -> dict[str, float]:
        """The share of variance explained, and the share recovered of the loss that mean ablation costs."""
        loss = self.spliced.loss(self.training, self.name, code)
        recovered = (self.mean_loss - loss) / (self.mean_loss - self.spliced.clean)
        return {"explained_variance": self.explained(code), "loss": loss, "loss_recovered": recovered}

    @torch.no_grad()
    def explained(self, code: Code) -> float:
        """1 - |x - x̂|² / |x - mean|², each summed over the held-out rows; the mean is theirs."""
        rows = self.held_out.load()
        mean = Scaling.of(rows, self.device).mean
        missed, there = 0.0, 0.0
        for x in chunks(rows, self.device):
            missed += (x - code(x)).square().sum().item()
            there += (x - mean).square().sum().item()
        return 1 - missed / there

    @torch.no_grad()
    def firings(self, sae: TopKSAE) -> tuple[Tensor, float]:
        """The share of all rows, training and held-out, on which each latent fires, and L0 on the held-out rows."""
        trained, held_out = (self._fired(sae, site.load()) for site in (self.training, self.held_out))
        rate = (trained + held_out) / (self.training.rows + self.held_out.rows)
        return rate, held_out.sum().item() / self.held_out.rows

    def _fired(self, sae: TopKSAE, rows: Tensor) -> Tensor:
        count = torch.zeros(sae.cfg.d_sae, device=self.device)
        for x in chunks(rows, self.device):
            count += (sae.encode(x) > 0).sum(0)
        return count


def card_of(judge: Judge, sae: TopKSAE, full: TopKSAE) -> tuple[Tensor, dict[str, Any]]:
    """The firing rates of an autoencoder as it is shipped, and all that its card says of its worth."""
    rate, l0 = judge.firings(sae)
    d_sae, k = sae.cfg.d_sae, sae.cfg.k
    autoencoder = judge.quality(sae)
    return rate, {
        "l0": l0,
        "dead_share": (rate == 0).float().mean().item(),
        "density_histogram": histogram(rate),
        "loss_clean": judge.spliced.clean,
        "loss_mean_ablation": judge.mean_loss,
        "autoencoder": autoencoder,
        "rounding_cost": judge.explained(full) - autoencoder["explained_variance"],
        "random_dictionary": judge.quality(random_dictionary(judge.mean, d_sae, k)),
        "principal_components": judge.quality(principal_components(judge.training.load(), judge.mean, k)),
    }


def histogram(rate: Tensor) -> dict[str, list[float]]:
    """How many latents fire how often, in half decades; one that fires less often than 10^-5 is in no bin."""
    edges = [10 ** (exponent / 2) for exponent in range(-BINS, 1)]
    counts = torch.histogram(rate.double().cpu(), bins=torch.tensor(edges, dtype=torch.float64)).hist
    return {"edges": edges, "latents": [int(count) for count in counts]}
