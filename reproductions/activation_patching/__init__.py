"""TODO: the method in one line (TODO: authors, arXiv 2309.16042).

On a model of your own:

    model = TransformerBridge.boot_transformers("gpt2")
    update_sizes(model, model.to_tokens("A sentence."))  # [text, block]
"""

from reproductions.activation_patching.method import update_sizes

__all__ = ["update_sizes"]
