"""Tiny random models of several architectures, as transformers writes them into a folder."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from reproductions.common.quiet import quiet_transformers

WORDS = ["<s>", *(f"w{number}" for number in range(50))]
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": len(WORDS),
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GPT2_SHAPE = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "vocab_size": len(WORDS)}
GROUPED = {"num_key_value_heads": 1}

CONFIGS: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(**GPT2_SHAPE, bos_token_id=0, eos_token_id=0),
    "llama": LlamaConfig(**SHAPE, **GROUPED),
    "neox": GPTNeoXConfig(**SHAPE),
    "gemma": Gemma2Config(**SHAPE, **GROUPED, head_dim=8),
    "mamba": MambaConfig(hidden_size=16, num_hidden_layers=2, vocab_size=len(WORDS), state_size=4),
    "mixtral": MixtralConfig(**SHAPE, **GROUPED, num_local_experts=2),
    "bert": BertConfig(**SHAPE),
    "roberta": RobertaConfig(**SHAPE, pad_token_id=0),
}


def write(folder: Path, architecture: str, shards: bool = False) -> Path:
    """A random model with its tokenizer."""
    with quiet_transformers():
        model = _random(architecture)
        model.save_pretrained(folder, max_shard_size="10KB" if shards else "5GB")
        _tokenizer().save_pretrained(folder)
    return folder


def _random(architecture: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config = CONFIGS[architecture]
    masked = {"bert": BertForMaskedLM, "roberta": RobertaForMaskedLM}
    model = masked[architecture](config) if architecture in masked else AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.5)
    found: PreTrainedModel = model.eval()
    return found


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<s>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="<s>")
