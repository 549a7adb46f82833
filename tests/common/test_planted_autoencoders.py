"""Planted autoencoders: losses against sampling, latents matched in any order, training that finds what is planted."""

import pytest
import torch

from reproductions.common import planted_autoencoders
from reproductions.common.planted_autoencoders import L1, Autoencoders, D, Planted, cases, started, train

RATES = torch.tensor([0.25, 0.1, 0.05])


def probabilities(rates=RATES):
    """Of all cases, if features come independently."""
    return (cases(len(rates)) * rates + (1 - cases(len(rates))) * (1 - rates)).prod(1)


@pytest.fixture(scope="module")
def planted():
    """Latents that are near their features, three autoencoders of four latents for three features."""
    generator = torch.Generator().manual_seed(5)
    features = torch.linalg.qr(torch.randn(3, D, 3, generator=generator)).Q.mT
    found = started(3, 4, generator)
    writes = torch.cat([features, found.W_dec[:, 3:]], 1) + 0.02 * torch.randn(3, 4, D, generator=generator)
    return Planted(features, Autoencoders(writes.mT, found.b_enc - 0.01, writes, found.b_dec + 0.01))


@pytest.fixture(scope="module")
def trained():
    return train([probabilities(), probabilities(RATES.flip(0))], n=2, width=3, seed=1)


def test_cases_are_all_that_there_are_in_order():
    assert cases(2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (probabilities() @ cases(3)).tolist() == pytest.approx(RATES.tolist())


def test_the_expected_loss_is_the_mean_over_samples(planted):
    own, drawn = planted.autoencoders, torch.multinomial(probabilities(), 200_000, replacement=True)
    x = cases(3)[drawn] @ planted.features[0]
    z = ((x - own.b_dec[0]) @ own.W_enc[0] + own.b_enc[0]).relu()
    x_hat = z @ (own.W_dec[0] / own.W_dec[0].norm(dim=1, keepdim=True)) + own.b_dec[0]
    sampled = ((x_hat - x).square().sum(1) + L1 * z.sum(1)).mean()
    assert planted.losses(probabilities())[0].item() == pytest.approx(sampled.item(), rel=0.02)


def test_latents_are_matched_whatever_their_order(planted):
    order, own = torch.tensor([2, 0, 3, 1]), planted.autoencoders
    mixed = Autoencoders(own.W_enc[:, :, order], own.b_enc[:, :, order], own.W_dec[:, order], own.b_dec)
    other = Planted(planted.features, mixed)
    assert planted.matched().tolist() == [[0, 1, 2, 3]] * 3 and other.matched().tolist() == [[1, 3, 0, 2]] * 3
    for one, again in zip(planted.cosines(), other.cosines(), strict=True):
        torch.testing.assert_close(one, again)
        assert one.diagonal(dim1=1, dim2=2).min() > 0.95


def test_activations_are_those_of_the_features_own_latent(planted):
    z = planted.autoencoders.codes(planted.points)
    for case in range(8):
        torch.testing.assert_close(planted.activation(2, case), z[:, case, 2])
    assert (planted.activation(2, 1) > 0.9).all() and (planted.activation(2, 6) < 0.1).all()


def test_the_worst_known_direction_counts(planted):
    other = planted.features.clone()
    other[1, 0] = -other[1, 0]
    assert planted.worst(planted.features).min() > 0.95
    assert planted.worst(other)[1] < 0.5 and planted.worst(other)[0] > 0.95


def test_training_finds_features_that_come_independently(trained):
    assert [len(one.features) for one in trained] == [2, 2]
    for one, rates in zip(trained, (RATES, RATES.flip(0)), strict=True):
        likely = probabilities(rates)
        untrained = Planted(one.features, started(2, 3, torch.Generator().manual_seed(0)))
        assert one.worst(one.features).min() > 0.95 > untrained.worst(one.features).max()
        assert (one.losses(likely) < 0.5 * untrained.losses(likely)).all()


def test_the_start_with_the_lowest_loss_counts(monkeypatch):
    """Without training each is the best of its own starts, and not always the first of them."""
    monkeypatch.setattr(planted_autoencoders, "STEPS", 0)
    best = train([probabilities()], n=3, width=3, seed=0)[0]
    drawn = torch.Generator().manual_seed(0)
    features = torch.linalg.qr(torch.randn(3, D, 3, generator=drawn)).Q.mT
    starts = Planted(features.repeat_interleave(5, 0), started(15, 3, drawn))
    by_hand = starts.losses(probabilities()).view(3, 5)
    torch.testing.assert_close(best.losses(probabilities()), by_hand.amin(1))
    assert (by_hand.amin(1) < by_hand[:, 0]).any()
