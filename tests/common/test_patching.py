"""Patched runs against whole passes with one hook, and of the pinned models against passes without TransformerLens."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from reproductions.common import fetch, patching
from reproductions.common.catalogue import model_card
from reproductions.common.models import load_model
from reproductions.common.patching import HEADS, MLPS, RESIDUAL, Node, Patching, head_nodes, layer_nodes
from reproductions.common.prompt_pairs import pairs
from tests.common.tiny_bridge import LAYERS, random_pair

BEGIN, LENGTH = 4, 9
POINTS = [HEADS, MLPS, RESIDUAL, "attn.hook_q", "attn.hook_v", "mlp.hook_post"]
NODES = [
    Node(0, HEADS, 1),
    Node(2, HEADS, 0, 4),
    Node(1, MLPS),
    Node(1, RESIDUAL, None, 2),
    Node(1, "attn.hook_q", 1),
    Node(0, "attn.hook_v", 0),
    Node(2, "mlp.hook_post", 7),
]


@pytest.fixture(scope="module")
def texts():
    return random_pair(LENGTH, BEGIN)


@pytest.fixture(scope="module")
def patched(model, texts):
    return Patching(model, *texts, POINTS)


def in_one_pass(model, texts, nodes):
    """Logits at the last position of the first text, with nodes of the second."""
    clean, corrupted = texts
    _, values = model.run_with_cache(corrupted[None])

    def hook(node):
        def replace(activation, hook):
            changed = activation.clone()
            changed[0, BEGIN:][node.place] = values[node.name][0, BEGIN:][node.place]
            return changed

        return node.name, replace

    with model.hooks(fwd_hooks=[hook(node) for node in nodes]), torch.no_grad():
        return model(clean[None])[0, -1]


def test_both_runs_are_those_of_plain_passes(model, texts, patched):
    for text, run in zip(texts, (patched.clean, patched.corrupted), strict=True):
        logits, values = model.run_with_cache(text[None])
        torch.testing.assert_close(patched.logits(run.states[-1]), logits[0, -1])
        for name in patched.names:
            torch.testing.assert_close(run.values[name], values[name][0, BEGIN:])


@pytest.mark.parametrize("node", NODES, ids=str)
def test_a_patch_is_what_one_hook_does(model, texts, patched, node):
    found = patched.logits(patched.patched(patched.clean, patched.corrupted, [[node]]))[0]
    torch.testing.assert_close(found, in_one_pass(model, texts, [node]))
    assert not torch.allclose(found, patched.logits(patched.clean.states[-1]))


def test_many_patches_run_as_each_alone_in_whatever_order_and_parts(model, texts, patched, monkeypatch):
    patches = [[NODES[1]], [NODES[0], NODES[2]], [NODES[3]], [NODES[2], NODES[5], NODES[6]], [NODES[0]]]
    each = torch.stack([in_one_pass(model, texts, nodes) for nodes in patches])
    for rows in (512, 2):
        monkeypatch.setattr(patching, "ROWS", rows)
        found = patched.logits(patched.patched(patched.clean, patched.corrupted, patches))
        torch.testing.assert_close(found, each)


def test_a_run_patched_with_itself_stays_as_it_is(patched):
    whole = patched.logits(patched.clean.states[-1]).expand(len(NODES), -1)
    found = patched.patched(patched.clean, patched.clean, [[node] for node in NODES])
    torch.testing.assert_close(patched.logits(found), whole)


def test_all_of_the_residual_stream_is_the_other_run(patched):
    found = patched.patched(patched.clean, patched.corrupted, [[node] for node in layer_nodes(patched.model, RESIDUAL)])
    other = patched.logits(patched.corrupted.states[-1]).expand(LAYERS, -1)
    torch.testing.assert_close(patched.logits(found), other)


def test_a_run_may_start_from_any_states(patched):
    again = patched.run(patched.clean.x)
    torch.testing.assert_close(again.states[-1], patched.clean.states[-1])
    noisy = patched.run(patched.clean.x + 1)
    assert not torch.allclose(noisy.states[-1], patched.clean.states[-1])


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_numbers_of_real_models_are_those_of_the_transformers_library_alone(name):
    model = load_model(name, "cpu")
    pair = pairs(model, "indirect objects", 1)[0]
    found = Patching(model, pair.clean, pair.corrupted, [HEADS, MLPS])
    nodes = [head_nodes(model)[-1], Node(model.cfg.n_layers // 2, HEADS, 1), Node(model.cfg.n_layers // 2, MLPS)]
    ours = found.logits(found.patched(found.clean, found.corrupted, [[node] for node in nodes]))
    plain = AutoModelForCausalLM.from_pretrained(
        fetch.ensure(model_card(name)), dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    for logits, node in zip(ours, nodes, strict=True):
        torch.testing.assert_close(logits, without_our_hooks(plain, pair, node, model.cfg.d_head), atol=1e-4, rtol=1e-4)


def without_our_hooks(plain, pair, node, width):
    """The same patch by PyTorch's own hooks on the library's modules."""
    layer = plain.model.layers[node.layer]
    own = slice(node.part * width, (node.part + 1) * width) if node.point == HEADS else slice(None)
    module = layer.self_attn.o_proj if node.point == HEADS else mlp_end(layer)
    kept = []

    def keep(_, given, made=None):
        kept.append((given[0] if node.point == HEADS else made).clone())

    def replace(_, given, made=None):
        changed = (given[0] if node.point == HEADS else made).clone()
        changed[..., own] = kept[0][..., own]
        return (changed,) if node.point == HEADS else changed

    for text, hook in ((pair.corrupted, keep), (pair.clean, replace)):
        handle = (module.register_forward_pre_hook if node.point == HEADS else module.register_forward_hook)(hook)
        with torch.no_grad():
            logits = plain(text[None]).logits[0, -1]
        handle.remove()
    return logits


def mlp_end(layer):
    """What adds the MLP's output: the MLP itself, or the norm behind it."""
    return getattr(layer, "post_feedforward_layernorm", layer.mlp)
