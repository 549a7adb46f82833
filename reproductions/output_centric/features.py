"""Features: a direction that a model writes along, and a number that says how far.

Two kinds, as in the paper (section 2): latents of an autoencoder, with decoder rows as directions, and neurons of an
MLP, with rows of its output matrix. A neuron of a gated MLP takes values of both signs, which mean different things:
each sign is a feature of its own, with the row or its negative as the direction, and the part of the value that has
this sign as the activation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.autoencoders import firing_rates, load_sae, shipped_sites
from reproductions.common.edits import Edit
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model

RESIDUAL, MLP, NEURON = "residual latent", "MLP latent", "neuron"
FAMILIES = {"residual": RESIDUAL, "mlp": MLP, "neurons": NEURON}
FEWEST_LAYERS, IN_A_LAYER = 3, 5  # neurons come from as many layers as leave five to a layer, but from three at least
SITES = {RESIDUAL: "hook_resid_post", MLP: "hook_mlp_out"}


class Source(Protocol):
    """Where features come from: an autoencoder, or the neurons of a layer."""

    @property
    def family(self) -> str:
        """Which kind of features."""

    @property
    def layer(self) -> int:
        """The layer they belong to."""

    @property
    def hook(self) -> str:
        """The hook point at which they are read and set."""

    @property
    def n(self) -> int:
        """How many there are."""

    def directions(self, indices: Tensor) -> Tensor:
        """What features [n] write along: [n, d_model]."""

    def activations(self, values: Tensor, indices: Tensor) -> Tensor:
        """How active features [n] are: from the hook point's values [..., d] to [..., n]."""

    def clamped(self, values: Tensor, indices: Tensor, to: Tensor) -> Tensor:
        """The values [n, position, d] with feature i of [n] set to `to` [n] in row i, all else as it was."""

    def reconstructed(self, values: Tensor) -> Tensor:
        """What of the values passes through the features of this source: [..., d]."""


@dataclass(frozen=True, eq=False)
class Latents:
    """The latents of an autoencoder; tokens with a norm beyond those it was trained on excite none of them."""

    dictionary: Dictionary
    family: str

    @property
    def hook(self) -> str:
        """The site of the autoencoder."""
        return self.dictionary.site

    @property
    def layer(self) -> int:
        """The layer that the site belongs to."""
        return self.dictionary.layer

    @property
    def n(self) -> int:
        """How many there are."""
        return self.dictionary.n

    def directions(self, indices: Tensor) -> Tensor:
        """Rows of the decoder [n, d_model]."""
        return self.dictionary.directions[indices]

    def readers(self, indices: Tensor) -> Tensor:
        """Columns of the encoder [n, d_model]: what latents look for."""
        return self.dictionary.readers[indices]

    def activations(self, values: Tensor, indices: Tensor) -> Tensor:
        """Codes of the latents [..., n]."""
        return self._codes(values)[..., indices]

    def clamped(self, values: Tensor, indices: Tensor, to: Tensor) -> Tensor:
        """x + (to - a(x)) v: what the autoencoder leaves unexplained stays (the paper's generation setting)."""
        present = self._codes(values).gather(-1, indices[:, None, None].expand(*values.shape[:-1], 1))
        return values + (to[:, None, None] - present) * self.directions(indices)[:, None]

    def reconstructed(self, values: Tensor) -> Tensor:
        """What the autoencoder makes of x; tokens beyond its norm limit pass as they are."""
        return self.dictionary.reconstructed(values)

    def _codes(self, values: Tensor) -> Tensor:
        return self.dictionary.codes(values) * self.dictionary.ordinary(values)[..., None]


@dataclass(frozen=True, eq=False)
class Neurons:
    """The neurons of a layer's MLP: feature i is the positive side of neuron i, feature d_mlp + i the negative one."""

    W_out: Tensor  # [d_mlp, d_model]
    layer: int
    family: str = NEURON

    @property
    def hook(self) -> str:
        """Their values after the nonlinearity and the gate."""
        return f"blocks.{self.layer}.mlp.hook_post"

    @property
    def n(self) -> int:
        """Features: two for each neuron."""
        return 2 * len(self.W_out)

    @property
    def d_mlp(self) -> int:
        """Neurons."""
        return len(self.W_out)

    def directions(self, indices: Tensor) -> Tensor:
        """Rows of the output matrix, or their negatives: [n, d_model]."""
        return self._signs(indices)[:, None] * self.W_out[indices % self.d_mlp]

    def activations(self, values: Tensor, indices: Tensor) -> Tensor:
        """The part of the value that has the feature's sign, as a positive number."""
        return (self._signs(indices) * values[..., indices % self.d_mlp]).relu()

    def clamped(self, values: Tensor, indices: Tensor, to: Tensor) -> Tensor:
        """The neuron's value replaced."""
        where = (indices % self.d_mlp)[:, None, None].expand(*values.shape[:-1], 1)
        return values.scatter(-1, where, (self._signs(indices) * to)[:, None, None].expand_as(where))

    def reconstructed(self, values: Tensor) -> Tensor:
        """All of them: neurons leave nothing unexplained."""
        return values

    def _signs(self, indices: Tensor) -> Tensor:
        return 1.0 - 2.0 * (indices >= self.d_mlp).float()


