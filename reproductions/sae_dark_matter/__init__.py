"""How much of an autoencoder's error is a linear function of the activation? (Engels, Riggs & Tegmark 2024)

On a model of your own, with an autoencoder of SAELens for one of its sites:

    dictionary = Dictionary("blocks.1.hook_resid_post", sae)
    fitted = Texts.of(model, held_out()[:24], most=7)  # or your own sequences, and which text each is of
    scored = Texts.of(model, held_out()[24:36], most=1, tokens=32)
    (parts,) = study(model, [dictionary], fitted, scored)
    shares = parts.shares["vector"], parts.shares["norm"]  # of the error and of its squared norm, for each scored text
    costs = intervene(model, scored.tokens, dictionary, parts.error)  # in KL divergence and in loss, by what is missing
"""

from reproductions.common.excerpts import Texts
from reproductions.common.held_out import held_out
from reproductions.common.latents import Dictionary
from reproductions.sae_dark_matter.method import Decomposition, decompose, intervene, study

__all__ = ["Decomposition", "Dictionary", "Texts", "decompose", "held_out", "intervene", "study"]
