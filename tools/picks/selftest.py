"""Runs every check of the project: what `tools/test`, and so `.ci/run`, does.

All checks run even where one fails. pytest comes last, so that its own closing line ends the output.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {
    "Model": ("reproductions.common.fetch", "smollm2-135m"),
    "Lint": ("ruff", "check"),
    "Format": ("ruff", "format", "--check"),
    "Types": ("mypy",),
    "Papers": ("picks.check",),
}


def main(arguments: list[str]) -> int:
    """Run the checks, then the tests; 1 if anything failed."""
    for_pytest = parse(arguments)
    failed = [title for title, command in CHECKS.items() if not passes(title, *command)]
    print("== Tests" + (f" (failed before them: {', '.join(failed)})" if failed else ""), flush=True)
    return 1 if python("pytest", *for_pytest) or failed else 0


def parse(arguments: list[str]) -> list[str]:
    """The arguments that pytest gets: all but a plea for help."""
    parser = argparse.ArgumentParser(
        prog="tools/test",
        usage="%(prog)s [-h] [arguments of pytest]",
        description="Lint, types and tests. Paths are relative to the project's root.",
        allow_abbrev=False,
    )
    return parser.parse_known_args(arguments)[1]


def passes(title: str, *command: str) -> bool:
    """Run one check between its title and the time it took."""
    print(f"== {title}", flush=True)
    started = time.monotonic()
    passed = python(*command) == 0
    print(f"   {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.1f} s", flush=True)
    return passed


def python(*module: str) -> int:
    """The exit status of a module run from the project's root."""
    return subprocess.run([sys.executable, "-m", *module], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
