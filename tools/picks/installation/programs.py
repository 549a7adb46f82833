"""Programs that make the environment: what they say is read as they say it, and none is left when they must end."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from picks.installation.supervision import end_programs

PULSE = 0.25  # seconds between two looks at how far a program is
PATIENCE = 5  # seconds for a program that was asked to end

Hear = Callable[[str], None]  # a line that a program said; nothing at every pulse


class AbandonedError(Exception):
    """Nobody waits for this work any more."""


@dataclass(frozen=True)
class Done:
    """A program's exit code, and what it said."""

    code: int
    words: str


@dataclass(frozen=True)
class Programs:
    """Starts programs. They hold the guard open as long as they live, so that no other start begins beside one."""

    lifeline: int
    guard: int

    def run(self, *command: str, environ: Mapping[str, str] | None = None, hear: Hear = lambda _: None) -> Done:
        """A program's outcome.

        Raises:
            AbandonedError: the lifeline has ended, and the program with it.
        """
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(self.guard,),
            env=environ,
        ) as process:
            assert process.stdout is not None
            try:
                words = "\n".join(self._lines(process.stdout, hear))
                return Done(process.wait(), words)
            except BaseException:
                _end(process)
                raise

    def _lines(self, output: IO[bytes], hear: Hear) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks(output):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in (part.decode("utf-8", "replace").rstrip() for part in whole):
                hear(line)
                yield line
            hear("")
        yield rest.decode("utf-8", "replace")

    def _chunks(self, output: IO[bytes]) -> Iterator[bytes]:
        """What comes from a program until it closes its output; nothing at every pulse."""
        with selectors.DefaultSelector() as sources:
            sources.register(output, selectors.EVENT_READ)
            sources.register(self.lifeline, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in sources.select(PULSE)}
                if self.lifeline in ready:
                    raise AbandonedError
                chunk = os.read(output.fileno(), 1 << 16) if output in ready else b""
                if output in ready and not chunk:
                    return
                yield chunk


def _end(process: subprocess.Popen[bytes]) -> None:
    end_programs()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
