"""How pip is called: with the user's settings of where packages come from, and none of what it should do with them.

A `target`, a `prefix`, a `dry-run` or a constraint that serves another project would lead this one astray, whether it
stands in a file or in the environment. So pip gets no file, and of the settings only those that are named here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from picks.environment import PYTHON

CALL = (str(PYTHON), "-I", "-u", "-m", "pip", "--disable-pip-version-check", "--no-input")
SECTIONS = ("global", "install", ":env:")  # a later one wins
INDEXES = ("index-url", "pypi-url", "extra-index-url", "no-index")
KEPT = frozenset(
    {*INDEXES, "find-links", "trusted-host", "proxy", "cert", "client-cert", "keyring-provider", "use-feature"}
    | {"timeout", "default-timeout", "retries", "resume-retries", "cache-dir", "no-cache-dir"}
)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
GPU_FILES = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/usr/lib/wsl/lib/nvidia-smi")

Settings = Mapping[str, str]

_SETTING = re.compile(r"(?P<section>[\w:]+)\.(?P<name>[\w-]+)=(?P<value>'.*'|\".*\")")


def settings(listed: str) -> dict[str, str]:
    """The settings that are kept, of all that `pip config list` shows; to pip an empty one is none."""
    found = [match for line in listed.splitlines() if (match := _SETTING.fullmatch(line))]
    ordered = [match for section in SECTIONS for match in found if match["section"] == section]
    given = {match["name"]: value for match in ordered if (value := ast.literal_eval(match["value"]))}
    return {name: value for name, value in given.items() if name in KEPT}


def environ(temporary: Path, kept: Settings | None = None) -> dict[str, str]:
    """The user's environment with these settings and no others; without them, with the user's own."""
    ours = {"TMPDIR": str(temporary), "PYTHONWARNINGS": "ignore"}
    if kept is None:
        return os.environ | ours
    users = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    given = {f"PIP_{name.upper().replace('-', '_')}": " ".join(value.split()) for name, value in kept.items()}
    return users | given | ours | {"PIP_CONFIG_FILE": os.devnull}


def has_gpu() -> bool:
    """Whether there is a GPU that PyTorch's CUDA build could use."""
    return any(Path(file).exists() for file in GPU_FILES) or shutil.which("nvidia-smi") is not None


def chosen(kept: Settings, gpu: bool, system: str = sys.platform) -> tuple[dict[str, str], str]:
    """The settings to install with, and what they mean in a sentence."""
    if named := [kept[name] for name in INDEXES[:3] if kept.get(name)]:
        places = ", ".join(_without_password(address) for value in named for address in value.split())
        return dict(kept), f"Packages come from {places}, as pip's settings have it."
    if kept.get("no-index", "").lower() in ("1", "on", "true", "yes"):
        return dict(kept), "Packages come from no index, as pip's settings have it."
    if system != "linux":
        return dict(kept), "About 0.4 GB is downloaded, once."
    if gpu:
        return dict(kept), "There is a GPU: PyTorch's CUDA build is taken, several GB, once."
    host = urlsplit(CPU_INDEX).hostname
    return {**kept, "extra-index-url": CPU_INDEX}, (
        f"No GPU was found: PyTorch's build for CPUs is taken, from {host}. About 0.4 GB is downloaded, once."
    )


def _without_password(address: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", address)
