"""Feature flow: trace features across layers by their decoder directions (Laptev and others, arXiv 2502.03032).

With the decoders of two autoencoders of your own, W_dec [latents, d_model]:

    matches = top_matches(directions(W_dec_after), directions(W_dec_before), k=5)
    matches.source, matches.best  # each latent's predecessor in the layer before, and the cosine with it
"""

from reproductions.feature_flow.method import Matches, directions, hungarian, top_matches

__all__ = ["Matches", "directions", "hungarian", "top_matches"]
