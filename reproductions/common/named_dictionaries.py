"""Any autoencoder by one name, at the site that it reads: of this project, its siblings, the user's, the hub's."""

from __future__ import annotations

from reproductions.common.activations import SITE
from reproductions.common.autoencoders import load_sae
from reproductions.common.dictionaries import site_of
from reproductions.common.latents import Dictionary
from reproductions.common.siblings import load_sibling


def named_dictionary(model: str, name: str, seed: int = 0) -> Dictionary:
    """The autoencoder of a name.

    `blocks.15.hook_resid_post` is the one that comes with this project, or the user's of that site;
    `blocks.15.hook_resid_post.k8` one of another recipe (`siblings`); `release/id` one that SAELens fetches from the
    hub, whose own configuration tells the site.

    Raises:
        AutoencoderError: there is none, or it cannot be fetched.
        UserError: a released one reads what no reproduction does.
    """
    if "/" in name:
        sae = load_sae(model, name)
        return Dictionary(site_of(sae.cfg.metadata.hook_name, name), sae)
    site, variant = parted(name)
    return Dictionary(site, load_sibling(model, site, variant) if variant else load_sae(model, name, seed))


def parted(name: str) -> tuple[str, str]:
    """A name's site and, where it has one, its variant: `blocks.15.hook_resid_post` and `k8`."""
    found = SITE.match(name)
    return (name[: found.end()], name[found.end() + 1 :]) if found else (name, "")
