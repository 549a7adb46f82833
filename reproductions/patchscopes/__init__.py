"""What does a model read in its own states? (Ghandeharioun et al., arXiv 2401.06102)

On a model of your own, with a target prompt of your own, written to at its last token:

    target = Target.of(model, "cat -> cat\\n1135 -> 1135\\nhello -> hello\\n?")
    tokens = model.to_tokens("The key to the cabinets is on the")
    states = states_at(model, tokens, tokens.new_tensor([-1]))  # behind each block, [L, 1, d]
    read = [likeliest(model, target.write(x, layer)) for layer, x in enumerate(states)]
"""

from reproductions.patchscopes.method import Target, likeliest, states_at

__all__ = ["Target", "likeliest", "states_at"]
