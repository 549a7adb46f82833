"""Autoencoders of sites that have one already, trained from the same text with another sparsity or width.

`load_sibling("smollm2-135m", "blocks.15.hook_resid_post", "k8")` has 8 latents active at a token where the usual one
has 32; a variant `x2` has two latents a dimension and not four. `<model>/README.md` says what each is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reproductions.common.autoencoders import shipped
from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import AutoencoderError

if TYPE_CHECKING:
    from sae_lens import TopKSAE

FOLDER = Path(__file__).parent


def load_sibling(model: str, site: str, variant: str, device: str = "cpu") -> TopKSAE:
    """The autoencoder of a site by another recipe, in float32, as SAELens has it.

    Raises:
        AutoencoderError: there is none, or its file is not the one that its card describes.
    """
    path = shipped.path_of(model, f"{site}.{variant}", 0, FOLDER)
    if not path.exists():
        here = ", ".join(variants(model)) or "none"
        raise AutoencoderError(f"there is no autoencoder of {model} for {site} of the kind {variant}: there are {here}")
    weights, _, card = shipped.read(path)
    sae = as_topk(weights, card["k"], model, site, device)
    sae.cfg.metadata.outlier_norm = card["outlier_norm"]
    return sae


def variants(model: str) -> list[str]:
    """The sites of a model with their variants, `blocks.15.hook_resid_post.k8`, that there are."""
    return sorted(path.stem for path in shipped.folder_of(model, FOLDER).glob("*.safetensors"))


__all__ = ["load_sibling", "variants"]
