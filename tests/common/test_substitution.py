"""Substitutes against plain passes of the model, and divergences that are known."""

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from reproductions.common import substitution
from reproductions.common.edits import final_states
from reproductions.common.substitution import Reading, at_distance, divergences, gaussian, unit
from tests.common.tiny_bridge import WIDTH, random_tokens

SITES = ("blocks.1.hook_resid_post", "blocks.1.hook_attn_out", "blocks.2.hook_mlp_out")


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(9, 12)


def test_a_point_at_a_distance_is_that_far_away_in_that_direction():
    x, direction, distance = gaussian(torch.empty(5, 7, 16), 0), gaussian(torch.empty(5, 7, 16), 1), torch.rand(5, 7)
    moved = at_distance(x, direction, distance) - x
    torch.testing.assert_close(moved.norm(dim=-1), distance)
    torch.testing.assert_close(unit(moved), unit(direction), atol=1e-5, rtol=1e-3)


def test_noise_is_that_of_its_seed():
    like = torch.empty(3, 4, dtype=torch.double)
    assert torch.equal(gaussian(like, 3), gaussian(like, 3)) and gaussian(like, 3).dtype == torch.double
    assert not torch.equal(gaussian(like, 3), gaussian(like, 4))


@pytest.mark.parametrize("site", SITES)
def test_effects_are_those_of_a_plain_pass(model, tokens, site):
    reading = Reading(model, tokens, site)
    replaced = reading.x + 0.3 * gaussian(reading.x, 0)
    found = reading.effects({"none": reading.x, "some": replaced})
    put = iter(replaced.split(len(tokens)))
    changed = final_states(model, tokens, {site: lambda _: next(put)})
    log_p, log_q = (
        model.original_model.lm_head(states)[:, 1:-1].log_softmax(-1)
        for states in (final_states(model, tokens), changed)
    )
    kl = kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1).mean(1)
    loss = [cross_entropy(log.flatten(0, 1), tokens[:, 2:].flatten(), reduction="none") for log in (log_q, log_p)]
    torch.testing.assert_close(found["some"].kl, kl, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["some"].loss, (loss[0] - loss[1]).view(9, -1).mean(1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["none"].kl, torch.zeros(9), atol=1e-6, rtol=0)


def test_one_position_is_judged_where_it_is(model, tokens):
    reading = Reading(model, tokens, SITES[0])
    replaced = reading.x.clone()
    replaced[:, 6] += 1.0  # position 7 of the text
    before, there = (reading.effects({"some": replaced}, [at])["some"].kl for at in (6, 7))
    torch.testing.assert_close(before, torch.zeros(9), atol=1e-6, rtol=0)
    assert (there > 1e-4).all()


def test_logits_in_parts_are_the_same(model, tokens, monkeypatch):
    reading = Reading(model, tokens, SITES[0])
    whole = reading.effects({"a": 2 * reading.x})["a"]
    monkeypatch.setattr(substitution, "LOGITS", 7)
    torch.testing.assert_close(vars(reading.effects({"a": 2 * reading.x})["a"]), vars(whole))


def test_divergences_of_distributions_that_are_known(model):
    states, after = gaussian(torch.empty(5, WIDTH), 0), torch.arange(5)
    (kl, loss), _ = divergences(model, states, [2 * states, states], after)
    p, q = (model.original_model.lm_head(some).softmax(-1) for some in (states, 2 * states))
    torch.testing.assert_close(kl, (p * (p / q).log()).sum(-1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(loss, (p / q).log()[torch.arange(5), after], atol=1e-5, rtol=1e-4)
