"""papermill over one notebook, with its bookkeeping mended.

What papermill 2.7 does otherwise, each measured: after a dead kernel it saves every cell as completed; it keeps every
output whole, one entry a flush; it knows a time limit for a cell, none for the notebook; it saves in place, so that a
kill leaves half a file. It also formats paths with the parameters; it is given none.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

from picks.places import WRONG, PlaceError, place_error, told_number
from picks.run.deadline import Deadline, Limits
from picks.run.kernel_log import KernelLog
from picks.run.launch import Kernel, Leash, kernel_environment, socket_folder
from picks.run.outputs import SHOWN, CappedText, admit, cap_error, size
from picks.run.progress import PlainProgress
from picks.run.state import COMPLETE, ERROR, KILLED, TIMEOUT, Ending, RunState
from picks.run.temporary import temporary_folder
from reproductions.common.files import write_text

ENGINE = "picks"
ELSEWHERE = "run it elsewhere: --out for what it keeps, TMPDIR for temporary files"
DISKS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # what no notebook can help
KERNEL_START = 120  # seconds; a busy machine is slow, a broken kernel is noticed at once by its death


@dataclass
class Execution:
    """What the engine needs besides what papermill hands it, and where it leaves the executed notebook."""

    path: Path  # where the executed notebook is kept
    state: RunState
    progress: PlainProgress
    kernel: Kernel
    start: Mapping[str, Any]  # how the kernel is started
    limits: Limits
    executed: Any = None

    def save(self) -> None:
        """Keep the notebook as it stands, whole."""
        write_text(self.path, nbformat.writes(self.executed))


class Bookkeeping(NotebookExecutionManager):
    """papermill's record of a run; every step also goes to our own state, and to the user's eyes."""

    def __init__(self, nb: Any, execution: Execution) -> None:
        self.execution = execution
        super().__init__(nb, progress_bar=False)

    def save(self, **_: Any) -> None:
        """Keep the notebook as it stands."""
        self.last_save_time = self.now()
        self.execution.save()

    def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        """A code cell begins."""
        super().cell_start(cell, cell_index=cell_index, **kwargs)
        cells = self.execution.state.cells
        self.execution.state.begin(cell_index)
        place = list(cells).index(cell_index) + 1
        self.execution.progress.begin(f"[{place}/{len(cells)}] {cells[cell_index].title}")

    def cell_complete(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        """A code cell has ended, well or not."""
        super().cell_complete(cell, cell_index=cell_index, **kwargs)
        status = cell.metadata.papermill["status"]
        self.execution.state.end(cell_index, status)
        seconds = f"{self.execution.state.cells[cell_index].seconds:.1f} s"
        self.execution.progress.end(seconds if status == self.COMPLETED else f"{status} after {seconds}")


class Client(PapermillNotebookClient):
    """Runs the cells; caps what they put out."""

    def __init__(self, bookkeeping: Bookkeeping, **kwargs: Any) -> None:
        super().__init__(bookkeeping, **kwargs)
        self.printed: dict[tuple[int, str], tuple[CappedText, Any]] = {}

    def papermill_execute_cells(self) -> None:
        """Run cell after cell; whatever stops one marks it as failed, not only an exception of its own code."""
        for index in self.nb_man.execution.state.cells:
            cell = self.nb.cells[index]
            self.nb_man.cell_start(cell, cell_index=index)
            try:
                self.execute_cell(cell, index)
            except CellExecutionError:
                self.nb_man.cell_exception(cell, cell_index=index)
                break
            except BaseException:
                self.nb_man.cell_exception(cell, cell_index=index)
                raise
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take in one message of the kernel, within the caps; widgets are of no use in a saved notebook."""
        kind, content = msg["msg_type"], msg["content"]
        if kind.startswith("comm"):
            return None
        if kind in SHOWN:
            shown = 0 if kind == "update_display_data" else len(cell.outputs)
            admitted = admit(content, self._displayed(), shown)
            if admitted is None:
                return None
            msg["content"] = admitted
        elif kind == "error":
            msg["content"] = cap_error(content)
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Printed text goes to one output a stream and cell; the rest is papermill's."""
        content = msg["content"]
        key = (cell_index, content.get("name", ""))
        if msg["msg_type"] != "stream":
            return super().output(outs, msg, display_id, cell_index)
        text, out = self.printed.get(key, (CappedText(), None))
        if self.clear_before_next_output or not any(out is other for other in outs):  # the first, or the first anew
            text, out = CappedText(), super().output(outs, msg, display_id, cell_index)
            self.printed[key] = (text, out)
        text.add(content["text"], content.get("cut", 0))
        out["text"] = str(text)
        return out

    def _displayed(self) -> int:
        """Bytes of the figures and tables that the notebook holds."""
        outputs = (output for cell in self.nb.cells for output in cell.get("outputs", ()))
        return sum(size(output["data"]) for output in outputs if "data" in output)


