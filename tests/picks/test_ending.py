"""How commands end: with what code, and with what words."""

import subprocess
import sys

import pytest

from picks.ending import ended
from picks.environment import ROOT
from reproductions.common.errors import UserError


def _raise(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize("code", [0, 1, 3])
def test_work_that_is_done_has_its_own_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("tools/x", lambda: code) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [UserError("no lamp here"), OSError("no lamp here")])
def test_what_cannot_be_done_is_said_in_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("tools/x", lambda: _raise(error)) == 2
    assert capsys.readouterr() == ("", "tools/x: no lamp here\n")


def test_an_interrupt_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("tools/x", lambda: _raise(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ended("tools/x", lambda: 1 // 0)


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_seen_enough_is_no_error(lines: int) -> None:
    """However much was to be said: little is refused at the last flush, much in the middle."""
    work = f"from picks.ending import ended; raise SystemExit(ended('x', lambda: print('lamp ' * {lines}) or 0, 5))"
    begun = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = ['tools', '.']; sys.stdin.readline(); {work}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert begun.stdin is not None and begun.stdout is not None and begun.stderr is not None
    begun.stdout.close()
    begun.stdin.write(b"go\n")
    begun.stdin.close()
    assert begun.stderr.read() == b""
    assert begun.wait() == 5
    begun.stderr.close()
