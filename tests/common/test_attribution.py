"""First-order effects of patches, against finite differences and where they are exact."""

from __future__ import annotations

import pytest
import torch

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.attribution import attributed, slopes
from reproductions.common.patching import HEADS, MLPS, RESIDUAL, Node, Patching, Run, head_nodes, layer_nodes
from tests.common.tiny_bridge import LAYERS, random_pair

POINTS = [HEADS, MLPS, RESIDUAL, "attn.hook_q"]
STEP = 1e-2  # norms compute in single precision


@pytest.fixture(scope="module")
def patching(model):
    return Patching(model, *random_pair(8, 4), POINTS)


def difference(logits):
    return logit_difference(logits, torch.tensor([3]), torch.tensor([7]))


def nodes(model):
    return [*head_nodes(model), *layer_nodes(model), *layer_nodes(model, RESIDUAL), *head_nodes(model, "attn.hook_q")]


def near(base, donor, step):
    """A donor that lies a step towards the true one."""
    values = {name: base.values[name] + step * (donor.values[name] - base.values[name]) for name in base.values}
    return Run(base.states, values)


def test_attributions_are_the_slopes_of_true_patches(model, patching):
    base, gradients = slopes(patching, patching.clean.x, difference)
    found = attributed(base, patching.corrupted, gradients, nodes(model))
    moved = [
        difference(
            patching.logits(patching.patched(base, near(base, patching.corrupted, step), [[n] for n in nodes(model)]))
        )
        for step in (STEP, -STEP)
    ]
    torch.testing.assert_close(found, (moved[0] - moved[1]) / (2 * STEP), rtol=1e-2, atol=1e-3)
    assert found.abs().min() > 0


def test_a_position_counts_alone_and_all_add_up(model, patching):
    base, gradients = slopes(patching, patching.clean.x, difference)
    whole = attributed(base, patching.corrupted, gradients, [Node(1, HEADS, 0)])
    apart = attributed(base, patching.corrupted, gradients, [Node(1, HEADS, 0, position) for position in range(4)])
    torch.testing.assert_close(apart.sum(), whole[0])


def test_a_metric_that_is_linear_in_a_node_is_attributed_exactly(model, patching):
    base, donor = patching.clean, patching.corrupted
    name = f"blocks.{LAYERS - 1}.{MLPS}"
    direction = torch.randn(base.x.shape[1], generator=torch.Generator().manual_seed(0))
    gradients = {name: direction.expand_as(base.values[name])}
    moved = (donor.values[name] - base.values[name]) @ direction
    torch.testing.assert_close(attributed(base, donor, gradients, [Node(LAYERS - 1, MLPS)])[0], moved.sum())


def test_a_run_with_gradients_is_the_run_without(patching):
    base, _ = slopes(patching, patching.clean.x, difference)
    for name, value in patching.clean.values.items():
        torch.testing.assert_close(base.values[name], value)