class PicksEngine(Engine):
    """The engine that papermill is asked for."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, *, execution: Execution, **_: Any) -> Any:
        """Run a notebook that papermill has parametrised."""
        execution.executed = nb
        execution.state.plan(nb.cells)
        bookkeeping = Bookkeeping(nb, execution)
        bookkeeping.notebook_start()
        try:
            client = Client(
                bookkeeping,
                km=execution.kernel,
                kernel_name=kernel_name,
                startup_timeout=KERNEL_START,
                iopub_timeout=math.ceil(execution.limits.end),  # the end comes first
                shutdown_kernel="immediate",
            )
            client.execute(cleanup_kc=True, **execution.start)
        finally:
            bookkeeping.notebook_complete()
        return nb


papermill_engines.register(ENGINE, PicksEngine)
for chatter in ("papermill", "traitlets"):  # what they would tell, we tell in fewer words
    logging.getLogger(chatter).addHandler(logging.NullHandler())
    logging.getLogger(chatter).propagate = False


def execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    folder: Path,
    root: Path,
    state: RunState,
    progress: PlainProgress,
    limits: Limits,
) -> Ending:
    """Run a notebook in a kernel of its own, within its time.

    Args:
        notebook: which.
        parameters: what its `parameters` cell is followed by.
        folder: the run directory; takes `notebook.ipynb` and, if anything is printed past the notebook, `kernel.log`.
            Temporary files go elsewhere, and are gone at the end.
        root: the project, on whose modules the notebook calls.
        state: kept up to date.
        progress: told of every cell, and when the deadline has passed.
        limits: the time it has.
    """
    with (
        temporary_folder() as temporary,
        socket_folder() as sockets,
        KernelLog(folder / "kernel.log") as log,
        Leash() as leash,
    ):
        kernel = Kernel(sockets, leash)
        environment = kernel_environment(os.environ, root, sockets, temporary)
        start = {"env": environment, "cwd": str(root), "stdin": leash.kernels_end}
        start |= {"stdout": log.kernels_end, "stderr": log.kernels_end}
        execution = Execution(folder / "notebook.ipynb", state, progress, kernel, start, limits)
        deadline = Deadline(limits, kernel, state, progress)
        try:
            with progress, deadline.watching():
                _papermill(notebook, parameters, execution)
        except PapermillExecutionError as error:
            return _raised(error, folder, temporary)
        except KeyboardInterrupt:
            return Ending(KILLED, 130, "interrupted")
        except RuntimeError as error:  # a DeadKernelError too
            return _collapse(error, execution, deadline.passed, log)
        finally:
            kernel.end()
    return Ending(COMPLETE, 0) if state.failed is None else Ending(ERROR, 4, "SystemExit: the cell ended the notebook")


def _papermill(notebook: Path, parameters: Mapping[str, Any], execution: Execution) -> None:
    try:
        papermill.execute_notebook(
            nbformat.read(notebook, as_version=4),
            None,
            dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution=execution,
        )
    except PapermillExecutionError:
        execution.save()  # with the marks that papermill has set at the failed cell
        raise


def _raised(error: PapermillExecutionError, folder: Path, temporary: Path) -> Ending:
    """The notebook's own exception; one that a disk is the cause of is not the notebook's fault."""
    line = _exception_line(error.ename, error.evalue)
    number = told_number(error.evalue)
    if number not in DISKS:
        return Ending(ERROR, 4, line)
    place = min((folder, temporary), key=lambda path: shutil.disk_usage(path).free)
    why = place_error(OSError(number, WRONG[number]), place, ELSEWHERE)
    return Ending(ERROR, PlaceError.exit_code, f"{line}; {why}")


def _exception_line(name: str, value: str) -> str:
    first = "".join(character for character in value.strip().partition("\n")[0] if character.isprintable())
    return f"{name}: {first}"[:300].rstrip(": ")


def _collapse(error: RuntimeError, execution: Execution, passed: str, log: KernelLog) -> Ending:
    """What has ended the kernel, or kept it from its start; an error of any other kind is ours."""
    if passed:
        return Ending(TIMEOUT, 124, passed)
    if isinstance(error, DeadKernelError):
        return _death(execution.kernel.died_of)
    if execution.state.begun:
        raise error
    return _stillbirth(error, log)


def _death(status: int | None) -> Ending:
    if status == -signal.SIGKILL:
        return Ending(KILLED, 137, "the kernel was killed; the usual cause is too little memory: close other programs")
    how = signal.Signals(-status).name if status and status < 0 else f"exit status {status}"
    return Ending(KILLED, 138, f"the kernel died ({how}), taking the notebook with it")


def _stillbirth(error: RuntimeError, log: KernelLog) -> Ending:
    log.close()
    return Ending(KILLED, 138, f"the kernel did not start: {log.last_words or error}")
