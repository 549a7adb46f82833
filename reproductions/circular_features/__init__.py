"""Circles of words: weekdays and months in a model's states (Engels et al., arXiv 2405.14860).

On a model of your own, with words and sentences of your own:

    model = TransformerBridge.boot_transformers("gpt2")
    states = word_states(model, ["north", "east", "south", "west", "up"], ["Turn {}", "Look {}", "Go {}", "It is {}"])
    found = search(states, cyclic_orders(5, most=1000))  # found.p, found.margins, found.points
"""

from reproductions.circular_features.method import Circle, cyclic_orders, search, word_states

__all__ = ["Circle", "cyclic_orders", "search", "word_states"]
