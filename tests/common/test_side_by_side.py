"""Networks side by side compute what each would alone."""

from math import log

import pytest
import torch
from torch.nn import functional

from reproductions.common.side_by_side import accuracy, lecun_normal, linear, losses, normed, stacked


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_start_depends_on_its_seed_alone():
    def start():
        return {"a": torch.randn(3, 2), "b": torch.rand(4)}

    both, alone = stacked((3, 4), start), stacked((4,), start)
    assert both["a"].shape == (2, 3, 2) and both["a"].requires_grad
    assert all(torch.equal(both[name][1], alone[name][0]) for name in ("a", "b"))
    assert not torch.equal(both["a"][0], both["a"][1])


def test_weights_have_the_variance_that_they_should():
    weights = lecun_normal(100, 2000)
    assert weights.std().item() == pytest.approx(0.1, rel=0.01)
    assert weights.abs().max().item() <= 0.2 / 0.8796 + 1e-6


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 4, 3)])
def test_each_network_has_weights_and_norms_of_its_own(shape):
    x, weight, bias, gain, shift = drawn(*shape), drawn(2, 3, 7), drawn(2, 1, 7), drawn(2, 1, 3), drawn(2, 1, 3, seed=1)
    for network in range(2):
        mapped = functional.linear(x[network], weight[network].T)
        torch.testing.assert_close(linear(x, weight)[network], mapped)
        torch.testing.assert_close(linear(x, weight, bias)[network], mapped + bias[network, 0])
        own = functional.layer_norm(x[network], (3,), gain[network, 0], shift[network, 0])
        torch.testing.assert_close(normed(x, gain, shift)[network], own)


def test_answers_are_judged_case_by_case():
    logits, right = torch.tensor([[[0.0, log(3)], [0.0, log(3)]], [[5.0, 0], [0, 5.0]]]), torch.tensor([[0, 1], [0, 1]])
    assert losses(logits, right)[0].tolist() == pytest.approx([log(4), log(4 / 3)])
    assert accuracy(logits, right).tolist() == [0.5, 1.0]
