"""Activation patching: which heads bring a corrupted prompt's answer back, by corruption and by metric.

With pairs of prompts for a model of your own, as paired(model, Texts(clean, corrupted, right, wrong)) makes one:

    found = swapped(model, pairs, heads(model))
    ld, p, kl = found.shares.mean(0)  # each head's effect in those of all, in three metrics
    one, other = noisy(model, pairs, heads(model), Noise(deviations=3, draws=2))  # under noise, two sets of draws
"""

from reproductions.activation_patching.method import Effects, Noise, heads, noisy, swapped, two_names
from reproductions.common.prompt_pairs import Texts, paired

__all__ = ["Effects", "Noise", "Texts", "heads", "noisy", "paired", "swapped", "two_names"]
