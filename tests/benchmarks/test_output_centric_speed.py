"""VocabProj for every neuron of the model as one blocked product, against one neuron at a time, in one run.

`tools/test tests/benchmarks -s` prints the figures; only the ratio and the equality of the lists are asserted.
"""

import pytest
import torch

from reproductions.common.models import load_model
from reproductions.output_centric.features import neurons
from reproductions.output_centric.method import Ends, vocab_proj
from tests.benchmarks.timing import matrix_product_rate, timed

ALONE = 200  # neurons for which the loop is timed
LEAST_RATIO = 2  # asserted; other work on the machine takes its share


def one_at_a_time(model, directions):
    """Each neuron by itself: its product with the unembedding, sorted whole."""
    tops, bottoms = [], []
    with torch.no_grad():
        for v in directions:
            order = (model.ln_final(v) @ model.W_U).argsort(descending=True)
            tops.append(order[:50])
            bottoms.append(order[-50:].flip(0))
    return Ends(torch.stack(tops), torch.stack(bottoms))


@pytest.mark.model
def test_all_neurons_are_projected_sooner_than_one_at_a_time():
    model = load_model(device="cpu")
    directions = torch.cat([neurons(model, layer).W_out for layer in range(model.cfg.n_layers)])
    vocab_proj(model, directions[:ALONE])  # warm up
    blocked, blocked_s = timed(vocab_proj, model, directions)
    alone, alone_s = timed(one_at_a_time, model, directions[:: len(directions) // ALONE][:ALONE])
    rows = torch.arange(0, len(directions), len(directions) // ALONE)[:ALONE]
    assert (blocked.top[rows] == alone.top).float().mean() > 0.999  # the last bit of a product may swap two tokens
    assert (blocked.bottom[rows] == alone.bottom).float().mean() > 0.999
    ratio = alone_s / ALONE / (blocked_s / len(directions))
    flops = 2 * directions.numel() * model.W_U.shape[1]
    rate = matrix_product_rate()
    print(
        f"\n{len(directions):,} neurons in {blocked_s:.1f} s, {flops / blocked_s / rate:.0%} of the machine's "
        f"{rate / 1e9:.0f} Gflop/s: {ratio:.0f} times as fast as one at a time"
    )
    assert ratio > LEAST_RATIO
