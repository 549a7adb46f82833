"""From what pip says and logs, in the words of its version 23 and 26, to a sentence that says what to do."""

from pathlib import Path

import pytest

from picks.installation.causes import cause, error
from picks.installation.errors import InstallationError, PlaceError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("WARNING: Retrying ...: Failed to establish a new connection\nERROR: No matching distribution", "network"),
        ("error: connection-failed\n\n× Failed to connect to index while fetching torch\n", "network"),
        ("ERROR: first\nERROR: second.\n", "second; mend that"),
        ("a 1.0 requires b, which is not installed.\n", "b, which is not installed; mend that"),
        ("", "pip was stopped"),
    ],
)
def test_the_cause_is_found_in_what_pip_says(words: str, expected: str) -> None:
    assert expected in cause(words)


NOT_FOUND = """\
ERROR: Could not find a version that satisfies the requirement rich==1.0 (from versions: none)
ERROR: No matching distribution found for rich==1.0
"""
URL = "http://index.example/simple/rich/"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            f"Could not fetch URL {URL}: 403 Client Error: Forbidden for url: {URL} - skipping",
            "answered 403 (Forbidden)",
        ),
        (f"Could not fetch URL {URL}: 401 Client Error: No for url: {URL} - skipping", "put a name and password"),
        (
            f"Could not fetch URL {URL}: HTTPConnectionPool(): Max retries exceeded (ResponseError('too many 500 "
            "error responses')) - skipping",
            "answered 500 (Internal Server Error); it is out of order",
        ),
        (f"Could not fetch URL {URL}: connection error: [Errno 111] - skipping", "no package index answers"),
        (
            f"Could not fetch URL {URL}: connection error: (Caused by ProxyError('Unable to connect to proxy', OSError("
            "'Tunnel connection failed: 407 Proxy Authentication Required'))) - skipping",
            "answered 407",
        ),
        (f"Fetched page {URL} as text/html", "a page that lists no packages; open a web page in a browser"),
        (
            f"Skipping page {URL} because the GET request got Content-Type: application/json. The only supported",
            "answered with application/json, as no package index does",
        ),
        (
            f"Could not fetch URL {URL}: 404 Client Error: Not Found for url: {URL} - skipping",
            "No matching distribution",
        ),
        (
            f"Fetched page {URL} as text/html\n  Found link {URL}rich-2.whl",
            "No matching distribution found for rich==1.0",
        ),
    ],
)
def test_the_log_says_what_the_index_answered(log: str, expected: str) -> None:
    assert expected in cause(NOT_FOUND, f"{log}\nSkipping link: not a file: {URL}\n")


def test_an_extra_index_that_lacks_a_package_is_not_what_is_wrong() -> None:
    other = URL.replace("index", "other")
    log = f"Could not fetch URL {other}: 404 Client Error: Not Found for url: {other} - skipping\n"
    log += f"Fetched page {URL} as text/html"
    assert f"{URL} answered with a page that lists no packages" in cause(NOT_FOUND, log)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("  ERROR: HTTP error 403 while getting http://index.example/rich.whl (from x)\n", "rich.whl answered 403"),
        ("ERROR: Wheel 'rich' located at /scratch/pip-unpack-1/rich.whl is invalid.\n", "a download was cut short"),
        ("error: incomplete-download\n\n× Download failed after 6 attempts\n", "a download was cut short"),
    ],
)
def test_a_download_that_failed_says_how(words: str, expected: str) -> None:
    assert expected in cause(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
            "the disk is full",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 30] Read-only file system: '/x/y'\n", "/x/y"),
    ],
)
def test_a_place_that_cannot_be_written_is_an_error_of_its_own(words: str, expected: str) -> None:
    found = error(words, "", Path("/project/.venv"))
    assert isinstance(found, PlaceError)
    assert found.exit_code == 74
    assert expected in str(found)


def test_other_errors_are_not_of_a_place() -> None:
    found = error("ERROR: other\n", "", Path("/project/.venv"))
    assert isinstance(found, InstallationError)
    assert found.exit_code == 1
