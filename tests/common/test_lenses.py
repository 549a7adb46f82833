"""Lenses against the library, an equation written out, and networks whose answer is known."""

import pytest
import torch
from torch.nn.functional import kl_div

from reproductions.common.lenses import RIDGE, Lens, Network, Rows, kl, lenses, of_model, regressed, tuned
from tests.common.tiny_bridge import random_tokens, tiny_gemma, tiny_llama


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turning(depth=3, d=8, words=20):
    """A network whose blocks turn its stream, so that every stream is a rotation of the final one."""
    turns = [torch.linalg.qr(noise(d, d, seed=seed)).Q for seed in range(depth)]
    embedding, unembedding = noise(words, d, seed=7), 2 * noise(d, words, seed=8)
    return Network(lambda t: embedding[t], [lambda h, turn=turn: h @ turn for turn in turns], lambda h: h @ unembedding)


def texts(n, seed=0):
    return torch.randint(20, (n, 30), generator=torch.Generator().manual_seed(seed))


def test_kl_is_that_of_the_library():
    p, q = noise(5, 9), noise(5, 9, seed=1)
    whole = kl_div(q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(kl(p, q), whole)


def test_regression_finds_a_linear_map_and_shrinks_as_its_equation_says():
    x, A, b = noise(400, 6), noise(6, 6, seed=1), noise(6, seed=2)
    found = regressed(x, x @ A + b)
    centred = (x - x.mean(0)).double()
    xx = centred.T @ centred
    shrunk = torch.linalg.inv(xx + RIDGE * xx.trace() / 6 * torch.eye(6)) @ xx @ A.double()
    torch.testing.assert_close(found.weight.T, shrunk.float(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found(x.mean(0)), (x @ A + b).mean(0), atol=1e-5, rtol=1e-4)


def test_the_tuned_lens_undoes_a_rotation_and_the_logit_lens_does_not():
    lens = lenses(turning(), texts(20), texts(6, seed=1), (0, 1, 2), steps=30)
    assert lens.tuned.max() < 0.02
    assert lens.logit.min() > 0.5
    assert lens.planted.min() > 0.5
    assert (lens.dealt.mean(1) > 10 * lens.tuned.mean(1)).all()


def test_the_lens_of_another_block_reads_nothing():
    network = turning()
    fitted, other = (network.states(texts(n, seed=n)) for n in (20, 8))
    rows, held = [h.flatten(0, 1) for h in fitted], Rows.of(other)
    own, wrong = (held.kl(network.read, tuned(network.read, rows[at], rows[-1], 10)(held.streams[0])) for at in (0, 2))
    assert own.max() < 0.02 and wrong.min() > 0.5


def test_steps_down_the_kl_go_down():
    network = turning()
    states = network.states(texts(20))
    x, final = (states[place].flatten(0, 1) for place in (0, -1))
    x = x + 0.5 * noise(*x.shape)
    before, after = (
        kl(network.read(final), network.read(tuned(network.read, x, final, steps)(x))).mean() for steps in (0, 100)
    )
    assert after < before


def test_outliers_do_not_count():
    h = noise(3, 10, 4)
    h[1, 2] *= 1000
    rows = Rows.of([h, h + 1])
    assert not rows.usual[1, 2] and len(rows.streams[0]) == int(rows.usual.sum())


def test_kl_of_a_text_is_the_mean_over_its_tokens():
    h, other, U = noise(3, 70, 4), noise(3, 70, 4, seed=1), noise(4, 9, seed=2)
    rows = Rows([h.flatten(0, 1)], torch.ones(3, 70, dtype=torch.bool))
    found = rows.kl(lambda x: x @ U, other.flatten(0, 1))
    torch.testing.assert_close(found, kl(h @ U, other @ U).mean(1))


def test_the_least_fall_is_the_least():
    lens = Lens((0, 1, 2), 3, *[torch.zeros(3, 2)] * 3, torch.zeros(2))
    assert lens.least_fall(torch.tensor([[5.0, 7], [2, 4], [1, 3]])) == 1.0
    assert lens.least_fall(torch.tensor([[5.0, 7], [6, 7], [1, 3]])) == -0.5


@pytest.mark.parametrize("tiny", [tiny_llama, tiny_gemma])
def test_a_pretrained_transformer_is_its_stream_and_blocks(tiny, tmp_path):
    model, tokens = tiny(tmp_path), random_tokens(3, 12)
    network = of_model(model, tokens)
    states = network.states(tokens)
    assert len(states) == 4
    torch.testing.assert_close(network.read(states[-1]), model.original_model(tokens).logits, atol=1e-4, rtol=1e-3)
