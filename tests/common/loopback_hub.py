"""A model hub on this machine: answers huggingface_hub from folders, with the hub's checksums and refusals."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants

from reproductions.common.folders import POINTER

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Folders by owner/name; what is gated; what was asked for."""

    address: str = ""
    folders: dict[str, Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    commit: str = COMMIT


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on a free port, as long as it lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def look_only_there(patch: pytest.MonkeyPatch, hub: Hub, cache: Path) -> None:
    """huggingface_hub asks this hub and nobody else, with an empty cache."""
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setattr(constants, "ENDPOINT", hub.address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setenv("DAILY_PICKS_CACHE", str(cache / "picks"))


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *arguments: object) -> None:
        self.hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """In silence."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.hub.asked.append(path)
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        name, revision = (api[1], api[3]) if api else (file[1], file[2]) if file else ("", "")
        is_tree = api is not None and api[2] == "tree"
        if name not in self.hub.folders:
            self._refuse(404, "RepoNotFound")
        elif name in self.hub.gated and (file or is_tree):
            self._refuse(403, "GatedRepo")
        elif revision not in {None, "main", self.hub.commit}:
            self._refuse(404, "RevisionNotFound")
        elif file:
            self._send_file(self.hub.folders[name] / file[3])
        else:
            self._send(200, json.dumps(self._tree(name) if is_tree else self._info(name)).encode(), {})

    def _tree(self, name: str) -> list[dict[str, object]]:
        return [_entry(path) for path in sorted(self.hub.folders[name].iterdir())]

    def _info(self, name: str) -> dict[str, object]:
        siblings = [{"rfilename": entry["path"]} for entry in self._tree(name)]
        return {"id": name, "modelId": name, "sha": self.hub.commit, "private": False, "siblings": siblings}

    def _send_file(self, path: Path) -> None:
        etag = _checksum(path)
        headers = {"ETag": f'"{etag}"', "X-Linked-ETag": f'"{etag}"', "X-Repo-Commit": self.hub.commit}
        self._send(200, path.read_bytes(), headers)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _entry(path: Path) -> dict[str, object]:
    checksum, size = _checksum(path), path.stat().st_size
    lfs = {"lfs": {"oid": checksum, "size": size, "pointerSize": 134}} if _is_large(path) else {}
    return {"type": "file", "path": path.name, "size": size, "oid": checksum[:40], **lfs}


def _is_large(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _checksum(path: Path) -> str:
    """What the hub tells of a file: the sha256 of a large one (also where only a pointer was uploaded), else git's."""
    content = path.read_bytes()
    if _is_large(path) and not content.startswith(POINTER):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
