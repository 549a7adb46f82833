"""The plain loop against patches that run together, and what is counted."""

from __future__ import annotations

import pytest
import torch

from reproductions.common.patching import HEADS, MLPS, Node, Patching, head_nodes, layer_nodes
from reproductions.common.patching_cost import Cost, one_by_one, patching_cost, product_operations
from tests.common.tiny_bridge import LAYERS, random_pair


@pytest.fixture(scope="module")
def texts():
    return random_pair(9, 4)


@pytest.fixture(scope="module")
def patching(model, texts):
    return Patching(model, *texts, [HEADS, MLPS])


def test_a_plain_loop_finds_what_patches_together_find(model, texts, patching):
    nodes = [*head_nodes(model), *layer_nodes(model), Node(1, HEADS, 0, 2)]
    together = patching.logits(patching.patched(patching.clean, patching.corrupted, [[node] for node in nodes]))
    torch.testing.assert_close(one_by_one(model, texts[0], patching.corrupted, nodes), together)


def test_operations_are_those_of_blocks_that_are_run(model, patching):
    block = model.original_model.base_model.layers[0]
    linear = [part for part in block.modules() if isinstance(part, torch.nn.Linear)]
    each = 2 * len(patching.clean.x) * sum(part.weight.numel() for part in linear)
    assert product_operations(patching, layer_nodes(model)) == each * sum(range(1, LAYERS + 1))


def test_a_cost_has_every_number(model, texts, patching):
    found = patching_cost(patching, texts[0], head_nodes(model), looped=2)
    assert found.patches == len(head_nodes(model)) and found.share > 0 and found.ratio > 0
    assert Cost(10, 2.0, 20.0, 8.0, 16.0).ratio == 10 and Cost(10, 2.0, 20.0, 8.0, 16.0).share == 0.25
