"""How linear is each block of a transformer? (Razzhigaev et al., arXiv 2405.12250)

On a model of your own, with several times more tokens of text than it has dimensions:

    tokens = first_tokens(model, in_turns(held_out()))  # [texts, 128]
    found = measure(Blocks(model, tokens), tokens[24:], tokens[:24])  # fitted on some texts, scored on others
    linearity = table(found, "linearity_without_residual").mean(1)  # of each block
"""

from reproductions.common.excerpts import in_turns
from reproductions.common.held_out import held_out
from reproductions.common.regression import LinearMap
from reproductions.layer_linearity.method import Blocks, Rows, first_tokens, fit, measure, table

__all__ = ["Blocks", "LinearMap", "Rows", "first_tokens", "fit", "held_out", "in_turns", "measure", "table"]
