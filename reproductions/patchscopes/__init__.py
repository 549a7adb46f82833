"""What does a model read in its own states? (Ghandeharioun et al., arXiv 2401.06102)

On a model of your own, with a target prompt of your own, whose last token the states are written to:

    target = Target.of(model, "Paris -> Paris\\nRome -> Rome\\nMadrid")
    tokens = model.to_tokens("Berlin is the largest city of Germany")
    states = states_at(model, tokens, tokens.new_tensor([-1]))  # behind each block, [L, 1, d]
    read = [likeliest(model, target.write(x, layer)) for layer, x in enumerate(states)]
"""

from reproductions.patchscopes.method import Target, likeliest, states_at

__all__ = ["Target", "likeliest", "states_at"]
