"""The state-space model against a recurrence written out, and taps against the passes that they stand for."""

import math

import pytest
import torch

from reproductions.common.state_space import (
    MambaBlock,
    Shape,
    Stack,
    Taps,
    TransformerBlock,
    last_state,
    putting,
    rank_one,
    selective_scan,
)

SHAPE = Shape(vocabulary=11, d=16, blocks=3, hidden=24, state=4)
KINDS = pytest.mark.parametrize("kind", [MambaBlock, TransformerBlock])


def model(kind, seed=0):
    torch.manual_seed(seed)
    made = Stack(kind, SHAPE, spread=1.0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture
def tokens():
    return torch.randint(11, (5, 7), generator=torch.Generator().manual_seed(1))


def test_the_scan_is_the_recurrence():
    decay, drive, read = torch.rand(2, 6, 3, 4), torch.randn(2, 6, 3, 4), torch.randn(2, 6, 4)
    found = selective_scan(decay, drive, read)
    for text in range(2):
        for channel in range(3):
            state = [0.0] * 4
            for t in range(6):
                state = [decay[text, t, channel, n] * state[n] + drive[text, t, channel, n] for n in range(4)]
                by_hand = sum(state[n] * read[text, t, n] for n in range(4))
                assert math.isclose(found[text, t, channel], by_hand, abs_tol=1e-5)


def test_the_last_state_is_that_of_the_loop():
    decay, drive = torch.rand(2, 6, 3, 4), torch.randn(2, 6, 3, 4)
    state = torch.zeros(2, 3, 4)
    for t in range(6):
        state = decay[:, t] * state + drive[:, t]
    torch.testing.assert_close(last_state(decay, drive), state)
    torch.testing.assert_close(last_state(decay[:, :1], drive[:, :1]), drive[:, 0])


def test_the_path_is_convolution_selection_and_recurrence_channel_by_channel():
    block = model(MambaBlock).blocks[0].double()
    a = torch.randn(1, 6, 24, dtype=torch.double)
    found, kernel = block.mixed(a), block.convolution.weight[:, 0]
    states = torch.zeros(24, 4, dtype=torch.double)
    for t in range(6):
        lagged = [a[0, t - lag] if t >= lag else torch.zeros(24) for lag in range(3)]
        c = torch.nn.functional.silu(sum(kernel[:, 2 - lag] * lagged[lag] for lag in range(3)) + block.convolution.bias)
        chosen = block.select.weight @ c
        step = torch.log1p(torch.exp(block.step.weight @ chosen[:1] + block.step.bias))
        for channel in range(24):
            for n in range(4):
                rate = -math.exp(block.log_decay[channel, n].item())
                added = step[channel] * chosen[1 + n] * c[channel]
                states[channel, n] = math.exp(step[channel].item() * rate) * states[channel, n] + added
        torch.testing.assert_close(found[0, t], states @ chosen[5:] + block.skip * c)


@KINDS
def test_nothing_is_read_from_the_future(kind, tokens):
    net, other = model(kind), tokens.clone()
    other[:, 4:] = (other[:, 4:] + 1) % 11
    torch.testing.assert_close(net(tokens)[:, :4], net(other)[:, :4])
    assert (net(tokens)[:, 4] - net(other)[:, 4]).abs().max() > 1e-3


@KINDS
def test_all_earlier_tokens_can_be_read(kind, tokens):
    net, other = model(kind), tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % 11
    assert ((net(tokens) - net(other)).abs().amax((0, 2)) > 1e-5).all()


@KINDS
def test_a_pass_from_a_block_on_is_the_rest_of_a_pass(kind, tokens):
    net = model(kind)
    stream = net.seen(tokens, ["1.resid"])["1.resid"][0]
    torch.testing.assert_close(net.read(net.run(stream, 2)), net(tokens))


@KINDS
def test_what_a_site_shows_is_the_matrix_times_what_it_read(kind, tokens):
    net = model(kind)
    for site in kind.WRITES:
        value, read = net.seen(tokens, [f"1.{site}"])[f"1.{site}"]
        torch.testing.assert_close(value, getattr(net.blocks[1], site)(read))


@KINDS
def test_a_tap_replaces_what_passes(kind, tokens):
    net = model(kind)
    without = net(
        tokens, {f"{place}.{site}": lambda value, _: 0 * value for place in (1, 2) for site in ("out", "attn")}
    )
    first = net.seen(tokens, ["0.resid"])["0.resid"][0]
    torch.testing.assert_close(without, net.read(first))
    assert torch.equal(net(tokens, {"7.out": lambda value, _: 0 * value}), net(tokens))


def test_attention_is_pytorchs(tokens):
    block, x = model(TransformerBlock).blocks[0], torch.randn(2, 6, 16)
    q, k, v = (part.view(2, 6, 4, 4).transpose(1, 2) for part in block.qkv(x).split(16, -1))
    by_torch = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(block.attention(x, Taps({})), block.mix(by_torch.transpose(1, 2).reshape(2, 6, 16)))


def test_gradients_pass_the_scan():
    decay, drive, read = (
        torch.rand(*shape, dtype=torch.double, requires_grad=True) for shape in ((1, 4, 2, 3), (1, 4, 2, 3), (1, 4, 3))
    )
    assert torch.autograd.gradcheck(selective_scan, (decay, drive, read))


@KINDS
def test_streams_are_what_blocks_read_and_leave(kind, tokens):
    net = model(kind)
    found = net.streams(net.start(tokens))
    torch.testing.assert_close(net.read(found[-1]), net(tokens))
    torch.testing.assert_close(found[2], net.seen(tokens, ["1.resid"])["1.resid"][0])


@KINDS
def test_a_rank_one_tap_is_the_changed_matrix(kind, tokens):
    net, changed = model(kind), model(kind)
    for site in kind.WRITES:
        matrix = getattr(changed.blocks[1], site).weight
        along, delta = torch.randn(matrix.shape[1]), torch.randn(matrix.shape[0])
        found = net(tokens, {f"1.{site}": rank_one(along.expand(5, -1), delta.expand(5, -1))})
        with torch.no_grad():
            matrix.add_(torch.outer(delta, along))
        torch.testing.assert_close(found, changed(tokens), atol=1e-4, rtol=1e-4)
        changed = model(kind)


def test_states_are_put_where_the_mask_says(tokens):
    net, other = model(MambaBlock), tokens.flip(1)
    everywhere = torch.ones_like(tokens, dtype=torch.bool)
    given = net.seen(other, ["0.resid"])["0.resid"][0]
    torch.testing.assert_close(net(tokens, {"0.resid": putting(given, everywhere)}), net(other))
    torch.testing.assert_close(net(tokens, {"0.resid": putting(given, ~everywhere)}), net(tokens))
