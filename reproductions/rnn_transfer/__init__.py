"""Do three tools made for transformers work on recurrent networks? (Paulo, Marshall and Belrose, arXiv 2404.05971)

On a transformer, a Mamba or an RWKV of your own, with texts as tokens [N, T] to tune on and others to try:

    network = of_model(model, tokens)
    found = lenses(network, tokens[:8], tokens[8:], blocks=(1,), steps=24)
    found.logit.mean(1), found.tuned.mean(1)  # KL to the final prediction behind each of the blocks, nats a token
"""

from reproductions.common.lenses import lenses, of_model
from reproductions.rnn_transfer.method import Prompts, probing, steering

__all__ = ["Prompts", "lenses", "of_model", "probing", "steering"]
