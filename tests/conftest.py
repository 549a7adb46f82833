"""What all tests take for granted, and what a run of them says at its end about tests that were not run."""

import os
import signal
from collections import Counter
from typing import Any, NoReturn

import pytest

# A shell starts background jobs with Ctrl-C ignored, and every process below inherits that: tests send it on purpose.
signal.signal(signal.SIGINT, signal.default_int_handler)

BUDGET = "--notebook-minutes"


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_gemma"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny random Llama, and then a tiny random Gemma, which norms what blocks add."""
    from tests.common import tiny_bridge  # torch is slow to import, and most tests need none

    return getattr(tiny_bridge, request.param)(tmp_path_factory.mktemp("model"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        BUDGET,
        type=float,
        default=20,
        help="how long quick profiles of reproductions may run: stale ones first, then others in turn (default: 20)",
    )


def missing(program: str, remedy: str) -> NoReturn:
    """A program that a test needs is not here: the test is skipped, and on a CI, where it must be, it fails."""
    why = f"{program} is not on this machine; {remedy}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests were not run, and why."""
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in _skipped(terminalreporter))
    if reasons:
        terminalreporter.section("not run")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} test{'s' * (count != 1)}: {reason}")


def _skipped(terminalreporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    found = terminalreporter.stats.get("skipped", [])
    return [report for report in found if isinstance(report.longrepr, tuple)]
