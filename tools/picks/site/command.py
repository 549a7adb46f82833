"""The command line of `tools/site`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from picks.ending import ended
from picks.parser import Parser

PROGRAM = "tools/site"
ROOT = Path(__file__).resolve().parents[3]

DESCRIPTION = "The site: every pick, what its reproduction found, and ways to look for more."
EXAMPLES = """\
examples:
  tools/site serve
  tools/site build
  tools/site offline --out daily-picks.zip
  tools/site announce 2404.07129 2412.11965

exit codes: 0 done; 2 bad input, or a fault that MkDocs found; 130 interrupted
"""

Action = Callable[[Path, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return ended(PROGRAM, lambda: options.run(root, options))


def _parser() -> Parser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Action, what: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what, epilog="")
        command.set_defaults(run=run)
        return command

    add("build", _build, "make the site in build/html")
    serve = add("serve", _serve, "show the site on this machine, and follow changes")
    serve.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    offline = add("offline", _offline, "make one zip of the site that opens without a server")
    offline.add_argument("--out", type=Path, metavar="FILE", help="(default: build/daily-picks.zip)")
    announce = add("announce", _announce, "print the day's post, whole and cut to the length of each network")
    announce.add_argument("papers", nargs="+", metavar="ID", help="arXiv id or address; several make one edition")
    return parser


def _build(root: Path, _: argparse.Namespace) -> int:
    from picks.site.build import build

    built = build(root)
    print(f"{built.folder}: {built.pages} pages in {built.seconds:.1f} s")
    return 0


def _serve(root: Path, options: argparse.Namespace) -> int:
    from picks.site.build import serve

    return serve(root, options.port)


def _offline(root: Path, options: argparse.Namespace) -> int:
    from picks.site.build import pack

    target = options.out or root / "build" / "daily-picks.zip"
    built = pack(root, target)
    print(f"{target}: {built.pages} pages, {target.stat().st_size / 1e6:.1f} MB; unpack it and open index.html")
    return 0


def _announce(root: Path, options: argparse.Namespace) -> int:
    from picks.site.announce import LIMITS, chosen, post, short_post

    papers = chosen(root, options.papers)
    print(post(papers))
    for network, limit in LIMITS.items():
        print(f"--- {network}, at most {limit} characters\n{short_post(papers, network)}\n")
    return 0
