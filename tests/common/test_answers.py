"""Answers behind prompts that were run before, against plain passes over both."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from reproductions.common.answers import Answers

PROMPTS = ["w1 w2 w3", "w4 w5", "w6 w7 w8 w9 w10", "w11 w12 w13"]  # padded to one length
GIVEN = [["w1", "w2 w3 w4"], ["w5 w6", "w7"], ["w8 w9", "w10 w11 w12"], ["w13", "w14"]]


@pytest.fixture(scope="module")
def answers(model):
    return Answers(model, PROMPTS, GIVEN)


def whole(model, number, answer):
    """A prompt and one of its answers as one row of tokens, and the answer's length."""
    prompt, own = (
        model.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (PROMPTS[number], GIVEN[number][answer])
    )
    return torch.tensor([[0, *prompt, *own]]), len(own)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("answer", [0, 1])
def test_z_is_what_a_plain_pass_has_at_the_last_token(model, answers, number, answer):
    tokens, _ = whole(model, number, answer)
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    _, cache = model.run_with_cache(tokens, names_filter=names)
    by_hand = torch.cat([cache[name][0, -1] for name in names])
    torch.testing.assert_close(answers.read((0, 1))[number, answer], by_hand, atol=1e-4, rtol=1e-4)


def pushed(z, hook, start, by):
    z[:, start:] += by
    return z


@pytest.mark.parametrize("by", [0.0, 0.5])
@pytest.mark.parametrize("number", range(4))
def test_answers_are_as_likely_as_in_a_plain_pass_with_the_same_edit(model, answers, number, by):
    sites = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    found = answers.log_p([number], (1, 0), {site: lambda z: z + by for site in sites})
    for place, answer in enumerate((1, 0)):
        tokens, length = whole(model, number, answer)
        start = tokens.shape[1] - length - 1
        with model.hooks([(site, partial(pushed, start=start, by=by)) for site in sites]):
            logits = model(tokens).log_softmax(-1)[0]
        by_hand = sum(logits[start + step, tokens[0, start + 1 + step]].item() for step in range(length))
        assert found[0, place].item() == pytest.approx(by_hand, abs=1e-3)


def test_one_answer_does_not_depend_on_what_else_is_asked_for(answers):
    torch.testing.assert_close(answers.log_p([2], (1,)), answers.log_p(range(4), (0, 1))[2:3, 1:])
