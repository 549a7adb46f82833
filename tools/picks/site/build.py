"""Builds the site: pages first, then MkDocs; serves it while its sources change; packs it for reading offline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from picks.site.generate import generate
from picks.site.writer import synchronise
from reproductions.common.errors import UserError

SOURCES = ("papers", "site", "reproductions")
LOOK_EVERY = 0.7
EPOCH = (1980, 1, 1, 0, 0, 0)  # of a zip's files, so that the same site gives the same zip


@dataclass(frozen=True)
class Built:
    """A site on disk: its folder, how many pages it has, and how long it took."""

    folder: Path
    pages: int
    seconds: float


def build(root: Path, *, offline: bool = False) -> Built:
    """Write the pages, then have MkDocs make the site of them.

    Raises:
        UserError: an entry is not as it must be, or MkDocs found a fault.
    """
    started = time.monotonic()
    folder = root / "build" / ("offline" if offline else "html")
    environment = write_pages(root, folder, offline=offline)
    command = _mkdocs("build", "--strict")  # not quiet: strictness counts the warnings that MkDocs writes
    done = subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, encoding="utf8")
    if done.returncode:
        raise UserError(f"MkDocs did not build the site:\n{done.stdout}{done.stderr}")
    pages = sum(1 for _ in folder.rglob("*.html"))
    return Built(folder, pages, time.monotonic() - started)


def write_pages(root: Path, html: Path, *, offline: bool = False, serving: bool = False) -> dict[str, str]:
    """Bring the generated pages up to date; returns the environment that MkDocs reads them in."""
    folder = root / "build" / ("offline-pages" if offline else "pages")
    synchronise(folder, generate(root, offline=offline))
    return os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "PICKS_PAGES": str(folder),
        "PICKS_HTML": str(html),
        "PICKS_SERVING": str(serving).lower(),
        "OFFLINE": str(offline).lower(),
    }


def serve(root: Path, port: int) -> int:
    """Serve the site and keep it up to date until interrupted."""
    address = f"127.0.0.1:{port}"
    environment = write_pages(root, root / "build" / "html", serving=True) | {"SITE_URL": f"http://{address}/"}
    print(f"http://{address}/  (Ctrl-C ends it)", flush=True)
    with subprocess.Popen(_mkdocs("serve", "--quiet", "--dev-addr", address), cwd=root, env=environment) as server:
        try:
            _keep_up(root, server)
        except KeyboardInterrupt:
            server.terminate()
            return 0
    return server.returncode


def pack(root: Path, target: Path) -> Built:
    """Build the site for reading from a disk, and put it into one zip file."""
    built = build(root, offline=True)
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in built.folder.rglob("*") if path.is_file()):
            name = f"daily-picks/{path.relative_to(built.folder).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    part.replace(target)
    return built


def _mkdocs(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "mkdocs", *arguments]


def _keep_up(root: Path, server: subprocess.Popen[bytes]) -> None:
    """Write the pages anew whenever a source has changed; MkDocs sees them and reloads."""
    seen = _stamps(root)
    while server.poll() is None:
        time.sleep(LOOK_EVERY)
        now = _stamps(root)
        if now != seen:
            seen = now
            try:
                write_pages(root, root / "build" / "html", serving=True)
            except UserError as error:
                print(error, file=sys.stderr)


def _stamps(root: Path) -> Mapping[str, int]:
    """When each source was last changed."""
    return {
        str(path): path.stat().st_mtime_ns
        for source in SOURCES
        for path in (root / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
