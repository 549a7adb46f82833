"""The kernel's side of a run: an ipykernel that cannot outlive its runner.

The runner holds the other end of our standard input and never writes to it. However the runner ends, even by SIGKILL,
the kernel of the operating system closes that end; a guard, forked before anything is imported, then reads the end of
the file and kills the whole process group: this process, and what the notebook has started. (Linux' PR_SET_PDEATHSIG
would spare those children, and there is none on macOS; ipykernel's own poller stays as a second rope.)
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Tie ourselves to the runner, then be a kernel."""
    leave_guard()
    from ipykernel.kernelapp import IPKernelApp  # the guard must be forked from a bare process

    IPKernelApp.launch_instance()


def leave_guard() -> None:
    """Fork what kills our process group once standard input ends; ours is an empty one from then on."""
    if os.fork() == 0:
        for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the group is sent these to stop a cell
            signal.signal(harmless, signal.SIG_IGN)
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the notebook reads an empty input, not the leash
    os.close(nothing)


if __name__ == "__main__":
    main()
