"""What substitutes recover, against plain passes and known ends."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from reproductions.common import substitution
from reproductions.common.edits import final_states
from reproductions.common.latents import Dictionary
from reproductions.common.substitution import Site, losses
from tests.common.tiny_bridge import WORDS, tiny_gemma, tiny_llama

SITES = ("blocks.1.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.1.hook_attn_out")


@pytest.fixture(scope="module", params=[tiny_llama, tiny_gemma])
def model(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(1, len(WORDS), (9, 12), generator=torch.Generator().manual_seed(0))


def site_of(model, tokens, name, limit=math.inf):
    cfg = SimpleNamespace(metadata=SimpleNamespace(outlier_norm=limit))
    return Site(model, tokens, Dictionary(name, SimpleNamespace(cfg=cfg)))


@pytest.mark.parametrize("name", SITES)
def test_losses_are_those_of_a_plain_pass(model, tokens, name, monkeypatch):
    monkeypatch.setattr(substitution, "LOGITS", 7)
    site = site_of(model, tokens, name)
    put = site.x + 0.4 * torch.randn(site.x.shape, generator=torch.Generator().manual_seed(1))
    loss, kl = losses(model, {"clean": site.final(site.x), "some": site.final(put)}, tokens)
    whole = iter(put.split(len(tokens)))
    changed = final_states(model, tokens, {name: lambda _: next(whole)})
    logs = [model.original_model.lm_head(x)[:, 1:-1].log_softmax(-1) for x in (final_states(model, tokens), changed)]
    for key, log in zip(("clean", "some"), logs, strict=True):
        right = cross_entropy(log.flatten(0, 1), tokens[:, 2:].flatten(), reduction="none").view(9, -1).mean(1)
        torch.testing.assert_close(loss[key], right, atol=1e-5, rtol=1e-4)
    by_torch = kl_div(logs[1], logs[0], log_target=True, reduction="none").sum(-1).mean(1)
    torch.testing.assert_close(kl["some"], by_torch, atol=1e-5, rtol=1e-4)


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
    site = site_of(model, tokens, SITES[0], limit=0.0)
    torch.testing.assert_close(site.final(0 * site.x), site.final(site.x))
