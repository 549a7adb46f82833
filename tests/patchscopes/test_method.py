"""TODO: what the method is checked against: brute force, a hand-made case, an identity."""

from itertools import pairwise

import torch

from reproductions.patchscopes.method import update_sizes
from tests.common.tiny_bridge import tiny_llama


def test_update_sizes_equal_a_loop_over_texts_and_blocks(tmp_path):
    model = tiny_llama(tmp_path)
    tokens = torch.arange(12).view(2, 6)
    sizes = update_sizes(model, tokens)
    for text, row in zip(tokens, sizes, strict=True):
        states = model.original_model(text[None], output_hidden_states=True).hidden_states[:-1]  # the last is normed
        for block, (x, y) in enumerate(pairwise(states)):
            by_token = [(y[0, t] - x[0, t]).norm() / x[0, t].norm() for t in range(1, len(text))]
            assert torch.isclose(row[block], torch.stack(by_token).mean(), rtol=1e-4)
