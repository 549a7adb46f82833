"""Strengths are found that reach a target, and divergences are what their definition says."""

import pytest
import torch

from reproductions.common import steering
from reproductions.common.edits import final_states, unembed
from reproductions.common.steering import Divergence, reach
from tests.common.tiny_bridge import WIDTH, tiny_llama

SITE = "blocks.1.hook_resid_post"
PROMPTS = ("w1 w2 w3", "w4", "w5 w6")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("model"))


def shifts(of):
    """Edits in which row i of a batch is shifted by a multiple of its own direction."""

    def edit(values):
        return values + of[:, None]

    return {SITE: edit}


def test_divergence_equals_its_definition(model):
    directions = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0))
    found = Divergence(model, PROMPTS)(shifts(directions.repeat_interleave(len(PROMPTS), 0)), 2)

    for direction, value in zip(directions, found, strict=True):
        by_prompt = []
        for prompt in PROMPTS:
            tokens = model.to_tokens(prompt)
            clean = unembed(model, final_states(model, tokens))[0, 1:].log_softmax(-1)
            edited = unembed(model, final_states(model, tokens, shifts(direction[None])))[0, 1:].log_softmax(-1)
            by_prompt.append((clean.exp() * (clean - edited)).sum(-1).mean())
        assert value == pytest.approx(torch.stack(by_prompt).mean().item(), rel=1e-3)


def test_nothing_changed_means_no_divergence(model):
    assert Divergence(model, PROMPTS)({}, 1).item() == pytest.approx(0, abs=1e-6)


def test_a_model_is_pushed_as_hard_as_asked(model):
    divergence = Divergence(model, PROMPTS)
    directions = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(3))

    def effect(rows, strengths):
        moved = (strengths[:, None] * directions[rows]).repeat_interleave(len(PROMPTS), 0)
        return divergence(shifts(moved), len(rows))

    targets = torch.tensor([0.05, 0.1, 0.2] * 2)
    strengths = reach(effect, targets, torch.ones(6))

    assert strengths.isfinite().all()
    assert torch.allclose(effect(torch.arange(6), strengths), targets, rtol=0.031)


@pytest.mark.parametrize("start", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 4.0])
def test_other_growth_than_a_square_is_followed(start, power):
    found = reach(lambda rows, s: s**power, torch.tensor([0.25, 7.0]), torch.full((2,), start), most=1e6)

    assert torch.allclose(found**power, torch.tensor([0.25, 7.0]), rtol=0.031)


def test_what_cannot_be_reached_is_not_a_number():
    found = reach(lambda rows, s: 0.1 * s / (1 + s), torch.tensor([0.05, 0.2]), torch.ones(2))

    assert found[0].item() == pytest.approx(1.0, rel=0.1)
    assert found[1].isnan()


def test_a_strength_without_any_effect_is_not_a_number():
    assert reach(lambda rows, s: 0 * s, torch.tensor([0.1]), torch.ones(1)).isnan().all()


def test_a_row_is_tried_no_more_once_it_is_there():
    tried = []

    def effect(rows, strengths):
        tried.append(rows.tolist())
        return strengths**2

    reach(effect, torch.tensor([1.0, 100.0]), torch.ones(2))

    assert tried[0] == [0, 1]
    assert all(rows == [1] for rows in tried[1:])


def test_many_interventions_are_measured_in_parts(model, monkeypatch):
    monkeypatch.setattr(steering, "LOGITS_AT_ONCE", 1)
    directions = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(1))
    divergence = Divergence(model, PROMPTS)

    def edits(part):
        return shifts(directions[part].repeat_interleave(len(PROMPTS), 0))

    found = divergence.in_parts(3, edits)

    assert divergence.most == 1
    torch.testing.assert_close(found, divergence(edits(torch.arange(3)), 3))
