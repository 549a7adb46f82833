"""The runner's side of a kernel: how it is started, with what environment, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from picks.run.temporary import temporary_folder

CODE = Path(__file__).resolve().parents[3]

# What a notebook may see of the user's environment: where things lie and how to compute, no tokens.
ALLOWED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|XDG_\w+|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH"
    r"|DAILY_PICKS_CACHE|HF_HOME|HF_HUB_CACHE|TORCH_HOME|ATEN_CPU_CAPABILITY|PYTHONDONTWRITEBYTECODE"
    r"|CUDA_\w+|NVIDIA_\w+|OMP_\w+|GOMP_\w+|KMP_\w+|MKL_\w+|OPENBLAS_\w+"
)
# Threads that have nothing to do sleep, in GNU's OpenMP (PyTorch's on Linux) and in LLVM's (on macOS). By default they
# spin, and beside other programs every part of a product waits for a thread that has lost its processor: beside three
# of them, on two processors, passes over 12 tokens took ten times as long with two spinning threads as with one.
SLEEP_WHEN_IDLE = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
MOST_THREADS = 8  # more gains nothing on models this small, and numbers depend on the count
PATIENCE = 5.0  # seconds for the guard to end everything; it gives up after less
LONGEST_SOCKET = 100  # a Unix socket's path holds 104 bytes on macOS, 108 on Linux


class Leash:
    """The standard input of a kernel's guard: once we let go, or are gone, it ends, and `picks.run.kernel` ends all."""

    def __init__(self) -> None:
        self.kernels_end, ours = os.pipe()
        self._ours = [ours]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        os.close(self.kernels_end)

    def release(self) -> None:
        """Let go; once is enough, from whichever thread."""
        with contextlib.suppress(IndexError):
            os.close(self._ours.pop())


class Kernel(AsyncKernelManager):
    """A kernel of this Python, whatever kernelspecs are installed, reached through sockets in a folder of its own.

    IPC instead of TCP: no race for ports between parallel runs, and nothing that listens on the network.
    """

    process: subprocess.Popen[bytes] | None = None  # the kernel's guard, and leader of its group

    def __init__(self, folder: Path, leash: Leash) -> None:
        self.leash = leash
        super().__init__(transport="ipc", connection_file=str(folder / "kernel.json"), ip=str(folder / "k"))

    @property
    def kernel_spec(self) -> KernelSpec:
        """The one kernel there is."""
        argv = [sys.executable, "-m", "picks.run.kernel", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Daily Picks", language="python")

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        await super()._async_launch_kernel(kernel_cmd, **kw)
        self.process = getattr(self.provisioner, "process", None)

    async def _async_interrupt_kernel(self) -> None:
        """Nothing: only a kernel that is killed next is interrupted, and it would tell of it in its log."""

    async def _async_kill_kernel(self, restart: bool = False) -> None:
        """Leave it to the guard, which would otherwise be killed before it has found what was detached."""
        self.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._async_wait(), PATIENCE)
        await super()._async_kill_kernel(restart)

    def kill(self) -> None:
        """Have the kernel and everything it has started killed; at its birth if it is yet to be."""
        self.leash.release()

    def end(self) -> None:
        """Kill, and wait until nothing is left."""
        self.kill()
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # where orphans are not the guard's
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def processor_seconds(self) -> float | None:
        """What the kernel and all that it started have computed; None before its birth and where it is not known."""
        return None if self.process is None else processor_seconds(self.process.pid)

    @property
    def died_of(self) -> int | None:
        """The kernel's exit status, negative for a signal; None while it lives."""
        return None if self.process is None else self.process.poll()


def processor_seconds(group: int) -> float | None:
    """Processor time of a process group, with what its processes have waited for; None where there is no /proc."""
    if not Path("/proc/self/stat").exists():
        return None
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = path.read_text(encoding="utf8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A private temporary folder whose path is short enough for a socket."""
    short = len(tempfile.gettempdir().encode()) < LONGEST_SOCKET - len("/picks-12345678/kernel.json")
    with temporary_folder(None if short else Path("/tmp")) as folder:
        yield folder


def threads(environment: Mapping[str, str]) -> int:
    """How many threads a run computes with: OMP_NUM_THREADS if the user sets it, else the processors, within reason.

    Small passes take one of them (`reproductions.common.threads`). On a busy machine OMP_NUM_THREADS=1 may be faster.
    """
    wanted = environment.get("OMP_NUM_THREADS", "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(wanted) if re.fullmatch(r"[1-9]\d{0,3}", wanted) else min(usable, MOST_THREADS)


def kernel_environment(environment: Mapping[str, str], root: Path, folder: Path, temporary: Path) -> dict[str, str]:
    """What a notebook sees: the allowed part of the user's environment, and what makes its numbers come back.

    Args:
        environment: the user's.
        root: the project, on whose modules the notebook calls.
        folder: private; takes what IPython would write to the home folder, and keeps the user's start-up files out.
        temporary: takes what the notebook, and whatever it calls on, write to a temporary folder and may leave there.
    """
    allowed = {name: value for name, value in environment.items() if ALLOWED.fullmatch(name)}
    return (
        SLEEP_WHEN_IDLE
        | allowed
        | {
            "PYTHONPATH": os.pathsep.join(map(str, dict.fromkeys([root, CODE, CODE / "tools"]))),
            **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary)),
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",  # files are read alike whatever the user's locale
            "IPYTHONDIR": str(folder / "ipython"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "OMP_NUM_THREADS": str(threads(environment)),
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TQDM_DISABLE": "1",
            "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm's, about widgets that no saved notebook shows
        }
    )
