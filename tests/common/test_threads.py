"""Small passes compute on one thread, large ones on all, and what was set comes back."""

import pytest
import torch

from reproductions.common.threads import SMALL, suit_threads
from tests.common.tiny_bridge import tiny_llama


class Model(torch.nn.Module):
    """Notes the threads that it is run with; fails at the token 9."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, input_ids=None, inputs_embeds=None):
        self.seen.append(torch.get_num_threads())
        if input_ids is not None and (input_ids == 9).any():
            raise ValueError("nine")
        return input_ids


@pytest.fixture
def model():
    former = torch.get_num_threads()
    torch.set_num_threads(2)
    model = Model()
    suit_threads(model)
    yield model
    assert torch.get_num_threads() == 2
    torch.set_num_threads(former)


def tokens(*shape):
    return torch.zeros(shape, dtype=torch.long)


def test_small_passes_take_one_thread_and_large_ones_all(model):
    model(tokens(1, 12))
    model(input_ids=tokens(SMALL // 16, 16))
    model(input_ids=tokens(1, SMALL - 1))
    assert model.seen == [1, 2, 1]


def test_embeddings_count_as_tokens(model):
    model(inputs_embeds=torch.zeros(1, 12, 576))
    model(inputs_embeds=torch.zeros(4, 128, 2))
    assert model.seen == [1, 2]


def test_a_pass_that_fails_leaves_the_number_as_it_was(model):
    with pytest.raises(ValueError, match="nine"):
        model(tokens(1, 3) + 9)
    assert torch.get_num_threads() == 2


def test_a_hook_that_fails_leaves_the_number_as_it_was(model):
    model.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(tokens(1, 3))
    assert torch.get_num_threads() == 2


def test_a_run_on_one_thread_stays_on_one(model):
    torch.set_num_threads(1)
    model(tokens(4, 128))
    assert (model.seen, torch.get_num_threads()) == ([1], 1)
    torch.set_num_threads(2)


def test_a_pass_with_hooks_on_it_is_suited_too(tmp_path):
    former, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    model = tiny_llama(tmp_path)
    suit_threads(model.original_model.base_model)
    note = [("blocks.0.hook_out", lambda value, hook: seen.append(torch.get_num_threads()))]
    model.run_with_hooks(tokens(1, 12), fwd_hooks=note)
    model.run_with_hooks(tokens(SMALL // 16, 16), fwd_hooks=note)
    assert (seen, torch.get_num_threads()) == ([1, 2], 2)
    torch.set_num_threads(former)
