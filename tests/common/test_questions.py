"""Answers from a few logits against those from all of them."""

from __future__ import annotations

import pytest
import torch

from reproductions.common.answer_metrics import logit_difference
from reproductions.common.models import load_model
from reproductions.common.patching import HEADS, Patching
from reproductions.common.prompt_pairs import pairs
from reproductions.common.questions import Question, asked
from tests.common.tiny_bridge import random_pair


def test_a_question_is_answered_as_from_all_logits(model):
    patching, question = Patching(model, *random_pair(9, 4), [HEADS]), Question(torch.tensor([3]), torch.tensor([7, 9]))
    states = patching.clean.states[-1].expand(2, -1, -1)
    whole = logit_difference(patching.logits(states), question.right, question.wrong)
    torch.testing.assert_close(question(patching, states), whole)


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_a_real_model_says_the_same(name):
    model = load_model(name, "cpu")
    pair = pairs(model, "greater than", 1)[0]
    patching = Patching(model, pair.clean, pair.corrupted, [HEADS])
    whole = logit_difference(patching.logits(patching.clean.states[-1]), pair.right, pair.wrong)
    torch.testing.assert_close(asked(pair)(patching, patching.clean.states[-1]), whole, atol=1e-4, rtol=1e-4)
