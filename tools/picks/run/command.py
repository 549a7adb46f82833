"""`tools/repro`: the door. Bad input is refused here, before anything slow is imported."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from picks.run.arguments import PROGRAM, parse

ROOT = Path(__file__).resolve().parents[3]


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)

    from picks.places import WRONG, place_error
    from reproductions.common.catalogue import ModelError
    from reproductions.common.claims import ClaimError
    from reproductions.common.errors import UserError

    try:
        code = _run(options, root, command=shlex.join([PROGRAM, *argv]))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has seen enough
        from picks.run.terminal import nowhere

        nowhere(sys.stdout.fileno(), sys.stderr.fileno())
        return 0
    except (UserError, ClaimError, ModelError) as error:
        return _refused(error, getattr(error, "exit_code", UserError.exit_code))
    except OSError as error:
        refused = place_error(error, Path.cwd(), "work elsewhere") if error.errno in WRONG else error
        return _refused(refused, getattr(refused, "exit_code", UserError.exit_code))
    except KeyboardInterrupt:
        return 130


def _run(options: Namespace, root: Path, command: str) -> int:
    """What was asked for; returns the exit code."""
    if "verify" in options:
        from picks.run.verify import judge_again, verify

        return judge_again(root, options.verify) if options.judge_again else verify(options.verify)
    if "diff" in options:
        from picks.run.diff import diff

        return diff(*options.diff, as_json=options.json)
    if options.list:
        from picks.run.listing import show_list

        return show_list(root, as_json=options.json)
    if options.run is not None:
        from picks.run.continuation import reopen

        options = reopen(options)

    from picks.run.plan import make_plan

    plan = make_plan(root, options)

    from picks.run.session import hold

    return hold(plan, options, command)


def _refused(error: Exception, code: int) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
