"""`tools/new`: its command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from picks.parser import Parser
from reproductions.common.errors import UserError

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

    from picks.new.start import start

    try:
        written = start(root, options.name, options.paper)
    except (UserError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UserError.exit_code
    print("\n".join(str(path.relative_to(root)) for path in written))
    print(f"\nIt runs as it is: tools/repro {options.name}. CONTRIBUTING.md says what to do with it.")
    return 0
