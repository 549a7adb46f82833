"""Sparse autoencoders: those that come with this project, and, through SAELens, those that others have released.

`load_sae(model, site)` gives either as an object of SAELens, in float32.
"""

from reproductions.common.autoencoders.loading import firing_rates, load_sae, ordinary, shipped_sites

__all__ = ["firing_rates", "load_sae", "ordinary", "shipped_sites"]
