"""How much faster the scores come than the plain way, in one run, on the same relations and heads.

Plain: for every relation and head, the outputs of all pairs go through the whole unembedding and are sorted.
`tools/test tests/benchmarks -s` prints the figures; only the ratio and the equality of the scores are asserted.
"""

from dataclasses import replace

import pytest
import torch

from reproductions.common.models import load_model
from reproductions.head_mapping import method
from reproductions.head_mapping.method import Heads, Hits, Pairs, readout_hits
from reproductions.head_mapping.relations import load_relations
from tests.benchmarks.timing import matrix_product_rate, timed

LAYERS = slice(22, 24)  # two layers full of relation heads: the hardest ones for settling early
LEAST_RATIO = 5  # asserted; about 20 is what two idle cores show, and other work on the machine takes its share


def plain_hits(heads: Heads, z: torch.Tensor, pairs: Pairs) -> Hits:
    """Every relation, head and pair by itself: the whole row of M, sorted."""
    promoted = torch.empty(z.shape[:3], dtype=torch.bool)
    suppressed = torch.empty_like(promoted)
    for relation in range(len(pairs.names)):
        rows = (pairs.relation == relation).nonzero().squeeze(1)
        for layer in range(heads.n_layers):
            for head in range(heads.n_heads):
                M = z[rows, layer, head] @ heads.W_O[layer, head] @ heads.W_U
                for hits, sign in ((promoted, True), (suppressed, False)):
                    k = int(pairs.top_k[rows[0]])
                    top = M.argsort(dim=1, descending=sign)[:, :k]
                    hits[rows, layer, head] = (top == pairs.target[rows, None]).any(1)
    return Hits(promoted, suppressed)


@pytest.mark.model
def test_the_fast_scores_are_the_plain_ones_many_times_sooner():
    model = load_model(device="cpu")
    relations = dict(list(method.testable(load_relations(), model.tokenizer).items())[:16])
    pairs = Pairs.of(relations, model.tokenizer, most=40)
    whole = Heads.of(model)
    heads = replace(whole, W_V=whole.W_V[LAYERS], W_O=whole.W_O[LAYERS])
    z = whole.values(pairs.source)[:, LAYERS]
    readout_hits(heads, z, pairs.target, pairs.top_k)  # warm up
    fast, fast_s = timed(readout_hits, heads, z, pairs.target, pairs.top_k)
    plain, plain_s = timed(plain_hits, heads, z, pairs)
    assert torch.equal(fast.promoted, plain.promoted)
    assert torch.equal(fast.suppressed, plain.suppressed)
    n_heads, (d_model, n_tokens) = heads.n_layers * heads.n_heads, heads.W_U.shape
    plain_flops = 2 * len(pairs) * n_heads * d_model * n_tokens
    rate = matrix_product_rate()
    print(
        f"\n{len(pairs)} pairs, {n_heads} heads: plain {plain_s:.2f} s ({plain_flops / plain_s / rate:.0%} of the "
        f"machine's {rate / 1e9:.0f} Gflop/s), fast {fast_s:.3f} s: {plain_s / fast_s:.0f} times"
    )
    assert plain_s / fast_s > LEAST_RATIO
