"""Do an autoencoder's errors harm a model more than random ones of their size? (Gurnee, LessWrong 2024)

On a model of your own, with an autoencoder of SAELens for one of its sites:

    dictionary = Dictionary("blocks.1.hook_resid_post", sae)
    tokens = first_tokens(model, held_out(), texts=12, tokens=32)  # or your own, [texts, positions]
    found = measure(model, tokens, dictionary, draws=3, ks=(2, 8), cosines=(0.95, 0.8))
    doublings = found.excess("sae")  # log2 of how many times the KL of a random point as far away, for each text
"""

from reproductions.common.held_out import held_out
from reproductions.common.latents import Dictionary
from reproductions.common.substitution import at_distance
from reproductions.sae_errors.method import Site, at_cosine, first_tokens, measure, substitutes

__all__ = ["Dictionary", "Site", "at_cosine", "at_distance", "first_tokens", "held_out", "measure", "substitutes"]
