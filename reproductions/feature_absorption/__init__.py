"""Where an autoencoder's latent for a general feature falls silent, and which other latent carries it (Chanin et al.).

On a model of your own, with an autoencoder of SAELens for a residual stream of it:

    words = deal(model, most=200, examples=10, seed=0)  # first letters; of its vocabulary
    found = measure(model, words, {"mine": Dictionary("blocks.1.hook_resid_post", sae)}, missed=20, steps=6)
    rates = found.rates("mine", OWN)  # absorption rates, one for each of found.letters
"""

from reproductions.common.first_letters import deal
from reproductions.common.latents import Dictionary
from reproductions.feature_absorption.method import OWN, measure
from reproductions.feature_absorption.toy import HIERARCHICAL, INDEPENDENT, World, train

__all__ = ["HIERARCHICAL", "INDEPENDENT", "OWN", "Dictionary", "World", "deal", "measure", "train"]
