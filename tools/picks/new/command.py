"""`tools/new`: its command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picks.ending import ended
from picks.parser import Parser

PROGRAM = "tools/new"
ROOT = Path(__file__).resolve().parents[3]

DESCRIPTION = "Start a reproduction: four files and a test that run as they are, to be filled with a paper's method."
EXAMPLES = """\
examples:
  tools/new layer_linearity --paper 2405.12250

exit codes: 0 done; 2 bad input
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    parser.add_argument("name", help="the method's name in small letters, as in layer_linearity")
    parser.add_argument("--paper", required=True, metavar="ID", help="the paper's id; its entry is there already")
    options = parser.parse_args(argv)

    return ended(PROGRAM, lambda: _start(root, options.name, options.paper))


def _start(root: Path, name: str, paper: str) -> int:
    from picks.new.start import start

    print("\n".join(str(path.relative_to(root)) for path in start(root, name, paper)))
    print(f"\nIt runs as it is: tools/repro {name}. CONTRIBUTING.md says what to do with it.")
    return 0
