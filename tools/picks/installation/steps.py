"""The steps from `requirements.lock` to `.venv`.

The stamp inside `.venv` is written last, once the packages were tried, and removed before anything changes: an
environment without one was not finished. What is not finished at the end is removed.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from pathlib import Path

from picks.environment import LOCK, PYTHON, ROOT, STAMP, VENV, ready, wanted
from picks.installation import causes, pip
from picks.installation.errors import InstallationError
from picks.installation.place import LOG, TEMPORARY, claim, empty, guarded, refuse_without_room, tidy, write
from picks.installation.programs import Done, Programs
from picks.installation.progress import TRYING, Progress, Teller, on_terminal
from picks.installation.saying import say

NEEDED = {  # what a run cannot do without: package, then the module that is imported
    "torch": "torch",
    "transformer-lens": "transformer_lens",
    "papermill": "papermill",
    "ipykernel": "ipykernel",
    "matplotlib": "matplotlib",
    "pyyaml": "yaml",
    "rich": "rich",
}
_PINNED = re.compile(rb"^([\w.-]+)==", re.MULTILINE)


def make(lifeline: int) -> None:
    """Make the environment, unless another start has made it while this one waited."""
    with guarded(lifeline) as guard:
        if ready():
            return
        claim()
        try:
            _make(Programs(lifeline, guard))
        finally:
            tidy()


def _make(programs: Programs) -> None:
    started, stamp = time.monotonic(), wanted()
    LOG.unlink(missing_ok=True)
    if _reusable(programs, stamp):
        say(f"requirements.lock or the folder has changed: updating {VENV}.")
    else:
        _create(programs)
    _install(programs)
    write(STAMP, stamp)
    LOG.unlink(missing_ok=True)
    say(f"The environment is ready, after {time.monotonic() - started:.0f} s; later starts go without this.")


def _reusable(programs: Programs, stamp: bytes) -> bool:
    """Whether an environment was finished, by the same Python, and its pip still runs."""
    try:
        same_python = STAMP.read_bytes().split(b"\n")[0] == stamp.split(b"\n")[0]
        return same_python and programs.run(*pip.CALL, "--version").code == 0
    except OSError:
        return False


def _create(programs: Programs) -> None:
    """An empty environment with pip, in place of what was there."""
    version = "{}.{}".format(*sys.version_info)
    refuse_without_venv(version)
    refuse_without_room()
    say(f"Making the environment in {VENV} with Python {version}.")
    base = getattr(sys, "_base_executable", sys.executable)  # .venv's own Python is about to be removed
    empty()
    TEMPORARY.mkdir()
    _check(programs.run(base, "-I", "-m", "venv", "--without-pip", str(VENV.resolve())))
    _check(programs.run(str(PYTHON), "-I", "-m", "ensurepip", "--default-pip", environ=pip.environ(TEMPORARY)))


def refuse_without_venv(version: str) -> None:
    """Raises an error if this Python cannot make environments."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise InstallationError(
            f"Python {version} ({sys.executable}) came without its venv module; "
            f"on Debian or Ubuntu `sudo apt install python{version}-venv` adds it"
        )


def _install(programs: Programs) -> None:
    """Install the locked packages and try them. The stamp comes back if pip gave up before it changed anything."""
    packages = next(VENV.glob("lib/python*/site-packages"))
    before, stamp = packages.stat().st_mtime_ns, STAMP.read_bytes() if STAMP.exists() else None
    STAMP.unlink(missing_ok=True)
    TEMPORARY.mkdir(exist_ok=True)
    try:
        _install_packages(programs, packages)
    finally:
        if stamp is not None and packages.stat().st_mtime_ns == before:
            write(STAMP, stamp)
    write(packages / "daily_picks.pth", f"{ROOT}\n{ROOT / 'tools'}\n".encode())


def _install_packages(programs: Programs, packages: Path) -> None:
    listed = _check(programs.run(*pip.CALL, "config", "list", environ=pip.environ(TEMPORARY)))
    settings, meaning = pip.chosen(pip.settings(listed), pip.has_gpu())
    say(meaning)
    environ = pip.environ(TEMPORARY, settings)
    teller = Teller(Progress(packages, TEMPORARY, len(_pinned())), on_terminal())
    options = ("--progress-bar", "off", "--log", str(LOG), "-r", str(LOCK))
    try:
        _check(programs.run(*pip.CALL, "install", *options, environ=environ, hear=teller.hear))
        _check(programs.run(*pip.CALL, "check", environ=environ, hear=teller.hear))
        teller.progress.step = TRYING
        _try(programs, environ, teller)
    finally:
        teller.end()


def _try(programs: Programs, environ: dict[str, str], teller: Teller) -> None:
    """Import what is needed, as a command would."""
    needed = [module for name, module in NEEDED.items() if name in _pinned()]
    code = f"import {', '.join(['sys', *needed])}"
    done = programs.run(str(PYTHON), "-I", "-c", code, environ=environ, hear=teller.hear)
    if done.code:
        raise InstallationError(f"what was installed cannot be imported: {_last_line(done)}; mend that and start again")


def _pinned() -> list[str]:
    """The names of the lock's packages; one that depends on the Python comes twice."""
    return [name.decode().lower() for name in _PINNED.findall(LOCK.read_bytes())]


def _last_line(done: Done) -> str:
    return (done.words.strip().splitlines() or [f"exit code {done.code}"])[-1]


def _check(done: Done) -> str:
    """What a program said, unless it failed: that becomes one sentence."""
    if done.code == 0:
        return done.words
    log = LOG.read_text(encoding="utf-8", errors="replace") if LOG.exists() else ""
    raise causes.error(done.words, log, VENV)
