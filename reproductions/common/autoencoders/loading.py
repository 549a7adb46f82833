"""The one way to an autoencoder: `load_sae(model, site)`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import inf
from typing import TYPE_CHECKING, Any

import huggingface_hub
from huggingface_hub import constants
from safetensors.torch import load_file
from torch import Tensor

from reproductions.common import dictionaries
from reproductions.common.activations import SITE
from reproductions.common.autoencoders import shipped
from reproductions.common.autoencoders.shipped import AutoencoderError, Weights
from reproductions.common.catalogue import model_card
from reproductions.common.dictionaries import SPARSITY, OwnAutoencoder
from reproductions.common.hub import ANSWER_WITHIN_S
from reproductions.common.text import SEQUENCE

if TYPE_CHECKING:
    from sae_lens import SAE, TopKSAE


def load_sae(model: str, site: str, seed: int = 0, device: str = "cpu") -> SAE:
    """The autoencoder of a site, in float32, as SAELens has it: `encode`, `decode`, `W_dec`, `cfg`.

    A site is a hook's name, `blocks.15.hook_resid_post`, for an autoencoder that comes with this project; or
    `release/id`, `gpt2-small-res-jb/blocks.8.hook_resid_pre`, for one that SAELens fetches from the model hub. One of
    this project's was trained without position 0 and without tokens whose norm is above `cfg.metadata.outlier_norm`.
    One of the user's (`dictionaries.use`) takes the place of this project's of the same site.

    Raises:
        AutoencoderError: there is none, or it cannot be fetched.
        ModelError: there is no such model.
    """
    name = model_card(model).name
    if "/" in site:
        return _released(site, device)
    if site in dictionaries.in_use() and not seed:
        return _own(dictionaries.in_use()[site], device)
    weights, _, card = _shipped(name, site, seed)
    sae = as_topk(weights, card["k"], name, site, device)
    sae.cfg.metadata.outlier_norm = card["outlier_norm"]
    return sae


def ordinary(sae: Any, values: Tensor) -> Tensor:
    """Which values [..., d_model] of its site an autoencoder is for: [...]; this project's saw no outliers."""
    limit = sae.cfg.metadata.outlier_norm
    return values.norm(dim=-1) <= (inf if limit is None else limit)


def firing_rates(model: str, site: str, seed: int = 0) -> Tensor:
    """The share of tokens, of training and held-out text together, on which each latent [d_sae] of a site fired.

    Raises:
        AutoencoderError: none comes with this project, or one of the user's does not say.
        ModelError: there is no such model.
    """
    if site in dictionaries.in_use() and not seed:
        return _own_rates(dictionaries.in_use()[site])
    return _shipped(model_card(model).name, site, seed)[1]


def shipped_sites(model: str) -> list[tuple[str, int]]:
    """The sites (and seeds) of a model for which an autoencoder comes with this project, or is the user's."""
    cards = [shipped.read_card(path) for path in shipped.folder_of(model_card(model).name).glob("*.json")]
    own = {(site, 0) for site in dictionaries.in_use()}
    return sorted(own | {(card["site"], card["seed"]) for card in cards if card})


def as_topk(weights: Weights, k: int, model: str, site: str, device: str) -> TopKSAE:
    """The weights as an object of SAELens."""
    from sae_lens import TopKSAE, TopKSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    d_in, d_sae = weights.W_enc.shape
    metadata = SAEMetadata(model_name=model, hook_name=site, context_size=SEQUENCE, prepend_bos=True)
    sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, device=device, metadata=metadata))
    sae.load_state_dict(vars(weights))
    return sae.to(device).eval().requires_grad_(False)


def _shipped(model: str, site: str, seed: int) -> tuple[Weights, Tensor, dict[str, Any]]:
    path = shipped.path_of(model, site, seed)
    if not path.exists():
        raise AutoencoderError(_unknown(model, site, seed))
    return shipped.read(path)


def _own(own: OwnAutoencoder, device: str) -> SAE:
    """As SAELens reads it, in float32."""
    from sae_lens import SAE

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SAE.load_from_disk(own.folder, device=device, dtype="float32").eval().requires_grad_(False)
    except Exception as error:  # SAELens and safetensors have exceptions of their own
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise AutoencoderError(f"{own} could not be loaded through SAELens: {first_line}.") from error


def _own_rates(own: OwnAutoencoder) -> Tensor:
    """10^s for the logarithm s that SAELens keeps beside a checkpoint's weights."""
    path = own.folder / SPARSITY
    if not path.is_file():
        raise AutoencoderError(
            f"{own} does not say how often its latents fire: there is no {SPARSITY} beside it, which SAELens writes "
            "with a checkpoint ({'sparsity': log10 of the share of tokens})"
        )
    return 10 ** load_file(path)["sparsity"].float()


def _released(site: str, device: str) -> SAE:
    """Whatever goes wrong on the way to the hub, in one sentence."""
    from sae_lens import SAE

    release, identifier = site.split("/", 1)
    reachable = _answers(release)
    try:
        with warnings.catch_warnings(), nullcontext() if reachable else _from_cache_only():
            warnings.simplefilter("ignore")
            return SAE.from_pretrained(release, identifier, device=device).eval().requires_grad_(False)
    except Exception as error:  # SAELens, the hub's client and its HTTP library have exceptions of their own
        told = isinstance(error, ValueError) and not isinstance(error, OSError)  # by SAELens, of the names
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        why = first_line if told or reachable else "it is not in the cache, and the model hub cannot be reached"
        raise AutoencoderError(f"{site} could not be loaded through SAELens: {why}.") from error


def _answers(release: str) -> bool:
    """Whether the hub answers, asked once and briefly: a download would try again for half a minute."""
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    known = get_pretrained_saes_directory().get(release)
    try:
        huggingface_hub.HfApi().model_info(known.repo_id if known else release, timeout=ANSWER_WITHIN_S)
    except huggingface_hub.errors.HfHubHTTPError:
        return True  # a refusal is an answer
    except Exception:  # the hub's HTTP library has exceptions of its own
        return False
    return True


@contextmanager
def _from_cache_only() -> Iterator[None]:
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _unknown(model: str, site: str, seed: int) -> str:
    own = [f"{name} (seed {number})" if number else name for name, number in shipped_sites(model)]
    here = f"there are {', '.join(own)}" if own else "none comes with this project"
    what = f"the site {site!r}" if SITE.fullmatch(site) else f"{site!r}, which is no site,"
    return (
        f"there is no autoencoder of {model} for {what} with seed {seed}: {here}. "
        "One that SAELens knows is named release/id, such as gpt2-small-res-jb/blocks.8.hook_resid_pre."
    )
