"""What follows a shared beginning, against plain passes over the whole."""

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel

from reproductions.common.continued import Continued
from tests.common.tiny_bridge import LAYERS, WIDTH, WORDS, tiny_gemma, tiny_llama


def tiny_gpt2(folder):
    """Three layers of a random GPT-2, which adds positions to words."""
    shape = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "vocab_size": len(WORDS), "attn_implementation": "eager"}
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**shape)).eval()
    tokenizer = tiny_llama(folder).tokenizer
    return TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=tokenizer, device="cpu")


@pytest.fixture(scope="module", params=[tiny_llama, tiny_gemma, tiny_gpt2])
def model(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def texts():
    """Five texts of a beginning of six tokens that they share and three of their own."""
    drawn = torch.randint(1, len(WORDS), (5, 9), generator=torch.Generator().manual_seed(0))
    drawn[:, :6] = drawn[0, :6]
    return drawn


def states(model, texts):
    return model.original_model(texts, output_hidden_states=True).hidden_states


@pytest.mark.parametrize("block", range(LAYERS))
def test_states_are_those_of_a_plain_pass(model, texts, block):
    continued = Continued(model, texts[0, :6], texts[:1, 6:])
    with torch.no_grad():
        found = continued.run(continued.embedded(texts[:, 6:]), 0, block)
    torch.testing.assert_close(found, states(model, texts)[block][:, 6:], atol=1e-5, rtol=1e-4)


def test_a_run_goes_on_where_another_ended(model, texts):
    continued = Continued(model, texts[0, :6], texts[:1, 6:])
    with torch.no_grad():
        begun = continued.run(continued.embedded(texts[:, 6:]), 0, 1)
        found = model.ln_final(continued.run(begun, 1, len(continued)))
    torch.testing.assert_close(found, states(model, texts)[-1][:, 6:], atol=1e-5, rtol=1e-4)


def test_gradients_pass_and_no_text_depends_on_another(model, texts):
    continued = Continued(model, texts[0, :6], texts[:1, 6:])
    x = continued.run(continued.embedded(texts[:, 6:]), 0, 1).detach().requires_grad_()
    continued.run(x, 1, LAYERS)[2, -1].sum().backward()
    assert (x.grad[2].norm(dim=-1) > 0).all()
    assert x.grad[[0, 1, 3, 4]].abs().max() == 0
