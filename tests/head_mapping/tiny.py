"""Tiny random models of three designs, with TransformerLens's hooks on them; nothing is downloaded."""

from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

VOCABULARY = 1300  # more than the first block of the vocabulary, so that pairs are left over


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word: " w17" is 17, and every other word is 0."""
    vocabulary = {"<unknown>": 0, "<end>": 1} | {f"w{i}": i for i in range(2, VOCABULARY)}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unknown>"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unknown>", eos_token="<end>", pad_token="<end>")


def tiny_llama(n_layers: int = 3, seed: int = 0) -> TransformerBridge:
    """Grouped queries: 4 heads, 2 of them to a W_V; tied embeddings, RMSNorm."""
    config = LlamaConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=n_layers, num_attention_heads=4, num_key_value_heads=2,
        head_dim=6, vocab_size=VOCABULARY, tie_word_embeddings=True, attn_implementation="eager",
    )  # fmt: skip
    return _bridge(LlamaForCausalLM, config, seed)


def tiny_gpt2(seed: int = 0) -> TransformerBridge:
    """No grouping, LayerNorm with biases."""
    config = GPT2Config(
        n_embd=24, n_layer=2, n_head=4, n_positions=32, vocab_size=VOCABULARY, attn_implementation="eager"
    )
    return _bridge(GPT2LMHeadModel, config, seed)


def tiny_gemma(seed: int = 0) -> TransformerBridge:
    """One W_V for all heads of a layer, norms behind attention and MLP, gains stored less one."""
    config = Gemma3TextConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
        head_dim=8, vocab_size=VOCABULARY, sliding_window=16, attn_implementation="eager",
    )  # fmt: skip
    return _bridge(Gemma3ForCausalLM, config, seed)


def _bridge(architecture: Any, config: Any, seed: int) -> TransformerBridge:
    torch.manual_seed(seed)
    model = architecture(config).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.normal_(std=0.3)
    config.architectures = [architecture.__name__]
    bridge = TransformerBridge.boot_transformers("tiny", hf_model=model, tokenizer=word_tokenizer(), device="cpu")
    return bridge.eval()
