"""Dynamic scores against a second pass in which attention is forced by hand."""

import pytest
import torch

from reproductions.head_mapping.dynamic import HeadReader, Prompt, dynamic_hits, template_scores
from reproductions.head_mapping.method import Heads, readout_hits
from reproductions.head_mapping.reading import Choice
from tests.head_mapping.test_method import MODELS, random_pairs
from tests.head_mapping.tiny import tiny_llama, word_tokenizer


def read(model, tokens, source_at):
    """What the reader finds for prompts [n, length] that differ only in the source."""
    first = tokens[0].tolist()
    prompt = Prompt(tuple(first[:source_at]), tuple(first[source_at + 1 :]))
    with HeadReader(model) as reader:
        return reader.read(prompt, tokens[:, source_at, None])


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
    model, tokens = tiny_llama(), torch.tensor([[3, 4, 9, 5], [3, 4, 17, 5]])
    z, _ = read(model, tokens, 2)
    seen = {}
    with model.hooks(fwd_hooks=[("blocks.1.hook_attn_out", lambda t, hook: seen.update(out=t.clone()))]):
        model.original_model(tokens, use_cache=False)
    written = torch.einsum("nhk,hkd->nd", z[:, 1], model.W_O[1])
    torch.testing.assert_close(written, seen["out"][:, -1], atol=1e-5, rtol=1e-4)


def test_batches_do_not_change_what_is_read(monkeypatch):
    model, tokens = tiny_llama(), torch.tensor([3, 4, 9, 5, 6]).repeat(7, 1)
    tokens[:, 1] = torch.arange(20, 27)
    whole = read(model, tokens, 1)
    monkeypatch.setattr("reproductions.head_mapping.dynamic.BATCH_TOKENS", 10)
    for expected, got in zip(whole, read(model, tokens, 1), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_scores_come_by_template_and_relation():
    model, pairs = tiny_llama(), random_pairs(20)
    variants = [Heads.of(model), Heads.of(model, Choice(fold_norms=True))]
    found = [dynamic_hits(model, variants, pairs, template)[0] for template in ("w3 {} w4", "w8 w9 {}")]
    scores = template_scores(pairs, found, context=True, sign="promoted")
    assert scores.shape == (2, 2, 3, 4)
    assert scores[1, 0, 2, 3] == found[1].with_context.promoted[pairs.relation == 0, 2, 3].float().mean()


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_before_the_source_is_run_once_for_all(name):
    """z at the last position and v at the source of whole passes, prompt by prompt."""
    model, tokens, source = MODELS[name](), torch.tensor([[3, 4, 9, 5, 6], [3, 4, 17, 5, 6]]), 2
    z, v = read(model, tokens, source)
    seen = {}
    hooks = [
        (f"blocks.{layer}.attn.hook_{what}", lambda x, hook, key=(what, layer): seen.update({key: x.clone()}))
        for layer in range(len(model.blocks))
        for what in "zv"
    ]
    with model.hooks(fwd_hooks=hooks):
        model.original_model(tokens, use_cache=False)
    for layer in range(len(model.blocks)):
        whole = seen["v", layer][:, source]
        torch.testing.assert_close(z[:, layer], seen["z", layer][:, -1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(v[:, layer, :: v.shape[2] // whole.shape[1]], whole, atol=1e-5, rtol=1e-4)


def test_a_source_of_several_pairs_is_read_for_each_of_them():
    model, heads = tiny_llama(), Heads.of(tiny_llama())
    pairs = random_pairs(20)
    twice = pairs.select(torch.tensor([3, 5, 3, 3]))
    found = dynamic_hits(model, [heads], twice, "w3 {} w4")[0]
    z, v = read(model, torch.stack([torch.tensor([3, int(s), 4]) for s in twice.source]), 1)
    for hits, out in ((found.with_context, z), (found.without_context, v)):
        assert torch.equal(hits.promoted, readout_hits(heads, out, twice.target, twice.top_k).promoted)
