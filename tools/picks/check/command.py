"""`tools/check`: its command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from picks.check.checker import check, files_in, is_checked
from picks.check.faults import display
from picks.check.pages import page
from picks.check.reporters import REPORTERS, errors
from picks.check.rules import rules
from picks.ending import ended
from picks.parser import Parser
from reproductions.common.suggest import did_you_mean

PROGRAM = "tools/check"
ROOT = Path(__file__).resolve().parents[3]
CLEAN, FAULTS = 0, 1

EXAMPLES = """\
examples:
  tools/check
  tools/check papers/2412.11965.yml
  tools/check --format json
  tools/check --explain unquoted-id

exit codes: 0 no errors (hints do not count), 1 errors, 2 bad input
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    return ended(
        PROGRAM,
        lambda: _explain(parser, options.explain) if options.explain else _check(parser, options, root),
        unread=FAULTS,
    )


def _parser() -> Parser:
    parser = Parser(PROGRAM, "Find every fault in the knowledge base. Needs no network.", EXAMPLES)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="entries, or folders of them (papers/)")
    parser.add_argument("--format", choices=REPORTERS, default="text", help="(default: %(default)s)")
    parser.add_argument("--explain", metavar="RULE", help="say what a rule is about, and check nothing")
    return parser


def _explain(parser: Parser, name: str) -> int:
    known = rules()
    if name not in known:
        listed = "" if (guess := did_you_mean(name, known)) else f"; rules are {', '.join(known)}"
        parser.error(f"there is no rule {name}{guess}{listed}")
    print(page(known[name]), end="")
    return CLEAN


def _check(parser: Parser, options: argparse.Namespace, root: Path) -> int:
    files = _files(parser, options.paths or [root / "papers"])
    faults = check(root, files)
    print(REPORTERS[options.format](faults, len(files)), flush=True)
    return FAULTS if errors(faults) else CLEAN


def _files(parser: Parser, paths: Sequence[Path]) -> list[Path]:
    """The files that are meant; what is not there ends the command."""
    missing = [display(path) for path in paths if not os.path.lexists(path)]
    if missing:
        parser.error(f"there is no {', no '.join(missing)}")
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  (resolve() would follow links)
    try:
        found = [
            file for path in absolute for file in (files_in(path) if path.is_dir() else [path]) if is_checked(file)
        ]
    except OSError as error:
        parser.error(f"cannot look into {display(Path(error.filename))}: {error.strerror}")
    if not found:
        parser.error(f"there are no entries in {', '.join(map(display, paths))}")
    return list(dict.fromkeys(found))
