"""The command line of `tools/sweep`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from picks.parser import Parser
from picks.run.arguments import assignment, canonical, seconds, seeds_of

PROGRAM = "tools/sweep"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}")
PROFILES = ("quick", "full")

DESCRIPTION = "Run many reproductions, as many at once as fit; go on where it was stopped."
EXAMPLES = """\
examples:
  tools/sweep --stale --dry-run        # what would run, and why
  tools/sweep --stale --record         # bring the quick records up to date
  tools/sweep --changed-since main --model smollm2-135m
  tools/sweep head_mapping --seeds 0 --seeds 1 -p pairs=40 -p pairs=80
  tools/sweep --resume                 # only what the last sweep lacks
  tools/sweep --all --profile full --cluster slurm

An option that is given several times is varied: every combination is a run.
What is complete, the folders in runs/sweeps/ tell: the same command again does
only what is missing.

exit codes: 0 all complete; 2 bad input; 3 a verdict fell below its record;
4 a run failed; 130 interrupted
"""
SELECTIONS = ("all", "stale", "since")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a fault ends the process with one message and exit code 2."""
    parser = _parser()
    options = parser.parse_args(argv)
    chosen = [name for name in SELECTIONS if getattr(options, name)]
    if options.resume is not None:
        if chosen or options.ids or options.parameters or options.models or options.profiles:
            parser.error("--resume takes up a sweep with what it was started with; leave out what to run")
        return options
    if len(chosen) > 1:
        parser.error("--all, --stale and --changed-since exclude each other")
    if not chosen and not options.ids:
        parser.error("which runs? Name reproductions, or give --all, --stale or --changed-since REV")
    if options.all and options.ids:
        parser.error("--all takes every reproduction; leave out the ids")
    if options.stale and options.parameters:
        parser.error("--stale is about recorded runs, which take a profile as it stands; leave out -p and --seeds")
    options.profiles = options.profiles or ["quick"]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("ids", nargs="*", type=canonical, metavar="ID", help="arXiv id, arXiv address or name of a reproduction")
    add("--all", action="store_true", help="every reproduction")
    add("--stale", action="store_true", help="what is not recorded, or was by other code")
    add("--changed-since", dest="since", metavar="REV", help="what depends on code that is not as in that commit")
    add("--model", dest="models", action="append", default=[], metavar="NAME", help="(default: each that is declared)")
    add("--profile", dest="profiles", choices=PROFILES, action="append", default=[], help="(default: quick)")
    add("-p", dest="parameters", type=assignment, action="append", default=[], metavar="KEY=VALUE")
    add("--seeds", dest="parameters", type=lambda text: ("seeds", seeds_of(text)), action="append", metavar="0,1,2")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    add("--timeout", type=seconds, metavar="S", help="end each run after so many seconds")
    add("--dry-run", action="store_true", help="say what would run and why, and start nothing")
    add("--record", action="store_true", help="keep what ran from a clean tree and did not fall below its record")
    add(
        "--resume", type=_name, nargs="?", const=True, metavar="SWEEP", help="do what a sweep lacks (default: the last)"
    )
    add("--retry-failed", action="store_true", help="run again, too, what failed by its own fault")
    add("--name", type=_name, metavar="SWEEP", help="what its folder is called (default: after what is asked)")
    add("--jobs", type=_count, metavar="N", help="at most so many runs at once (default: as many as there are cores)")
    add("--threads", type=_count, default=1, metavar="N", help="of each run; numbers depend on it (default: 1)")
    add("--cluster", metavar="PROFILE", help="through Snakemake: slurm, kubernetes, local, or a profile's folder")
    return parser


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text[:80]}' cannot name a sweep: letters, digits, '-', '_', '.'")
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise argparse.ArgumentTypeError(f"'{text[:80]}' is not a whole number above 0")
    return int(text)
