"""The one way to a model: `load_model(name)` returns it with TransformerLens's hooks on it."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, PreTrainedModel

from reproductions.common import devices, examine, fetch
from reproductions.common.catalogue import ModelCard, ModelError, model_card
from reproductions.common.quiet import quiet_transformers
from reproductions.common.threads import suit_threads

UNKNOWN = re.compile(r"Could not determine supported architecture.*Config architectures: \['(\w+)'")


def load_model(name: str = "smollm2-135m", device: str = "auto") -> TransformerBridge:
    """The model in float32 with its raw weights and its tokenizer, in evaluation mode, without gradients.

    Nothing is folded, centred or expanded: weights and activations are the model's own, grouped heads stay grouped.
    `to_tokens` puts the tokenizer's first special token in front (`prepend_bos=False` does not), whatever the
    architecture: TransformerLens would leave it out for some.
    """
    place = devices.resolve(device)
    card = fetch.pinned(model_card(name))
    folder = fetch.ensure(card)
    with quiet_transformers():
        try:
            model = _load_weights(folder, place)
            bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model, device=place)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(_cannot_load(card, error)) from error
    bridge.cfg.model_name = card.name
    bridge.cfg.default_prepend_bos = True
    bridge.original_model.requires_grad_(False)
    model.base_model.register_forward_hook(_refuse_nan)
    suit_threads(model.base_model)
    bridge.eval()
    examine.examine(bridge, card, device)
    bridge.cfg.weights_sha256 = card.sha256
    return bridge


class NotANumberError(ArithmeticError):
    """A model's output holds NaN or infinity: whatever came of it would be no finding."""


def _refuse_nan(_: Any, __: Any, output: Any) -> None:
    """After every pass: a run ends here instead of counting what is not a number against a claim."""
    states = output[0]
    if not bool(torch.isfinite(states).all()):
        bad = int((~torch.isfinite(states)).sum())
        raise NotANumberError(
            f"{bad:,} of {states.numel():,} numbers that the model puts out are NaN or infinite: nothing can be "
            "measured; the weights are broken, an intervention is too strong, or the number format is too small"
        )


def _load_weights(folder: Path, device: str) -> PreTrainedModel:
    """From safetensors only, and none of the folder's code is run; a weight that is missing would be random."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",  # the only one that lets the hooks see attention patterns
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    model, found = loaded
    if found["missing_keys"]:
        raise ValueError(f"its file lacks the weights {', '.join(sorted(found['missing_keys']))}")
    weights: PreTrainedModel = model.to(device)
    return weights


def _cannot_load(card: ModelCard, error: Exception) -> str:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if unknown := UNKNOWN.search(first_line):
        first_line = f"it has no hooks for {unknown[1]}"
    return f"{card.name} is in the cache, but cannot be loaded with TransformerLens's hooks: {first_line}"


def machine(model: TransformerBridge | None = None) -> dict[str, Any]:
    """What a record keeps of the machine that ran a model: device, number format, threads, processor's instructions."""
    weight = next(model.original_model.parameters()) if model else torch.zeros(())
    return {
        "weights_sha256": getattr(model.cfg, "weights_sha256", None) if model else None,
        "device": str(weight.device),
        "dtype": str(weight.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