@dataclass(frozen=True)
class Feature:
    """One feature of a source."""

    source: Source
    index: int

    @property
    def name(self) -> str:
        """A short name, which leads to it on the site: `resid-15/1034`, `mlp-23/7`, `neuron-4/88+`."""
        if isinstance(self.source, Neurons):
            sign = "+-"[self.index // self.source.d_mlp]
            return f"neuron-{self.source.layer}/{self.index % self.source.d_mlp}{sign}"
        return f"{'resid' if self.source.family == RESIDUAL else 'mlp'}-{self.source.layer}/{self.index}"

    @property
    def title(self) -> str:
        """What it is, in words."""
        number = self.name.split("/")[1]
        if isinstance(self.source, Neurons):
            side = "positive" if number.endswith("+") else "negative"
            return f"neuron {number[:-1]} of layer {self.source.layer}, {side} side"
        place = "residual stream after" if self.source.family == RESIDUAL else "MLP output of"
        return f"latent {number}, {place} layer {self.source.layer}"


def sources(model: Model, name: str, families: Sequence[str]) -> dict[str, list[Source]]:
    """The sources of each family: the autoencoders that come with this project, the neurons of each layer.

    Raises:
        AutoencoderError: an autoencoder of this project is damaged.
    """
    return {family: _of_family(model, name, family) for family in families}


def _of_family(model: Model, name: str, family: str) -> list[Source]:
    if family == NEURON:
        return [neurons(model, layer) for layer in range(model.cfg.n_layers)]
    device = str(model.W_E.device)
    sites = [site for site, seed in shipped_sites(name) if not seed and site.endswith(SITES[family])]
    compared = sorted((site for site in sites if layer_of(site) in _layers(name)), key=layer_of)
    return [Latents(Dictionary(site, load_sae(name, site, device=device)), family) for site in compared]


def _layers(name: str) -> set[int]:
    """The layers with an autoencoder on their MLP output: families are compared at the same layers."""
    return {layer_of(site) for site, _ in shipped_sites(name) if site.endswith(SITES[MLP])}


def neurons(model: Model, layer: int) -> Neurons:
    """The neurons of a layer; where the MLP's output has a norm of its own, its gains count as part of W_out."""
    block = model.blocks[layer]
    W_out = block.mlp.W_out.detach()
    if "ln2_post" in dict(block.named_children()):
        W_out = W_out * gains(block.ln2_post)
    return Neurons(W_out, layer)


def gains(norm: Any) -> Tensor:
    """What a norm multiplies each dimension with [d_model], once the row has been scaled."""
    ones = torch.ones_like(norm.weight)
    scaled: Tensor = norm(ones[None])[0].detach()
    return scaled


def sample(there: Mapping[str, Sequence[Source]], name: str, n: int, seed: int) -> list[Feature]:
    """n features of each family, as many of a source as of any other, drawn uniformly from those that are not dead.

    Neurons come from layers at even distances. A family without sources leaves its share to the others.
    """
    generator = torch.Generator().manual_seed(seed)
    n = n * len(there) // max(1, sum(map(bool, there.values())))
    return [
        Feature(source, index)
        for family, found in there.items()
        for source, share in _shares(_spread(found, n) if family == NEURON else found, n)
        for index in _drawn(source, name, share, generator)
    ]


def _spread(found: Sequence[Source], n: int) -> list[Source]:
    wanted = min(len(found), max(FEWEST_LAYERS, n // IN_A_LAYER))
    return [found[int(place)] for place in torch.linspace(0, len(found) - 1, wanted).round()]


def _shares(found: Sequence[Source], n: int) -> list[tuple[Source, int]]:
    return [(source, n // len(found) + (number < n % len(found))) for number, source in enumerate(found)]


def _drawn(source: Source, name: str, n: int, generator: torch.Generator) -> list[int]:
    alive = torch.arange(source.n)
    if source.family != NEURON:
        alive = alive[firing_rates(name, source.hook) > 0]
    drawn: list[int] = alive[torch.randperm(len(alive), generator=generator)[:n]].sort().values.tolist()
    return drawn


def clamps(features: Sequence[Feature], to: Tensor, rows: int, *, reconstruct: bool = False) -> dict[str, Edit]:
    """Edits of a batch in which each feature has `rows` rows, one feature's after the other, and is set to its value.

    to: [features]. With `reconstruct`, only what passes through a feature's source goes on (TokenChange's setting).
    """
    found: dict[str, Edit] = {}
    for source in dict.fromkeys(feature.source for feature in features):
        own = torch.tensor([feature.source is source for feature in features])
        indices = torch.tensor([feature.index for feature in features])[own]
        found[source.hook] = _clamp(source, own, indices, to[own], rows, reconstruct)
    return found


def _clamp(source: Source, own: Tensor, indices: Tensor, to: Tensor, rows: int, reconstruct: bool) -> Edit:
    where, indices, to = (part.repeat_interleave(rows) for part in (own, indices, to))

    def edit(values: Tensor) -> Tensor:
        mine = values[where.to(values.device)]
        before = source.reconstructed(mine) if reconstruct else mine
        change = source.clamped(mine, indices.to(values.device), to.to(values)) - mine
        edited = values.clone()
        edited[where.to(values.device)] = before + change
        return edited

    return edit
