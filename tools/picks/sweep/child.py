"""`python -m picks.sweep.child ROOT FOLDER ARGUMENTS…`: one point of a sweep, by the ordinary command line.

Whoever comes second to a folder waits for the first one and finds its work done: a driver that died may have left jobs
on a cluster behind.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from picks.run import command
from picks.run.continuation import PLAN, RESULTS


def main(argv: Sequence[str]) -> int:
    """Finish the run in a folder, from the last step that is kept there; returns the exit code of `tools/repro`."""
    root, folder, *arguments = argv
    return finish(Path(root), Path(folder), arguments)


def finish(root: Path, folder: Path, arguments: Sequence[str]) -> int:
    """As `main` does; what lies in the folder and cannot be gone on with makes way."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / RESULTS).exists():
            return 0
        (folder / "state.json").unlink(missing_ok=True)  # the former attempt's
        code = 2
        if (folder / PLAN).exists():
            code = command.main(
                ["--continue", str(folder), *(a for a in arguments if a.startswith("--timeout="))], root
            )
        if code == 2:
            shutil.rmtree(folder, ignore_errors=True)
            code = command.main([*arguments, "--out", str(folder)], root)
        return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
