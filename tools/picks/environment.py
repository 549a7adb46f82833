"""Starts a command of `tools/` in `.venv`, which is made first where it is missing or out of date.

This runs before every command, on whichever Python the user has and before anything is installed. So it
needs only the standard library, and imports what makes the environment only when there is something to make.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "stamp"
MODULES = {
    "repro": "picks.run",
    "sweep": "picks.sweep",
    "check": "picks.check",
    "new": "picks.new",
    "add": "picks.add",
    "pick": "picks.pick",
    "export": "picks.exports",
    "site": "picks.site",
    "test": "picks.selftest",
}


def wanted() -> bytes:
    """What the environment must have been made from: this Python, this folder, the lock file's text."""
    python = "{}.{}".format(*sys.version_info)
    return os.fsencode(f"{python}\n{ROOT}\n") + LOCK.read_bytes()


def ready() -> bool:
    """Whether `.venv` was finished, from what is wanted now."""
    try:
        return STAMP.read_bytes() == wanted() and os.access(PYTHON, os.X_OK)
    except OSError:
        return False


def prepare(command: str, arguments: list[str]) -> None:
    """Make the environment, once the command line is known to be worth it."""
    sys.path += [str(ROOT / "tools"), str(ROOT)]
    from picks.installation import ensure
    from picks.installation.refusals import refuse

    refuse(command, arguments)
    if code := ensure(command):
        sys.exit(code)


def main(command: str, arguments: list[str]) -> None:
    """Become the command, in the environment and free of what the user's shell adds to Python's path."""
    if not ready():
        prepare(command, arguments)
    for name in ("PYTHONHOME", "PYTHONPATH"):
        os.environ.pop(name, None)
    os.execv(PYTHON, [str(PYTHON), "-P", "-m", MODULES[command], *arguments])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
