"""Do dictionaries agree on features, and what do these stand for? (Riggs, LessWrong 2023)

For two autoencoders of SAELens at one site of a model of your own:

    mine = Dictionary("blocks.1.hook_resid_post", sae)
    agreement = Agreement.of(mine.directions, other_sae.W_dec, seeds=[0, 1, 2])  # .mcs, and by chance: .flipped
    fired = read(model, {"mine": mine}, tokens)["mine"]  # every activation on tokens [texts, positions]
    words = wording(fired, words_of(model))  # how far each feature stands for one word, and for which
    seen = inspect(model, mine, [3, 14], fired, m=2, context=6)  # ablated text, logit lens, directions taken out
"""

from reproductions.common.agreement import Agreement
from reproductions.common.inspection import inspect, read, wording, words_of
from reproductions.common.latents import Dictionary
from reproductions.dictionary_features.method import planted, routes

__all__ = ["Agreement", "Dictionary", "inspect", "planted", "read", "routes", "wording", "words_of"]
