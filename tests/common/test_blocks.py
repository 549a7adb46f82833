"""Blocks one by one give what the model gives in one pass."""

from __future__ import annotations

import pytest
import torch

from reproductions.common import blocks
from reproductions.common.blocks import Blocks
from reproductions.common.edits import Edited, final_states
from tests.common.tiny_bridge import LAYERS, WIDTH, random_tokens


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(5, 12)


def test_states_are_those_of_a_whole_pass(model, tokens):
    one_by_one = Blocks(model, tokens)
    states = list(one_by_one.states(tokens))
    assert len(one_by_one) == LAYERS
    assert [state.shape for state in states] == [(5, 12, WIDTH)] * (LAYERS + 1)
    torch.testing.assert_close(one_by_one.final(LAYERS, states[-1]), final_states(model, tokens))


@pytest.mark.parametrize("start", range(LAYERS))
def test_it_does_not_matter_where_a_pass_is_taken_up(model, tokens, start):
    one_by_one = Blocks(model, tokens)
    states = list(one_by_one.states(tokens))
    torch.testing.assert_close(one_by_one.final(start, states[start]), final_states(model, tokens))


@pytest.mark.parametrize("site", ["hook_resid_post", "hook_attn_out", "hook_mlp_out"])
def test_an_edit_within_a_block_works_as_in_a_whole_pass(model, tokens, site):
    def edit(x):
        return 2 * x + 1

    one_by_one, name = Blocks(model, tokens), f"blocks.1.{site}"
    before = list(one_by_one.states(tokens))[1]
    with Edited(model, {name: edit}):
        after = one_by_one.run(1, before)
    torch.testing.assert_close(one_by_one.final(2, after), final_states(model, tokens, {name: edit}))
    assert not torch.allclose(one_by_one.final(2, after), final_states(model, tokens))


def test_parts_of_a_batch_give_the_whole(model, tokens, monkeypatch):
    whole = list(Blocks(model, tokens).states(tokens))[-1]
    monkeypatch.setattr(blocks, "BATCH", 2)
    torch.testing.assert_close(list(Blocks(model, tokens).states(tokens))[-1], whole)
