"""A web server of this machine that answers with what was recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECORDED = Path(__file__).parents[2] / "fixtures" / "add"
Answer = tuple[int, bytes]


@contextmanager
def serving(answers: Mapping[str, Sequence[Answer]], kind: str = "application/json") -> Iterator[tuple[str, list[str]]]:
    """Its address, and the requests it gets. Each path gives its answers in turn, the last one for ever."""
    asked: list[str] = []
    left = {path: list(of_path) for path, of_path in answers.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            queue = left.get(self.path.partition("?")[0], [(404, b"{}")])
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def recorded(name: str) -> Answer:
    """A recorded answer."""
    return 200, (RECORDED / name).read_bytes()
