"""Do dictionaries agree on features, and what do these stand for? (Riggs, LessWrong 2023)

For autoencoders of SAELens, two at one site of a model of your own:

    mine, other = (placed(sae) for sae in (sae, other_sae))
    agreement = Agreement.of(mine.directions, other.directions, seeds=[0, 1, 2])  # .mcs, .flipped: with it, by chance
    fired = read(model, {"mine": mine}, tokens)["mine"]  # every activation on tokens [texts, positions]
    words = wording(fired, words_of(model))  # how far each feature stands for one word, and for which
    seen = inspect(model, mine, [3, 14], fired, m=2, context=6)  # ablated text, logit lens, directions taken out
"""

from reproductions.common.agreement import Agreement
from reproductions.common.inspection import inspect, placed, read, wording, words_of
from reproductions.dictionary_features.method import planted, routes

__all__ = ["Agreement", "inspect", "placed", "planted", "read", "routes", "wording", "words_of"]
