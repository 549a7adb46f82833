"""A command line whose refusals are one line, without the wall of usage before it."""

from __future__ import annotations

import argparse
import io
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser with the manners of all commands: no abbreviated options, examples kept as they are written."""

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        replace_what_cannot_be_shown()
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=raw)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with code 2."""
        self.exit(2, f"{self.prog}: {message}\n(see {self.prog} --help)\n")


def replace_what_cannot_be_shown() -> None:
    """From now on a character that the terminal does not have is a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
