"""A GGUF file, de-quantised to float32 safetensors with its configuration and tokenizer beside it."""

import io
from contextlib import redirect_stderr
from pathlib import Path

import torch
from tokenizers.pre_tokenizers import Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

from reproductions.common.quiet import quiet_transformers


def convert(gguf: Path, target: Path, split_digits: bool) -> None:
    """Write the model and its tokenizer into the target folder."""
    with quiet_transformers(), redirect_stderr(io.StringIO()):  # its bar for GGUF cannot be turned off
        _save_model(gguf, target)
        _save_tokenizer(gguf, target, split_digits)


def _save_model(gguf: Path, target: Path) -> None:
    """Marks of quantisation are cleared: the weights are plain float32 now, and saving refuses them."""
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)


def _save_tokenizer(gguf: Path, target: Path, split_digits: bool) -> None:
    """`split_digits` restores what transformers does not read: the "smollm" pre-tokenizer takes digits singly."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if split_digits:
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = Sequence([Digits(individual_digits=True), backend.pre_tokenizer])
    tokenizer.save_pretrained(target)
