"""Agreement of dictionaries, by loops, identities and planted cases."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cosine_similarity

from reproductions.common.agreement import Agreement, flip, mcs, turned, unit
from reproductions.common.latents import Dictionary


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_mcs_is_the_largest_of_all_cosines():
    one, other = noise(5, 7), 3 * noise(6, 7, seed=1)
    by_hand = [max(cosine_similarity(a, b, dim=0).item() for b in other) for a in one]
    assert mcs(one, other).tolist() == pytest.approx(by_hand)
    torch.testing.assert_close(mcs(one, torch.cat([other, 2 * one])), torch.ones(5).double())


def test_a_flipped_copy_keeps_all_but_where_it_points():
    directions = noise(40, 8) * torch.tensor([5.0, 4, 3, 2, 1, 1, 0.5, 0.1]).double()
    turn = flip(directions, 3)
    copy = directions @ turn
    torch.testing.assert_close(turn @ turn.T, torch.eye(8).double())
    torch.testing.assert_close(copy @ copy.T, directions @ directions.T)
    torch.testing.assert_close(copy.T @ copy, directions.T @ directions)
    assert not torch.allclose(copy, directions) and not torch.allclose(flip(directions, 4), turn)


def test_dictionaries_that_share_features_agree_and_others_do_not():
    one = unit(noise(60, 24))
    near, apart = unit(one[torch.randperm(60)] + 0.02 * noise(60, 24, seed=1)), unit(noise(60, 24, seed=2))
    agreed, other = (Agreement.of(one, some, [0, 1, 2]) for some in (near, apart))
    assert agreed.shared.mean() == 1.0 and other.shared.mean() == 0.0
    assert agreed.gap.mean() > 0.3 and abs(other.gap.mean()) < 0.05
    assert abs(agreed.chance.mean()) < 0.05 and agreed.flipped.shape == agreed.random.shape == (3, 60)


def test_sharing_a_subspace_is_not_agreement():
    """A planted fault: two dictionaries of one plane have a high MCS, and so has a flipped copy."""
    one, other = (torch.cat([noise(60, 3, seed=seed), 0.05 * noise(60, 21, seed=seed + 5)], 1) for seed in (0, 1))
    found = Agreement.of(one, other, [0, 1, 2])
    assert found.mcs.mean() > 0.9 and found.mcs.mean() - found.random.mean() > 0.2
    assert abs(found.gap.mean()) < 0.03


def test_a_turned_autoencoder_does_to_turned_activations_what_the_other_does():
    class Sae(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W_enc, self.W_dec = (torch.nn.Parameter(noise(*shape)) for shape in ((8, 20), (20, 8)))

        def encode(self, x):
            return (x @ self.W_enc).relu()

    dictionary, turn = Dictionary("blocks.1.hook_resid_post", Sae()), flip(noise(30, 8), 0)
    other, x = turned(dictionary, turn), noise(9, 8, seed=4)
    torch.testing.assert_close(other.codes(x @ turn), dictionary.codes(x))
    torch.testing.assert_close(other.directions, dictionary.directions @ turn)
    assert SimpleNamespace(**vars(other)).sae is not dictionary.sae
