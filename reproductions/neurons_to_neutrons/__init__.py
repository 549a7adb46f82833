"""Does a network that fits a formula for nuclei know its shells, its pairing, a helix? (Kitouni et al., ICML 2024)

On an embedding of your own, of consecutive numbers, with or without a network of this package:

    found = learn("formula", seed=0, steps=500)  # nuclei of a formula, not measured ones
    e = found.embedding  # [neutron numbers, d]; or that of a network of yours
    share(e), fourier(e)  # what three components hold of it, and what three frequencies do
    helix(e, seed=0)  # how much better a helix fits than it fits copies with shuffled phases
    kinks(e, first=12), wobble(e)  # at magic numbers, and from even to odd, in doublings
"""

from reproductions.neurons_to_neutrons.method import fourier, helix, kinks, learn, share, wobble

__all__ = ["fourier", "helix", "kinks", "learn", "share", "wobble"]
