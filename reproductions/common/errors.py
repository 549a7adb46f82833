"""What can go wrong by the user's hand: said in one message, never in a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something asked for cannot be done; the message says what, where, why, and how to mend it."""

    exit_code = 2
