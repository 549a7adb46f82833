"""`python -m picks.sweep.leash COMMAND…`: becomes a command that ends when whoever holds its standard input is gone.

The holder never writes there. However it ends, even by SIGKILL, the operating system closes its end; a guard, forked
before anything else, then reads the end of the file and kills the whole process group.
"""

import os
import signal
import sys


def leave_guard() -> None:
    """Fork what kills our process group once standard input ends; ours is an empty one from then on."""
    if os.fork() == 0:
        for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the group may be sent these to stop a run
            signal.signal(harmless, signal.SIG_IGN)
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the run reads an empty input, not the leash
    os.close(nothing)


if __name__ == "__main__":
    leave_guard()
    os.execvp(sys.argv[1], sys.argv[1:])
