"""What a kernel writes past its notebook, kept within the notebook's own cap on printed text."""

from __future__ import annotations

import codecs
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Self

from picks.run.outputs import CappedText
from reproductions.common.files import write_text

CHUNK = 2**16  # bytes; as much as a pipe holds
PAUSE = 1.0  # seconds between two writings of the file
PATIENCE = 1.0  # seconds for the last words; a process that nobody could end may hold the pipe open


class KernelLog:
    """Reads the kernel's end of a pipe; its start and its end stand in a file, if it says anything."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, CappedText()
        self._ours, self.kernels_end = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._closed = False

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take in what the kernel, which is gone, has said; once is enough."""
        if self._closed:
            return
        self._closed = True
        os.close(self.kernels_end)
        self._reader.join(PATIENCE)
        self._keep()

    @property
    def last_words(self) -> str:
        """The last line that was written."""
        return "".join(str(self.text).strip().splitlines()[-1:])

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf8")("replace")
        kept = 0.0
        while chunk := os.read(self._ours, CHUNK):
            self.text.add(decoder.decode(chunk))
            if time.monotonic() - kept > PAUSE and not self._closed:
                self._keep()
                kept = time.monotonic()
        os.close(self._ours)

    def _keep(self) -> None:
        if said := str(self.text):
            with contextlib.suppress(OSError):  # a full disk: the run has more important files to fail at
                write_text(self.path, said)
