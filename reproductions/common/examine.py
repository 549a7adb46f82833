"""Whether a model can be used on this machine: weights that are numbers, the parts that methods read, and its canary.

Looked at once for a model, a machine and a version of the libraries, and remembered in the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from operator import attrgetter
from pathlib import Path
from typing import Any

from reproductions.common import store
from reproductions.common.catalogue import Canary, ModelCard, ModelError

TOLERANCE = 0.05  # of a logit: instruction sets and GPUs differ by less than a thousandth, wrong kernels by whole units
LOOK_AHEAD = 1e-3  # of a logit: what a token behind may change by rounding
TEXT = 8  # tokens
MOST_NAMED = 3  # weights in one message
PACKAGES = ("torch", "transformers", "transformer_lens")
PLACES = ("ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES")  # what else decides where and how is computed
EVERY = ("W_E", "W_U", "ln_final", "unembed", "original_model.lm_head", "blocks.*.hook_resid_post")
NEEDS = {  # what a reproduction.yml may say that its method reads, and where that lies in TransformerLens's model
    "heads": ("W_V", "W_O", "blocks.*.attn.hook_v", "blocks.*.attn.hook_z"),
    "neurons": ("blocks.*.mlp.W_out", "blocks.*.mlp.hook_post"),
    "sublayers": ("blocks.*.hook_attn_out", "blocks.*.hook_mlp_out"),
}


def remembered(card: ModelCard, device: str) -> dict[str, Any] | None:
    """The parts that the model lacks for each need, if it was found to be of use here; torch is not asked."""
    return store.recall(_memory(card, device)) or None


def refuse_lacking(card: ModelCard, device: str, needs: Sequence[str]) -> None:
    """Raises ModelError where an examined model lacks a part that is needed."""
    lacks = store.recall(_memory(card, device))
    for need in needs:
        if missing := lacks.get(need):
            raise ModelError(
                f"{card.name} has no {need} that can be read: TransformerLens finds no {', '.join(missing)} in it; "
                "choose a model of another architecture"
            )


def examine(model: Any, card: ModelCard, device: str) -> None:
    """Look at a loaded model once.

    Raises:
        ModelError: it is of no use here; the message says why.
    """
    if remembered(card, device) is not None:
        return
    _refuse_broken_weights(model, card)
    if missing := _missing(model, EVERY):
        raise ModelError(
            f"{card.name} is loaded, but no reproduction can read it: TransformerLens finds no {', '.join(missing)} "
            "in it; choose a model of another architecture"
        )
    _refuse_two_way_attention(model, card)
    if card.canary:
        _refuse_wrong_logits(model, card, card.canary)
    store.remember(_memory(card, device), {need: _missing(model, parts) for need, parts in NEEDS.items()})


def _memory(card: ModelCard, device: str) -> Path:
    canary = card.canary and [card.canary.prompt, card.canary.tokens, card.canary.logits]
    places = [os.environ.get(name) for name in PLACES]
    content = [card.sha256, canary, device, places, _machine(), *map(metadata.version, PACKAGES)]
    return store.root() / "examined" / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]}.json"


def _machine() -> list[str]:
    """What computes: the processor with its instructions, and the driver of a GPU, as Linux tells them."""
    wanted, told = ("model name", "flags", "Features"), [platform.machine(), platform.processor()]
    for path in (Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/version")):
        if path.exists():
            lines = path.read_text(encoding="utf8", errors="replace").splitlines()
            told += sorted({line for line in lines if path.name == "version" or line.startswith(wanted)})
    return told


def _refuse_broken_weights(model: Any, card: ModelCard) -> None:
    weights = model.original_model.named_parameters()
    broken = [name.replace("_original_component.", "") for name, weight in weights if not weight.isfinite().all()]
    if broken:
        named = ", ".join(broken[:MOST_NAMED]) + f" and {len(broken) - MOST_NAMED} more" * (len(broken) > MOST_NAMED)
        raise ModelError(f"{card.name} cannot be used: NaN or infinite numbers are among its weights {named}")


def _missing(model: Any, parts: Iterable[str]) -> list[str]:
    return [part for part in parts if not all(_has(model, name) for name in _in_each_layer(model, part))]


def _in_each_layer(model: Any, part: str) -> Iterator[str]:
    yield from (part.replace("*", str(layer)) for layer in range(model.cfg.n_layers if "*" in part else 1))


def _has(model: Any, name: str) -> bool:
    """Whether a hook, or a part that is neither, can be read."""
    if name.rpartition(".")[2].startswith("hook_"):
        return name in model.hook_dict
    try:
        return attrgetter(name)(model) is not None
    except Exception:  # each kind of bridge has its own way to say so
        return False


def _refuse_two_way_attention(model: Any, card: ModelCard) -> None:
    """What a model predicts at a token must not depend on the tokens behind it."""
    import torch

    text = torch.arange(2 * TEXT).remainder(model.cfg.d_vocab).view(2, TEXT).to(model.W_E.device)
    text[1, :-1] = text[0, :-1]
    with torch.no_grad():
        one, other = model.original_model(text).logits[:, :-1]
    if (one - other).abs().max() > LOOK_AHEAD:
        raise ModelError(
            f"{card.name} is no model that predicts the next token: what it says of a token depends on those behind it"
        )


def _refuse_wrong_logits(model: Any, card: ModelCard, canary: Canary) -> None:
    import torch

    with torch.no_grad():
        logits = model(model.to_tokens(canary.prompt))[0, -1, list(canary.tokens)].tolist()
    if max(abs(found - right) for found, right in zip(logits, canary.logits, strict=True)) > TOLERANCE:
        raise ModelError(
            f"this machine computes {card.name} wrongly: behind {canary.prompt!r} the logits of tokens "
            f"{', '.join(map(str, canary.tokens))} are {_listed(logits)} here, and should be {_listed(canary.logits)} "
            f"(to within {TOLERANCE}); try --device cpu, or another build of PyTorch"
        )


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.2f}" for number in numbers)
