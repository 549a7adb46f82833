"""`tools/repro`: the door. Bad input is refused here, before anything slow is imported."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from picks.run.arguments import PROGRAM, parse

ROOT = Path(__file__).resolve().parents[3]


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)

    from picks.run.plan import make_plan
    from reproductions.common.catalogue import ModelError
    from reproductions.common.claims import ClaimError
    from reproductions.common.errors import UserError

    try:
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
        plan = make_plan(root, options)
        from picks.run.session import hold

        return hold(plan, options, command=shlex.join([PROGRAM, *argv]))
    except (UserError, ClaimError, ModelError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:
        return 130
