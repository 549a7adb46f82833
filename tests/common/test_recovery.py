"""What substitutes recover, against plain passes and known ends."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from reproductions.common.edits import final_states
from reproductions.common.latents import Dictionary
from reproductions.common.recovery import Site
from tests.common.tiny_bridge import random_tokens

SITES = ("blocks.1.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.1.hook_attn_out")


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(9, 12)


def site_of(model, tokens, name, limit=math.inf):
    cfg = SimpleNamespace(metadata=SimpleNamespace(outlier_norm=limit))
    return Site(model, tokens, Dictionary(name, SimpleNamespace(cfg=cfg)))


@pytest.mark.parametrize("name", SITES)
def test_loss_recovered_is_that_of_plain_passes(model, tokens, name):
    site = site_of(model, tokens, name)
    put = site.x + 0.4 * torch.randn(site.x.shape, generator=torch.Generator().manual_seed(1))
    losses = []
    for replaced in (site.x, put, site.x.flatten(0, 1).mean(0).expand_as(site.x)):
        whole = iter(replaced.split(len(tokens)))
        log = model.original_model.lm_head(final_states(model, tokens, {name: lambda _, whole=whole: next(whole)}))
        after = tokens[:, 2:].flatten()
        losses.append(cross_entropy(log[:, 1:-1].flatten(0, 1), after, reduction="none").view(9, -1).mean(1))
    clean, changed, mean = losses
    expected = (mean - changed) / (mean - clean)
    torch.testing.assert_close(site.recovered([("some", put)]).loss["some"], expected, atol=1e-3, rtol=1e-3)


def test_the_activations_themselves_recover_all_and_their_mean_nothing(model, tokens):
    site = site_of(model, tokens, SITES[0])
    mean = site.x.flatten(0, 1).mean(0).expand_as(site.x)
    found = site.recovered([("same", site.x), ("middle", mean), ("between", (site.x + mean) / 2)])
    assert set(found.loss) == set(found.kl) == {"same", "middle", "between"}
    torch.testing.assert_close(found.loss["middle"], torch.zeros(9), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.loss["same"], torch.ones(9), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.kl["same"], torch.ones(9), atol=1e-4, rtol=0)
    assert 0 < found.kl["between"].mean() < 1


def test_outliers_keep_what_they_have(model, tokens):
    limit = site_of(model, tokens, SITES[0]).x.norm(dim=-1).median().item()
    site = site_of(model, tokens, SITES[0], limit=limit)
    zero = torch.where(site.usual[..., None], 0.0, site.x)
    found = site.recovered([("zero", 0 * site.x), ("usual zero", zero)])
    torch.testing.assert_close(found.kl["zero"], found.kl["usual zero"])
    assert 0 < site.usual.float().mean() < 1
