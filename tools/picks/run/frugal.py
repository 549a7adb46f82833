"""The kernel's side of the caps: what no notebook would keep never leaves the kernel.

A socket has no patience: what is printed faster than the runner reads fills its memory, or is lost with the message
that says that the cell has ended. So after its first messages a cell's text goes out a few times a second, in pieces
whose middle is left out if they are long; and a picture too large, or one too many, does not go out at all.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from typing import Any

from jupyter_client.session import Session

from picks.run.outputs import COUNT_LIMIT, SHOWN, fit, shorten

AT_ONCE = 100  # messages of a cell that go out as they come
PAUSE = 0.2  # seconds between later ones; as ipykernel's own, for text that is not flushed


class FrugalSession(Session):
    """Sends messages, within the caps."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._home = os.getpid()
        self._lock = threading.Lock()  # text is sent by a thread of its own
        self._held: dict[tuple[str, str], tuple[Any, dict[str, Any], Any]] = {}  # by cell and stream
        self._printed: Counter[str] = Counter()  # messages by cell
        self._shown: Counter[str] = Counter()
        self._released = 0.0

    def send(  # noqa: PLR0913, PLR0917
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        """Send a message, hold it back for a while, or drop it."""
        message = msg_or_type
        if not isinstance(message, dict):
            message = self.msg(msg_or_type, content=content, parent=parent, header=header, metadata=metadata)
        message["content"] = fit(message["msg_type"], message["content"])
        if os.getpid() != self._home:  # a forked child: it may end at once, and the lock may be another's
            return super().send(stream, message, ident=ident, buffers=buffers, track=track)
        with self._lock:
            if self._waits(stream, message, ident):
                return message
            self._release()
            if message["msg_type"] == "stream":
                return message
            return super().send(stream, message, ident=ident, buffers=buffers, track=track)

    def _waits(self, stream: Any, message: dict[str, Any], ident: Any) -> bool:
        """Whether nothing is to be sent now."""
        kind, cell = message["msg_type"], message["parent_header"].get("msg_id", "")
        if kind in SHOWN:
            self._shown[cell] += 1
            return self._shown[cell] > COUNT_LIMIT + 1  # the first beyond the limit is noted
        if kind != "stream":
            return False
        self._hold(stream, message, ident)
        self._printed[cell] += 1
        return self._printed[cell] > AT_ONCE and time.monotonic() - self._released < PAUSE

    def _hold(self, stream: Any, message: dict[str, Any], ident: Any) -> None:
        """Put text behind what is held of the same cell and stream."""
        content = message["content"]
        key = (message["parent_header"].get("msg_id", ""), content["name"])
        if key in self._held:
            former = self._held[key][1]["content"]
            text, cut = shorten(former["text"] + content["text"])
            former |= {"text": text, "cut": former["cut"] + content["cut"] + cut}
        else:
            self._held[key] = (stream, message, ident)

    def _release(self) -> None:
        """Send what is held."""
        for stream, message, ident in self._held.values():
            super().send(stream, message, ident=ident)
        self._held.clear()
        self._released = time.monotonic()
