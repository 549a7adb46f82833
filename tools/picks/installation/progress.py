"""How far pip is, read from its lines and from what lies in its folders, because its own bars end before its work does.

On a terminal one line is drawn again and again; elsewhere a line is written every ten seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from picks.installation.saying import say

COLUMNS = 79
BAR = 16
LARGE = 10e6  # bytes of a file whose coming is shown
EVERY = 10  # seconds between two lines where there is no terminal
FETCHING, INSTALLING, TRYING = "1/3 fetching", "2/3 installing", "3/3 trying it"
UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}

_IGNORED = re.compile(r"Ignoring \S+: markers ")
_LOOKED_UP = re.compile(r"(?:Collecting|Processing|Requirement already satisfied:) ")
_DOWNLOADING = re.compile(r" *Downloading (?:\S*/)?(?P<file>\S+\.(?:whl|gz|zip)) \((?P<size>[\d.]+) (?P<unit>\w+)\)")
_INSTALLING = re.compile(r"Installing collected packages: (?P<names>.+)")


@dataclass
class Progress:
    """How far an installation of `total` packages is; `step` says at what."""

    packages: Path
    temporary: Path
    total: int
    step: str = FETCHING
    looked_up: int = 0
    fetched: float = 0  # bytes, without the file that is coming
    coming: str = ""
    coming_size: float = 0
    began: float = 0  # when installing began
    free: int = 0  # what was free on the disk then

    def hear(self, line: str) -> None:
        """Take in a line of pip's."""
        if _IGNORED.match(line):
            self.total -= 1
        elif _LOOKED_UP.match(line):
            self.looked_up += 1
        elif found := _DOWNLOADING.match(line):
            self.fetched += self.coming_size
            self.coming = unquote(found["file"])
            self.coming_size = float(found["size"]) * UNITS.get(found["unit"], 1)
        elif found := _INSTALLING.match(line):
            self.step, self.total = INSTALLING, len(found["names"].split(","))
            self.began, self.free = time.time(), shutil.disk_usage(self.packages).free

    @property
    def done(self) -> int:
        """How many packages the step is through with."""
        if self.step == FETCHING:
            return min(self.looked_up, self.total)
        if self.step == INSTALLING:
            return min(self._installed(), self.total)
        return self.total

    @property
    def sizes(self) -> str:
        """What was fetched, and of a large file how much; or what was written."""
        if self.step == INSTALLING:
            return f"{size(max(0, self.free - shutil.disk_usage(self.packages).free))} written"
        here = self._here()
        name = self.coming.partition("-")[0]
        shown = self.coming_size >= LARGE and here < self.coming_size
        part = f", {name} {here / 1e6:.0f} of {size(self.coming_size)}" if shown else ""
        return f"{size(self.fetched + here)}{part}"

    def _installed(self) -> int:
        """Packages whose description, which comes last, was written since installing began."""
        return sum(path.stat().st_mtime >= self.began - 1 for path in self.packages.glob("*.dist-info"))

    def _here(self) -> float:
        """How much of the coming file is here; all of it, where pip has put it elsewhere already."""
        found = [path.stat().st_size for path in self.temporary.glob(f"*/{self.coming}")] if self.coming else []
        return min(max(found, default=self.coming_size), self.coming_size)


def size(count: float) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class Teller:
    """Shows a progress: as a bar on a terminal, elsewhere as a line every ten seconds."""

    def __init__(self, progress: Progress, terminal: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress, self.terminal, self.clock = progress, terminal, clock
        self.started = self.told = clock()

    def hear(self, line: str) -> None:
        """Take in a line of pip's, and at every pulse, which is an empty one, show how far it is."""
        self.progress.hear(line)
        if self.terminal and not line:
            say(f"\r{self._bar()[:COLUMNS]}\033[K", end="")
        elif not line and self.clock() - self.told >= EVERY:
            self.told = self.clock()
            say(self._line())

    def end(self) -> None:
        """Leave an empty line for what comes next."""
        if self.terminal:
            say("\r\033[K", end="")

    def _bar(self) -> str:
        now = self.progress
        full = BAR * now.done // max(now.total, 1)
        bar = f"[{'#' * full}{' ' * (BAR - full)}]"
        return f"{now.step} {bar} {now.done} of {now.total}, {self.clock() - self.started:.0f} s, {now.sizes}"

    def _line(self) -> str:
        now = self.progress
        after = f"after {self.clock() - self.started:.0f} s"
        return f"{now.step}: {now.done} of {now.total} packages, {now.sizes}, {after}"


def on_terminal() -> bool:
    """Whether a line can be drawn over."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
