"""What heads are taken to read, against runs of the model by hand; and the rule that chooses, on made-up numbers."""

import math

import pytest
import torch

from reproductions.head_mapping import choosing
from reproductions.head_mapping.choosing import chosen_reading, first_of_each
from reproductions.head_mapping.method import Heads, static_hits
from reproductions.head_mapping.reading import (
    CANDIDATES,
    PAPER,
    READINGS,
    Choice,
    chooses,
    first_token,
    reading_of,
    within_one_error,
)
from tests.head_mapping.test_method import MODELS, random_pairs
from tests.head_mapping.tiny import tiny_gemma, tiny_llama

TOKENS = torch.tensor([11, 7, 400])


@pytest.mark.parametrize("name", MODELS)
def test_blocks_read_the_residual_stream_of_the_token_behind_the_first_token(name):
    """Run each pair by itself through the whole model, and look at the residual stream before every block."""
    model = MODELS[name]()
    n_layers = len(model.blocks)
    sources = Heads.of(model, Choice("blocks:1")).sources(TOKENS)
    for row, token in enumerate(TOKENS.tolist()):
        seen = {}

        def keep(x, hook, seen=seen):
            seen[int(hook.name.split(".")[1])] = x[0, 1].clone()

        hooks = [(f"blocks.{layer}.hook_resid_pre", keep) for layer in range(n_layers)]
        with model.hooks(fwd_hooks=hooks):
            model.original_model(torch.tensor([[first_token(model.tokenizer), token]]), use_cache=False)
        torch.testing.assert_close(sources[0][row], model.W_E[token])
        for layer in range(1, n_layers):
            torch.testing.assert_close(sources[layer][row], seen[1], atol=1e-4, rtol=1e-4)


def test_layers_below_the_depth_read_as_many_blocks_as_there_are_before_them():
    model = tiny_llama(n_layers=4)
    deep, shallow = (Heads.of(model, Choice(f"blocks:{n}")).sources(TOKENS) for n in (2, 1))
    torch.testing.assert_close(deep[1], shallow[1])
    assert not torch.allclose(deep[2], shallow[2])
    assert torch.equal(deep[3], deep[2])


def test_blocks_come_in_chunks_that_change_nothing(monkeypatch):
    model = tiny_llama()
    whole = reading_of(model, "blocks:2")(TOKENS)
    monkeypatch.setattr("reproductions.head_mapping.reading.CHUNK", 2)
    for expected, found in zip(whole, reading_of(model, "blocks:2")(TOKENS), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("build", [tiny_llama, tiny_gemma])
def test_the_sum_is_what_a_model_without_attention_in_layer_0_would_hand_on(build):
    model, token = build(), torch.tensor([[11]])
    zeroed = [("blocks.0.attn.hook_z", lambda z, hook: torch.zeros_like(z))]
    seen = {}
    keep = [("blocks.0.hook_resid_post", lambda x, hook: seen.update(resid_post=x.clone()))]
    with model.hooks(fwd_hooks=zeroed + keep):
        model.original_model(token)
    summed = Heads.of(model, Choice("sum")).sources(token[0])[1]
    torch.testing.assert_close(summed, seen["resid_post"][0], atol=1e-3, rtol=1e-3)


def test_a_head_that_reads_the_embedding_reads_it_in_every_layer():
    model, pairs = tiny_llama(), random_pairs(20)
    z = Heads.of(model, Choice("embedding")).values(pairs.source)
    torch.testing.assert_close(z[:, 2, 3], model.W_E[pairs.source] @ model.W_V[2, 1])


@pytest.mark.parametrize("name", ["blocks:0", "blocks:7", "blocks", "MLP", ""])
def test_an_unknown_reading_is_refused(name):
    with pytest.raises(ValueError, match="the readings are mlp, embedding, sum, blocks:1"):
        reading_of(tiny_llama(), name)


def test_the_first_candidate_within_one_standard_error_of_the_best_is_chosen():
    one, two, three = CANDIDATES[:3]
    best = [0.7, 0.8, 0.9]  # mean 0.8, standard error 0.058
    assert within_one_error({one: [0.7, 0.7, 0.7], two: [0.75, 0.75, 0.75], three: best}) == two
    assert within_one_error({one: [0.75, 0.75, 0.75], two: [0.7, 0.7, 0.7], three: best}) == one
    assert within_one_error({one: [0.1, 0.1, 0.1], two: [math.nan] * 3, three: best}) == three


def test_where_nothing_can_be_measured_the_paper_decides():
    assert within_one_error({choice: [math.nan] for choice in CANDIDATES}) == PAPER


def test_half_of_the_relations_choose_and_the_others_count():
    choosers = chooses([f"r{i}" for i in range(27)])
    assert sum(choosers) == 13
    assert choosers == chooses([f"r{i}" for i in range(27)])
    assert choosers != chooses([f"r{i}" for i in range(27)], seed=1)


def test_only_the_first_pairs_of_the_choosing_relations_are_looked_at(monkeypatch):
    pairs, asked = random_pairs(40), []
    monkeypatch.setattr(choosing, "chooses", lambda names: (False, True))
    monkeypatch.setattr(
        choosing,
        "candidate_agreements",
        lambda model, own, templates, candidates: asked.append(own) or [[0.1, 0.2]] * len(candidates),
    )
    found = chosen_reading(None, pairs, ["{}"], "auto", "auto")
    assert asked[0].relation.unique().tolist() == [1]
    assert len(asked[0]) == choosing.PAIRS
    assert found.counted == [True, False]
    assert found.candidates == CANDIDATES


def test_gains_that_are_asked_for_are_kept(monkeypatch):
    monkeypatch.setattr(choosing, "candidate_agreements", lambda *a: [[0.1, 0.2]] * len(a[3]))
    assert chosen_reading(None, random_pairs(9), [], "auto", "true").choice == Choice("mlp", True)
    assert chosen_reading(None, random_pairs(9), [], "auto", "false").candidates == (PAPER,)


def test_a_reading_that_is_asked_for_is_taken_and_all_relations_count():
    found = chosen_reading(None, random_pairs(9), [], "blocks:3", "true")
    assert found.choice == Choice("blocks:3", True)
    assert found.counted == [True, True]
    with pytest.raises(ValueError, match="reads is 'blocks:9'"):
        chosen_reading(None, random_pairs(9), [], "blocks:9", "auto")


def test_the_rule_takes_the_reading_under_which_heads_do_what_their_matrices_say(monkeypatch):
    """Dynamic scores that are made of the reading of two blocks: the static scores of that candidate are the same."""
    model = tiny_llama()
    pairs = first_of_each(random_pairs(60), (False, True), most=60)
    heads = Heads.of(model, Choice("blocks:2", True))
    promoted = static_hits(heads, pairs, suppression=False).promoted
    monkeypatch.setattr(choosing, "head_outputs", lambda *a: (None, heads.values(pairs.source)))
    found = dict(zip(CANDIDATES, choosing.candidate_agreements(model, pairs, ["{}", "{}"], CANDIDATES), strict=True))
    assert promoted.any()
    assert found[Choice("blocks:2", True)][1] == pytest.approx(1.0)
    assert found[PAPER][1] < 0.9
    assert set(READINGS) > {choice.reads for choice in CANDIDATES}
