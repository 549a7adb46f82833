"""The autoencoders that trace features through one layer: at R_{L-1}, before it, at M_L and A_L, inside, and at R_L.

A window is one such layer. SmolLM2-135M has three, around layers 7, 15 and 23; they are not neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from reproductions.common.activations import layer_of
from reproductions.common.autoencoders import load_sae, shipped_sites
from reproductions.common.latents import Dictionary
from reproductions.feature_flow.method import Sources, directions


class WindowError(ValueError):
    """Autoencoders that do not surround a layer; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class Window:
    """The four autoencoders around layer L.

    Raises:
        WindowError: they do not belong to one layer.
    """

    residual: Dictionary  # R_{L-1}
    mlp: Dictionary  # M_L
    attention: Dictionary  # A_L
    after: Dictionary  # R_L

    def __post_init__(self) -> None:
        if self.sites != window_sites(self.layer):
            raise WindowError(f"{', '.join(self.sites)} do not surround layer {self.layer}: not one window")

    @property
    def layer(self) -> int:
        """L."""
        return layer_of(self.after.site)

    @property
    def modules(self) -> tuple[Dictionary, ...]:
        """Those in which predecessors are sought, in the order of MODULES."""
        return self.residual, self.mlp, self.attention

    @property
    def dictionaries(self) -> tuple[Dictionary, ...]:
        """All four: the order of MODULES, then what they flow into."""
        return *self.modules, self.after

    @property
    def sites(self) -> tuple[str, ...]:
        """R_{L-1}, M_L, A_L, R_L."""
        return tuple(dictionary.site for dictionary in self.dictionaries)

    @property
    def sources(self) -> Sources:
        """The directions in which predecessors are sought."""
        return Sources(*(directions(each.directions) for each in self.modules))

    @property
    def targets(self) -> Tensor:
        """The directions of R_L, whose predecessors are sought: [n, d_model]."""
        return directions(self.after.directions)


def window_sites(layer: int) -> tuple[str, ...]:
    """R_{L-1}, M_L, A_L and R_L of a layer, as hook points."""
    inside = (f"blocks.{layer}.hook_{part}" for part in ("mlp_out", "attn_out", "resid_post"))
    return (f"blocks.{layer - 1}.hook_resid_post", *inside)


def shipped_layers(model: str) -> list[int]:
    """The layers of a model that have all four autoencoders in this project."""
    there = {site for site, seed in shipped_sites(model) if seed == 0}
    return sorted(layer for layer in set(map(layer_of, there)) if there.issuperset(window_sites(layer)))


def load_window(model: str, layer: int, device: str = "cpu") -> Window:
    """The window around a layer.

    Raises:
        AutoencoderError: one of its autoencoders cannot be had.
        ModelError: there is no such model.
    """
    return Window(*(Dictionary(site, load_sae(model, site, device=device)) for site in window_sites(layer)))
