"""The format in which autoencoders come with this project: 8 bits a weight with a scale a latent, and a card beside it.

A site's file is `<model>/<site>.safetensors` (`<site>.seed1.safetensors` for a further seed); `<site>.json` is its
card, which names the file's sha256.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from reproductions.common import files

FOLDER = Path(__file__).parent
LARGEST = 127  # of a signed byte, the same on both sides of zero


class AutoencoderError(Exception):
    """An autoencoder that cannot be had; the message says why, and what there is."""


@dataclass(frozen=True)
class Weights:
    """A TopK autoencoder, in float32: x̂ = topk((x - b_dec) W_enc + b_enc) W_dec + b_dec."""

    W_enc: Tensor  # [d_in, d_sae]
    b_enc: Tensor  # [d_sae]
    W_dec: Tensor  # [d_sae, d_in], rows of norm 1
    b_dec: Tensor  # [d_in]


def quantise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [n, d] as int8, with the scale [n] that makes each row's largest weight 127."""
    scale = (rows.abs().amax(dim=1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scale[:, None]).round().to(torch.int8), scale


def dequantise(rows: Tensor, scale: Tensor) -> Tensor:
    """What `quantise` keeps of the rows."""
    return rows.float() * scale[:, None]


def as_shipped(weights: Weights) -> Weights:
    """The same autoencoder after a round trip through 8 bits."""
    return _unpacked(_packed(weights))


def folder_of(model: str, root: Path | None = None) -> Path:
    """Where the autoencoders of a model lie."""
    return (root or FOLDER) / model.replace("/", "--")


def path_of(model: str, site: str, seed: int, root: Path | None = None) -> Path:
    """Where the weights of a site lie."""
    name = f"{site}.seed{seed}" if seed else site
    return folder_of(model, root) / f"{name}.safetensors"


def write(path: Path, weights: Weights, firing_rate: Tensor, card: dict[str, Any]) -> None:
    """Write the weights and, last, the card; firing_rate [d_sae] is the share of tokens on which each latent fired."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = save(_packed(weights) | {"firing_rate": firing_rate.float().cpu().contiguous()})
    files.write_bytes(path, content)
    files.write_json(path.with_suffix(".json"), card | {"sha256": hashlib.sha256(content).hexdigest()})


def read(path: Path) -> tuple[Weights, Tensor, dict[str, Any]]:
    """The weights, the firing rates and the card.

    Raises:
        AutoencoderError: the file is missing, or is not the one that the card describes.
    """
    card = read_card(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AutoencoderError(f"{path} cannot be read ({error.strerror}): restore it from git") from None
    if card is None or hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise AutoencoderError(f"{path} is not the file that its card describes: restore both from git")
    tensors = load(content)
    return _unpacked(tensors), tensors["firing_rate"], card


def read_card(path: Path) -> dict[str, Any] | None:
    """The card of the weights at a path, or None where there is none that can be read."""
    try:
        card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return card


def _packed(weights: Weights) -> dict[str, Tensor]:
    encoder, encoder_scale = quantise(weights.W_enc.T)
    decoder, decoder_scale = quantise(weights.W_dec)
    tensors = {
        "W_enc": encoder,
        "W_enc_scale": encoder_scale,
        "W_dec": decoder,
        "W_dec_scale": decoder_scale,
        "b_enc": weights.b_enc,
        "b_dec": weights.b_dec,
    }
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _unpacked(tensors: dict[str, Tensor]) -> Weights:
    return Weights(
        W_enc=dequantise(tensors["W_enc"], tensors["W_enc_scale"]).T.contiguous(),
        b_enc=tensors["b_enc"],
        W_dec=dequantise(tensors["W_dec"], tensors["W_dec_scale"]),
        b_dec=tensors["b_dec"],
    )
