"""What a start says of an index that is there and does not do its work: a server on loopback plays it."""

import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.fixtures.checkout import Project, refusal

FILE = "made_up-1.0-py3-none-any.whl"


def wheel(code: str = "VALUE = 7", name: str = "made_up") -> bytes:
    """A package of one module."""
    content = io.BytesIO()
    described = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(f"{described}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{described}/RECORD", "")
    return content.getvalue()


class Index(BaseHTTPRequestHandler):
    """An index of one package, which does as its server's `mode` says."""

    def do_GET(self) -> None:
        mode = str(getattr(self.server, "mode", ""))
        if mode.isdecimal():
            self.send_error(int(mode))
        elif mode == "hotspot":
            self.answer(b"<html><body><form action='/login'>Log in</form><a href='/help'>Help</a></body></html>")
        elif not self.path.endswith(".whl"):
            self.answer(f'<html><body><a href="/files/{FILE}">{FILE}</a></body></html>'.encode())
        else:
            self.answer(wheel(), 100 if mode == "cut" else None)

    def answer(self, content: bytes, sent: int | None = None) -> None:
        """All of a page or file, or only its first bytes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def index(mode: str) -> Iterator[str]:
    """The address of a running index."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.mode = mode  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def environ(address: str) -> dict[str, str]:
    return {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": address, "PIP_RETRIES": "0"}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("403", "made-up/ answered 403 (Forbidden); it, or a proxy before it, does not let this machine in"),
        ("500", "made-up/ answered 500 (Internal Server Error); it is out of order: start again later"),
        ("hotspot", "made-up/ answered with a page that lists no packages; open a web page in a browser"),
        ("cut", "a download was cut short"),
    ],
)
def test_an_index_that_does_not_do_its_work_is_said(project: Project, mode: str, expected: str) -> None:
    project.lock("made-up==1.0\n")
    with index(mode) as address:
        sentence = refusal(project.start(**environ(address)))
    assert expected in sentence
    assert "No matching distribution" not in sentence


def test_the_users_index_is_used_and_named(project: Project) -> None:
    project.lock("made-up==1.0\n")
    with index("sound") as address:
        done = project.start(**environ(address))
    assert f"Packages come from {address}, as pip's settings have it." in done.stderr
    assert project.imports("made_up")
