"""Makes `.venv` from `requirements.lock`, so that nobody has to know how (`picks.environment` says when).

Runs before anything is installed, and so needs only the standard library.
"""

from __future__ import annotations

from picks.environment import VENV
from picks.installation.errors import InstallationError, place_error
from picks.installation.place import LOG
from picks.installation.programs import AbandonedError
from picks.installation.saying import say
from picks.installation.steps import make
from picks.installation.supervision import KILLED, STOPS, supervised

INTERRUPTED = 130


def ensure(command: str) -> int:
    """Make the environment; returns an exit code, after a sentence that says why if it is not 0."""
    code = supervised(lambda lifeline: _made(command, lifeline))
    if code - KILLED in STOPS:
        say(f"\ntools/{command}: interrupted; nothing is left half-made; start again to make .venv.")
    elif code > KILLED:
        say(f"tools/{command}: what makes .venv was killed, perhaps for want of memory; start again.")
    return code


def _made(command: str, lifeline: int) -> int:
    """The worker's exit code."""
    try:
        make(lifeline)
    except AbandonedError:
        return INTERRUPTED
    except InstallationError as error:
        return _refused(command, error)
    except OSError as error:
        return _refused(command, place_error(error, VENV))
    return 0


def _refused(command: str, error: InstallationError) -> int:
    log = f" (pip's log: {LOG})" if LOG.exists() else ""
    say(f"tools/{command}: cannot make .venv: {error}{log}.")
    return error.exit_code
