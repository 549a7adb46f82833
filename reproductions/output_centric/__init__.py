"""Output-centric feature descriptions: what a feature reads against what it does (arXiv 2501.08319).

For directions [n, d_model] in the residual stream of a model of your own:

    model = TransformerBridge.boot_transformers("gpt2")
    ends = vocab_proj(model, directions, k=20)  # the tokens that each direction promotes and suppresses most
    words = [model.to_string(token) for token in ends.top[0]]
"""

from reproductions.output_centric.method import Ends, token_change, vocab_proj

__all__ = ["Ends", "token_change", "vocab_proj"]
