"""Edits reach every position but the first, in one pass and in cached ones, and generation is the model's own."""

import pytest
import torch

from reproductions.common.edits import Edited, final_states, generate, unembed
from tests.common.tiny_bridge import WIDTH

SITE = "blocks.1.hook_resid_post"


@pytest.fixture
def tokens():
    return torch.randint(1, 51, (4, 7), generator=torch.Generator().manual_seed(0))


def test_final_states_unembed_to_the_logits(model, tokens):
    assert torch.allclose(unembed(model, final_states(model, tokens)), model(tokens), atol=1e-4)


def test_an_edit_leaves_the_first_position_as_it_is(model, tokens):
    seen = {}

    def keep(values, hook):
        seen["after"] = values.clone()

    with Edited(model, {SITE: lambda values: values + 100}), model.hooks(fwd_hooks=[(SITE, keep)]):
        model(tokens)
    edited = seen["after"]
    with model.hooks(fwd_hooks=[(SITE, keep)]):
        model(tokens)

    assert torch.equal(edited[:, 0], seen["after"][:, 0])
    assert torch.allclose(edited[:, 1:], seen["after"][:, 1:] + 100, rtol=1e-4)


def test_the_model_is_as_it_was_afterwards(model, tokens):
    before = model(tokens)

    final_states(model, tokens, {SITE: torch.zeros_like})

    assert torch.equal(model(tokens), before)


def by_hand(model, prompts, uniform, edits, temperature):
    """Generation without a cache: the whole text is run again for each token."""
    text = prompts
    for step in range(uniform.shape[1]):
        logits = unembed(model, final_states(model, text, edits)[:, -1])
        passed = (logits / temperature).softmax(-1).cumsum(-1) < uniform[:, step, None]
        text = torch.cat([text, passed.sum(-1, keepdim=True)], dim=1)
    return text[:, prompts.shape[1] :]


@pytest.mark.parametrize("strength", [0.0, 30.0])
def test_generation_with_a_cache_equals_whole_passes(model, tokens, strength):
    shift = strength * torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))
    edits = {SITE: lambda values: values + shift}

    uniform = torch.rand(4, 6, generator=torch.Generator().manual_seed(2))
    found = generate(model, tokens, uniform, edits)

    assert found.shape == (4, 6)
    assert torch.equal(found, by_hand(model, tokens, uniform, edits, 0.75))


def test_tokens_are_drawn_as_often_as_they_are_likely(model):
    prompt = torch.tensor([[0, 3, 4]])
    likely = (unembed(model, final_states(model, prompt)[:, -1]) / 9.0).softmax(-1)[0]

    uniform = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn = generate(model, prompt.repeat(4000, 1), uniform, temperature=9.0)

    assert torch.allclose(drawn.flatten().bincount(minlength=51) / 4000, likely, atol=0.03)


def test_a_text_does_not_depend_on_those_beside_it(model, tokens):
    uniform = torch.rand(4, 8, generator=torch.Generator().manual_seed(0))

    together = generate(model, tokens, uniform, temperature=5.0)

    assert torch.equal(together[2:], generate(model, tokens[2:], uniform[2:], temperature=5.0))
    assert not torch.equal(together, generate(model, tokens, uniform.flip(0), temperature=5.0))
