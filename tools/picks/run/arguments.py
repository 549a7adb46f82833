"""The command line of `tools/repro`.

Standard library only, and of ours only what needs no more: this runs in whatever Python is at hand, before the
environment exists, so that help and a refusal never wait for an installation.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from picks.identifiers import paper_id
from picks.parser import Parser

PROGRAM = "tools/repro"
MOST_SEEDS = 1000
NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")
RESERVED = ("model", "device", "out", "profile")  # set by their own options, injected by the runner

_MOST = 300  # characters of what a paper is called
_NUMBER = re.compile(r"[\d.]+")

DESCRIPTION = "Run a paper's reproduction on a small model; say claim by claim what was found."
EXAMPLES = """\
examples:
  tools/repro --list
  tools/repro 2412.11965
  tools/repro head_mapping --model smollm2-135m -p relations=country_capital
  tools/repro https://arxiv.org/abs/2412.11965 --profile full --json
  tools/repro circular features --seeds 0-4
  tools/repro verify reproductions/*/results/*.json
  tools/repro diff RUN RUN     # two runs, or a run and a record, side by side

A run that was interrupted, killed or out of time keeps what its expensive steps
found; --continue RUN takes it up again, with what it was started with.
Past its deadline a run that is getting on goes on, up to four times as long.

exit codes: 0 finished, nothing below its record; 2 bad input; 3 a verdict fell
below its record; 4 the notebook raised; 74 a disk is full, read-only or without
locks; 124 out of time; 130 interrupted; 137, 138 kernel killed
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a fault ends the process with one message and exit code 2.

    Returns:
        paper (the id that a text says, or the text itself), model, parameters (text by name), profile, device, out,
        timeout, json, record, list, run (the directory of an interrupted one).
    """
    if argv[:1] == ["verify"]:
        return _verify_parser().parse_args(argv[1:])
    if argv[:1] == ["diff"]:
        return _diff_parser().parse_args(argv[1:])
    parser = _parser()
    options = parser.parse_args(argv)
    if options.run is not None:
        _refuse_beside_continue(parser, options)
        return options
    if options.list and options.paper:
        parser.error("--list shows every reproduction; leave out the id")
    if not options.list and not options.paper:
        parser.error(f"which paper? Give an arXiv id or a reproduction's name; {PROGRAM} --list shows what there is")
    options.paper = _called(parser, options.paper)
    options.parameters = _by_name(parser, options.parameters, options.seeds)
    options.profile, options.device = options.profile or "quick", options.device or "auto"
    return options


def canonical(text: str) -> str:
    """The id that an arXiv number or an address says, without its version; any other name as it stands.

    Raises:
        argparse.ArgumentTypeError: it can name no paper.
    """
    text = text.strip()
    if found := paper_id(text):
        return found
    if _NUMBER.fullmatch(text) or not re.search(r"[^\W_]", text) or not text.isprintable() or len(text) > _MOST:
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is neither an arXiv id (2412.11965), an address, nor a reproduction's name"
        )
    return text


def _parser() -> argparse.ArgumentParser:
    parser = Parser(PROGRAM, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    what = "arXiv id, address or DOI of a paper, name of a reproduction, or words of a title"
    add("paper", nargs="*", type=canonical, metavar="ID", help=what)
    add("--list", action="store_true", help="what can be run, on what, how long it takes, what it found last")
    add("--model", metavar="NAME", help="name, owner/name of the hub or path:DIR (default: the reproduction's first)")
    add("--sae", dest="saes", action="append", default=[], metavar="path:FILE", help="an autoencoder of SAELens")
    add("-p", dest="parameters", type=assignment, action="append", default=[], metavar="KEY=VALUE")
    add("--profile", choices=("quick", "full"), help="set of parameters (default: quick)")
    add("--seeds", type=seeds_of, metavar="0,1,2", help="short for -p seeds=0,1,2; 0-4 are 0,1,2,3,4")
    add("--device", type=_device, choices=("auto", "cpu", "cuda"), help="(default: auto)")
    add("--out", type=Path, metavar="DIR", help="write the run here instead of in runs/")
    add("--continue", dest="run", type=Path, metavar="RUN", help="go on with an interrupted run; RUN is its directory")
    add("--timeout", type=seconds, metavar="S", help="end the run after so many seconds, whatever it is doing")
    add("--json", action="store_true", help="print the run's record on stdout, and nothing else")
    add("--record", action="store_true", help="keep this run's results and figures in the reproduction's results/")
    return parser


def _verify_parser() -> argparse.ArgumentParser:
    what = "Work out every interval and verdict of records anew, from the values they keep. Needs no model."
    parser = Parser(
        f"{PROGRAM} verify", what, "exit codes: 0 all of it follows; 2 no record; 3 something does not follow"
    )
    again = "first judge the kept numbers again, by today's reproduction.yml and today's rule"
    parser.add_argument("--judge-again", action="store_true", help=again)
    parser.add_argument(
        "verify", nargs="+", type=Path, metavar="RECORD", help="results.json of a run, or a kept record"
    )
    return parser


def _diff_parser() -> argparse.ArgumentParser:
    what = "Hold two runs against each other: what was asked, where it ran, numbers (B less A) and verdicts."
    parser = Parser(
        f"{PROGRAM} diff", what, "exit codes: 0 the same numbers and verdicts; 1 others; 2 no two such runs"
    )
    run = "directory of a complete run, its results.json, or a kept record"
    parser.add_argument("diff", nargs=2, type=Path, metavar="RUN", help=run)
    parser.add_argument("--json", action="store_true", help="print what differs as JSON")
    return parser


def _refuse_beside_continue(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """A run goes on with what it was started with."""
    for name in ("paper", "list", "model", "saes", "parameters", "profile", "seeds", "device", "out"):
        if getattr(options, name):
            parser.error(
                "--continue takes up a run with what it was started with; leave out all else but --timeout, "
                "--json and --record"
            )


def assignment(text: str) -> tuple[str, str]:
    """`KEY=VALUE` of `-p`.

    Raises:
        argparse.ArgumentTypeError: it is none, or names what another option gives.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text[:80]}' is not KEY=VALUE")
    if not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name[:80]!r} cannot name a parameter: small letters, digits, underscores")
    if name in RESERVED:
        raise argparse.ArgumentTypeError(f"{name} is not given with -p; use --{name}")
    return name, value


def _device(text: str) -> str:
    if text == "mps":
        raise argparse.ArgumentTypeError("mps is of no use: PyTorch 2.7 to 2.13 compute wrong numbers on it; take cpu")
    return text


def _called(parser: argparse.ArgumentParser, words: Sequence[str]) -> str | None:
    """One paper: an id alone, or words that belong together."""
    if len(words) > 1 and any(paper_id(word) for word in words):
        parser.error(f"one paper at a time, not {' and '.join(words)[:80]}; `tools/sweep` runs many")
    return " ".join(words) or None


def seeds_of(text: str) -> str:
    """Seeds with a comma between them; those between the ends of a range are counted up, as a signature has them."""
    seeds: list[str] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*", part)
        first, last = (int(ends[1]), int(ends[2])) if ends else (0, -1)
        if ends and not first <= last < first + MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"'{part[:40]}' is no range of at most {MOST_SEEDS} seeds, as in 0-4")
        seeds += map(str, range(first, last + 1)) if ends else [part.strip()]
    return ",".join(seeds)


def seconds(text: str) -> float:
    """A time of at least something.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"'{text[:80]}' is not a number of seconds above 0")
    return float(text)


def _by_name(parser: argparse.ArgumentParser, pairs: Sequence[tuple[str, str]], seeds: str | None) -> dict[str, str]:
    pairs = [*pairs, ("seeds", seeds)] if seeds is not None else pairs
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            parser.error(f"{name} is given twice ({given[name]!r} and {value!r})")
        given[name] = value
    return given
