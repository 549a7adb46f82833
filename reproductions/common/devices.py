"""Where a model can run: a device that is not there, or that computes wrongly, is refused before anything is loaded."""

from __future__ import annotations

from reproductions.common.catalogue import ModelError


def refuse_unusable(name: str) -> None:
    """Raises ModelError where a model cannot run on the device; torch is only asked for a GPU.

    On `mps` PyTorch 2.7 to 2.13 give wrong numbers without a word.
    """
    if name.startswith("mps"):
        raise ModelError("'mps' is not used here: PyTorch 2.7 to 2.13 compute wrong numbers on it; use device='cpu'.")
    if name.startswith("cuda") and not _has_gpu():
        raise ModelError(f"there is no {name!r} here: this PyTorch sees no GPU; use device='cpu'.")


def resolve(name: str) -> str:
    """The device that a name stands for: `auto` is the GPU where PyTorch sees one.

    Raises:
        ModelError: there is none, or it computes wrongly.
    """
    refuse_unusable(name)
    return ("cuda" if _has_gpu() else "cpu") if name == "auto" else name


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
