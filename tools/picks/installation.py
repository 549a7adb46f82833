"""Makes `.venv` from `requirements.lock`, so that nobody has to know how (`picks.environment` says when).

The stamp inside `.venv` is written last and removed before anything changes: an environment without one
was interrupted, and is made anew. Needs only the standard library.
"""

import fcntl
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from picks.environment import LOCK, PYTHON, ROOT, STAMP, VENV, ready, wanted

GUARD = ROOT / ".venv.lock"
LOG = ROOT / ".venv.log"
PIP = (str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input")
CAUSES = {
    r"No space left on device|Disk quota exceeded": (
        "the disk is full; free some 3 GB (10 GB with CUDA) where .venv and the temporary files (TMPDIR) lie, "
        "and start again"
    ),
    r"Failed to (connect|establish|resolve)|Unable to fetch|Max retries exceeded|NewConnectionError|"
    r"name resolution|timed out|Connection (aborted|refused|reset)|incomplete-download": (
        "no package index answers; connect to the network, which only this first start needs, and start again"
    ),
}


class InstallationError(Exception):
    """Why the environment could not be made and how to mend it, in one sentence."""


def ensure() -> None:
    """Make the environment, unless another start has made it while this one waited."""
    try:
        with guarded() as guard:
            if not ready():
                make(guard)
    except OSError as error:
        raise InstallationError(f"{cause(str(error))}.") from error


@contextmanager
def guarded() -> Iterator[int]:
    """Keep other starts away. The programs started meanwhile inherit the guard and hold it if this one is killed."""
    with GUARD.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is making the environment; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def make(guard: int) -> None:
    """Bring `.venv` to what is wanted and write its stamp."""
    started = time.monotonic()
    stamp = wanted()
    LOG.unlink(missing_ok=True)
    if reusable(stamp, guard):
        say(f"requirements.lock or the folder has changed: updating {VENV}.")
    else:
        create(guard)
    install(guard)
    write(STAMP, stamp)
    say(f"The environment is ready, after {time.monotonic() - started:.0f} s; later starts go without this.")


def reusable(stamp: bytes, guard: int) -> bool:
    """Whether an environment was finished, by the same Python, and its pip still runs."""
    try:
        same_python = STAMP.read_bytes().split(b"\n")[0] == stamp.split(b"\n")[0]
        return same_python and run(guard, *PIP, "--version").returncode == 0
    except OSError:
        return False


def create(guard: int) -> None:
    """An empty environment with pip, in place of whatever was there."""
    version = "{}.{}".format(*sys.version_info)
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise InstallationError(
            f"Python {version} ({sys.executable}) came without its venv module; "
            f"on Debian or Ubuntu `sudo apt install python{version}-venv` adds it."
        )
    say(f"Making the environment in {VENV} with Python {version}: {download()}.")
    base = getattr(sys, "_base_executable", sys.executable)  # .venv's own Python is about to be removed
    STAMP.unlink(missing_ok=True)
    check(run(guard, base, "-I", "-m", "venv", "--clear", "--without-pip", str(VENV)))
    check(run(guard, str(PYTHON), "-I", "-m", "ensurepip", "--default-pip"))


def install(guard: int) -> None:
    """Install the locked packages. The stamp comes back if pip gave up before it changed anything."""
    packages = next(VENV.glob("lib/python*/site-packages"))
    before, stamp = packages.stat().st_mtime_ns, STAMP.read_bytes() if STAMP.exists() else None
    STAMP.unlink(missing_ok=True)
    try:
        progress = sys.stderr if sys.stderr.isatty() else subprocess.PIPE
        check(run(guard, *PIP, "install", "--no-user", "--log", str(LOG), "-r", str(LOCK), stdout=progress))
        check(run(guard, *PIP, "check"))
    finally:
        if stamp is not None and packages.stat().st_mtime_ns == before:
            write(STAMP, stamp)
    write(packages / "daily_picks.pth", os.fsencode(f"{ROOT}\n{ROOT / 'tools'}\n"))


def run(guard: int, *command: str, stdout: TextIO | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """A program's outcome and what it said; pip's progress goes straight to the terminal."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        pass_fds=(guard,),
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def check(done: subprocess.CompletedProcess[str]) -> None:
    """Turn a failed program's words into one sentence."""
    if done.returncode:
        log = f" (pip's log: {LOG})" if LOG.exists() else ""
        raise InstallationError(f"{cause((done.stdout or '') + done.stderr)}{log}.")


def cause(words: str) -> str:
    """The known cause behind a program's words, or the last of its errors; and how to mend it."""
    for pattern, sentence in CAUSES.items():
        if re.search(pattern, words):
            return sentence
    errors = re.findall(r"(?i)^error: *(.+)", words, re.MULTILINE) or words.strip().splitlines()
    return f"{errors[-1].rstrip('.') if errors else 'pip was stopped'}; mend that and start again"


def download() -> str:
    """What the first start costs, in words."""
    if sys.platform == "linux" and "PIP_EXTRA_INDEX_URL" not in os.environ:
        return (
            "about 0.4 GB is downloaded, once, and several GB more for CUDA unless "
            "PIP_EXTRA_INDEX_URL names PyTorch's CPU index (README.md says how)"
        )
    return "about 0.4 GB is downloaded, once"


def write(path: Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def say(sentence: str) -> None:
    """Tell the user, without disturbing what the command writes to standard output."""
    print(sentence, file=sys.stderr, flush=True)
