"""How a command ends, whatever happens: with its exit code, and with one line where it could not do what was asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from reproductions.common.errors import UserError

INTERRUPTED = 130


def ended(program: str, work: Callable[[], int], unread: int = 0) -> int:
    """The exit code of a command's work; `unread` if its reader, such as `head`, closes the pipe early."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return unread
    except (UserError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
