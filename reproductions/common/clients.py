"""Archives by package name and version, fetched by the client of their registry: its own settings, mirrors and proxies.

Nothing of a package is installed or run; only its archive is kept.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FETCH_TIMEOUT_S = 300
CLIENTS = {
    "npm": ["npm", "pack", "--silent", "--ignore-scripts", "{package}@{version}"],
    "apt": ["apt-get", "download", "-qq", "{package}={version}"],
}
REMEDIES = {
    "npm": "it comes with Node.js",
    "apt": "it is Debian's; on another system take the package's file from there",
}


class ClientError(Exception):
    """A package cannot be fetched; the message says why."""


def fetch(client: str, package: str, version: str, folder: Path) -> Path:
    """The archive of a package, downloaded into an empty folder.

    Raises:
        ClientError: the client is not on this machine, or fails.
    """
    command = [word.format(package=package, version=version) for word in CLIENTS[client]]
    if shutil.which(command[0]) is None:
        raise ClientError(f"{command[0]} is not on this machine ({REMEDIES[client]})")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf8",
            errors="replace",
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClientError(f"{' '.join(command)} did not end within {FETCH_TIMEOUT_S} s") from None
    found = list(folder.iterdir())
    if done.returncode or len(found) != 1:
        last_line = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1].strip()
        raise ClientError(f"{' '.join(command)} failed; its last word: {last_line}")
    return found[0]
