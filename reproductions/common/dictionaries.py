"""Autoencoders of the user's: files that SAELens wrote, each named path:FILE, in place of those that come along.

The runner leaves their files in a run directory (`autoencoders.json`), and the notebook's `bench` takes them up.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reproductions.common.catalogue import OWN
from reproductions.common.errors import UserError
from reproductions.common.files import sha256, write_json

CONFIG, SPARSITY = "cfg.json", "sparsity.safetensors"  # as SAELens names what lies beside the weights
LISTED = "autoencoders.json"
BEHIND = re.compile(r"blocks\.(\d+)\.hook_(?:resid_post|attn_out|mlp_out)")
BEFORE = re.compile(r"blocks\.([1-9]\d*)\.hook_resid_pre")  # the same place as behind the block before

_in_use: dict[str, OwnAutoencoder] = {}


@dataclass(frozen=True)
class OwnAutoencoder:
    """An autoencoder as SAELens' save_model leaves it: the file with its weights, and its configuration beside it."""

    file: Path

    @property
    def folder(self) -> Path:
        """Where SAELens loads it from."""
        return self.file.parent

    @property
    def site(self) -> str:
        """The site that its configuration names, as reproductions spell it.

        Raises:
            UserError: there is none, or none that they read.
        """
        return site_of(self._configuration["hook_name"], str(self))

    @property
    def width(self) -> int:
        """d_in: the model's d_model."""
        width: int = self._configuration["d_in"]
        return width

    def misfit(self, width: int | None, layers: int | None) -> str:
        """Why it cannot be of a model so wide and deep; empty where it can."""
        if width not in {None, self.width}:
            return f"it reads vectors of {self.width} numbers, and the model's have {width}"
        if layers is not None and int(self.site.split(".")[1]) >= layers:
            return f"it is of {self.site}, and the model has the blocks 0 to {layers - 1}"
        return ""

    def to_json(self) -> dict[str, str]:
        """What a record keeps of it."""
        return {"file": str(self.file), "site": self.site, "sha256": sha256(self.file)}

    def __str__(self) -> str:
        return f"--sae {OWN}{self.file}"

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        """Its width and its hook, which older versions of SAELens name outside the metadata."""
        path = self.folder / CONFIG
        try:
            content = json.loads(path.read_text(encoding="utf8"))
            hook = content.get("metadata", {}).get("hook_name") or content.get("hook_name")
            return {"d_in": int(content["d_in"]), "hook_name": str(hook)}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self}: {path} is no configuration of SAELens: {error!r}; give a file that its save_model wrote"
            ) from None


def site_of(hook_name: str, whose: str) -> str:
    """The site of a hook's name, as reproductions spell it; `whose` names the autoencoder where there is none.

    Raises:
        UserError: it is none that they read.
    """
    if before := BEFORE.fullmatch(hook_name):
        return f"blocks.{int(before[1]) - 1}.hook_resid_post"
    if not BEHIND.fullmatch(hook_name):
        raise UserError(
            f"{whose}: it was trained at {hook_name}, which is no site that reproductions read: they read "
            "blocks.7.hook_resid_post, …hook_mlp_out and …hook_attn_out"
        )
    return hook_name


def named(text: str) -> OwnAutoencoder:
    """The autoencoder of path:FILE.

    Raises:
        UserError: there is no such file, or none of SAELens'.
    """
    file = Path(text.removeprefix(OWN)).expanduser().absolute()
    if not text.startswith(OWN) or file.suffix != ".safetensors" or not file.is_file():
        raise UserError(f"--sae {text}: is no file of an autoencoder; write {OWN}FOLDER/sae_weights.safetensors")
    found = OwnAutoencoder(file)
    if not found.site or found.width < 1:
        raise UserError(f"{found}: its configuration says no width")
    return found


def by_site(autoencoders: list[OwnAutoencoder]) -> dict[str, OwnAutoencoder]:
    """Each autoencoder under its site.

    Raises:
        UserError: two are of one site.
    """
    found = {each.site: each for each in autoencoders}
    if len(found) < len(autoencoders):
        raise UserError("two of the files given with --sae are of one site; a run takes one for each")
    return found


def leave(autoencoders: list[OwnAutoencoder], folder: Path) -> None:
    """Write into a run directory which ones its notebook is to use."""
    if autoencoders:
        write_json(folder / LISTED, [str(each.file) for each in autoencoders])


def take_up(folder: Path) -> None:
    """From now on use those that the run directory names, and no others."""
    path = folder / LISTED
    files = json.loads(path.read_text(encoding="utf8")) if path.is_file() else []
    use([OwnAutoencoder(Path(file)) for file in files])


def use(autoencoders: list[OwnAutoencoder]) -> None:
    """From now on use these in place of those that come along, and no others."""
    _in_use.clear()
    _in_use.update(by_site(autoencoders))


def in_use() -> dict[str, OwnAutoencoder]:
    """Those that are used, by site."""
    return dict(_in_use)
