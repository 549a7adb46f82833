"""Tiny random models with TransformerLens's hooks on them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from reproductions.common.quiet import quiet_transformers

WORDS = ["<s>", *(f"w{number}" for number in range(50))]
LAYERS, WIDTH = 3, 16


def random_tokens(n: int, length: int, seed: int = 0) -> torch.Tensor:
    """Texts [n, length] of words drawn at random."""
    return torch.randint(1, len(WORDS), (n, length), generator=torch.Generator().manual_seed(seed))


def random_pair(length: int, begin: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts [length] that begin alike and differ from a token on."""
    one, other = random_tokens(2, length, seed)
    other[:begin] = one[:begin]
    other[begin] = one[begin] % (len(WORDS) - 1) + 1
    return one, other


def tiny_llama(folder: Path) -> TransformerBridge:
    """Three layers of a random Llama."""
    return _bridge(folder, LlamaForCausalLM(LlamaConfig(**_shape())))


def tiny_gemma(folder: Path) -> TransformerBridge:
    """Three layers of a random Gemma 3, which norms what attention and MLP add to the residual stream."""
    return _bridge(folder, Gemma3ForCausalLM(Gemma3TextConfig(**_shape(), head_dim=8, sliding_window=8)))


def _shape() -> dict[str, object]:
    return {
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": len(WORDS),
        "bos_token_id": 0,
        "eos_token_id": 0,
        "attn_implementation": "eager",
    }


def _bridge(folder: Path, model: PreTrainedModel) -> TransformerBridge:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5)
    with quiet_transformers():
        model.eval().save_pretrained(folder)
        _tokenizer().save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model, device="cpu")
    bridge.cfg.model_name = "tiny/model"
    bridge.original_model.requires_grad_(False)
    return bridge.eval()


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<s>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="<s>")
