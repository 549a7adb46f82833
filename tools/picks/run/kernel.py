"""The kernel's side of a run: an ipykernel under a guard, so that nothing which a notebook starts outlives its run.

The guard is the process that the runner starts; the kernel is its child. The runner holds the other end of the guard's
standard input, and never writes to it. When it lets go, or however it ends, even by SIGKILL, the operating system
closes that end; the guard then kills the kernel and all that came of it. It does so, too, when the kernel ends by
itself, and then ends as that did. On Linux it takes over whatever process has lost its parent, so that none is missed;
elsewhere one that was detached by way of a parent that has ended is not found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from typing import NoReturn

PATIENCE = 3.0  # seconds to kill all
PR_SET_CHILD_SUBREAPER = 36  # of Linux' prctl


def main() -> None:
    """Fork the kernel from this bare process, and be its guard."""
    kernel = os.fork()
    if kernel:
        _guard(kernel)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())  # should the guard be killed, ipykernel's own poller sees it
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the notebook reads an empty input, not the leash
    os.close(nothing)
    from ipykernel.kernelapp import IPKernelApp

    from picks.run.frugal import FrugalSession

    IPKernelApp.launch_instance(session=FrugalSession())


def _guard(kernel: int) -> NoReturn:
    for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the group is sent these to stop a cell
        signal.signal(harmless, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = _watch(kernel)
    _end_all()
    _end_as(-signal.SIGKILL if status is None else status)


def _watch(kernel: int) -> int | None:
    """Wait until the kernel ends, and say how; None if the runner has let go of it before."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while (status := _collect(kernel)) is None:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready and not os.read(0, 1):
            return None
        if woken in ready:
            os.read(woken, 512)
    return status


def _collect(kernel: int) -> int | None:
    """Let go of all children that have ended; how the kernel did, if it is one of them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == kernel:
            return os.waitstatus_to_exitcode(status)
        if not pid:
            return None


def _end_all() -> None:
    """Kill whatever came of the kernel, again and again, since it may start more meanwhile; name what stays."""
    import psutil  # slow, so not before the fork; and not needed before

    until = time.monotonic() + PATIENCE
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.1)
    for process in left:
        print(f"still running, and not to be ended: {process}", file=sys.stderr, flush=True)


def _end_as(status: int) -> NoReturn:
    """End by the same signal, or with the same code."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
