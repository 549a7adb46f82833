"""Dynamic scores against a second pass in which attention is forced by hand."""

import pytest
import torch

from reproductions.head_mapping.dynamic import HeadReader, Prompt, dynamic_hits, template_scores
from reproductions.head_mapping.method import Heads
from tests.head_mapping.test_method import MODELS, random_pairs
from tests.head_mapping.tiny import tiny_llama, word_tokenizer


def read(model, tokens, source_at):
    with HeadReader(model) as reader:
        return reader.read(tokens, source_at)


def test_a_prompt_puts_the_source_between_its_halves():
    prompt = Prompt.of("w3 w4 {} w5", word_tokenizer())
    assert prompt.fill(torch.tensor([[9], [8]])).tolist() == [[3, 4, 9, 5], [3, 4, 8, 5]]


@pytest.mark.parametrize("name", MODELS)
def test_without_context_equals_attention_forced_on_the_source(name):
    """Force one layer's pattern to the source: its z at the last position is the value vector that we read."""
    model = MODELS[name]()
    tokens, source = torch.tensor([[3, 4, 9, 5, 6]]), 2
    _, v = read(model, tokens, source)
    for layer in range(len(model.blocks)):
        seen = {}

        def force(pattern, hook):
            pattern = pattern.clone()
            pattern[:, :, -1] = 0.0
            pattern[:, :, -1, source] = 1.0
            return pattern

        hooks = [
            (f"blocks.{layer}.attn.hook_pattern", force),
            (f"blocks.{layer}.attn.hook_z", lambda z, hook, seen=seen: seen.update(z=z.clone())),
        ]
        with model.hooks(fwd_hooks=hooks):
            model.original_model(tokens, use_cache=False)
        torch.testing.assert_close(seen["z"][:, -1], v[:, layer], atol=1e-5, rtol=1e-4)


def test_with_context_reads_what_the_head_adds_to_the_residual_stream():
    """The heads' outputs, each through its W_O, add up to the attention output of the layer."""
    model, tokens = tiny_llama(), torch.tensor([[3, 4, 9, 5], [7, 4, 9, 2]])
    z, _ = read(model, tokens, 2)
    seen = {}
    with model.hooks(fwd_hooks=[("blocks.1.hook_attn_out", lambda t, hook: seen.update(out=t.clone()))]):
        model.original_model(tokens, use_cache=False)
    written = torch.einsum("nhk,hkd->nd", z[:, 1], model.W_O[1])
    torch.testing.assert_close(written, seen["out"][:, -1], atol=1e-5, rtol=1e-4)


def test_batches_do_not_change_what_is_read(monkeypatch):
    model, tokens = tiny_llama(), torch.randint(2, 900, (7, 5))
    whole = read(model, tokens, 1)
    monkeypatch.setattr("reproductions.head_mapping.dynamic.BATCH_TOKENS", 10)
    for expected, got in zip(whole, read(model, tokens, 1), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_scores_come_by_template_and_relation():
    model, pairs = tiny_llama(), random_pairs(20)
    found = dynamic_hits(model, Heads.of(model), pairs, ["w3 {} w4", "w8 w9 {}"])
    scores = template_scores(pairs, found, context=True, sign="promoted")
    assert scores.shape == (2, 2, 3, 4)
    assert scores[1, 0, 2, 3] == found[1].with_context.promoted[pairs.relation == 0, 2, 3].float().mean()
