"""From what pip says, and writes in its log, to one sentence: what was wrong, where, and how to mend it."""

from __future__ import annotations

import re
from http.client import responses
from pathlib import Path

from picks.installation.errors import InstallationError, PlaceError, full

_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded")
_NO_WRITING = re.compile(r"(?:Read-only file system|Permission denied): '(?P<path>[^'\n]+)'")
_NO_ANSWER = re.compile(
    r"Failed to (connect|establish|resolve)|Unable to fetch|Max retries exceeded|NewConnectionError"
    r"|name resolution|timed out|Connection (aborted|broken|refused|reset)"
)
_NOT_FOUND = re.compile(r"No matching distribution found for (?P<name>[\w.-]+)")
_REFUSED = re.compile(
    r"(?P<code>\d{3}) (?:Client Error: .*? for url:|Server Error: .*? for url:|while getting) (?P<url>[^\s,]+)"
)
_EXHAUSTED = re.compile(r"Could not fetch URL (?P<url>\S+): .*too many (?P<code>\d{3}) error responses")
_PROXY = re.compile(r"Could not fetch URL (?P<url>\S+): .*Tunnel connection failed: (?P<code>\d{3})")
_UNREACHED = re.compile(r"Could not fetch URL (?P<url>\S+): (?!\d{3} )")
_OTHER_KIND = re.compile(r"Skipping page (?P<url>\S+) because the \w+ request got Content-Type: (?P<kind>[^.\s;]+)")
_PAGE = re.compile(r"Fetched page (?P<url>\S+) as")
_CUT = re.compile(r"incomplete-download|IncompleteRead|Wheel '.*' located at .* is invalid|BadZipFile")
_ERROR = re.compile(r"(?i)^error: *(.+)", re.MULTILINE)

HINTS = {
    401: "it wants to know who asks: put a name and password into pip's settings",
    403: "it, or a proxy before it, does not let this machine in: see what index and proxy `pip config list` shows",
    407: "the proxy wants to know who asks: put a name and password into its address",
    429: "too many have asked: wait a while, and start again",
}
OUT_OF_ORDER = "it is out of order: start again later"
HOTSPOT = "open a web page in a browser, in case the network wants a log-in first, or mend the index in pip's settings"


def error(words: str, log: str, environment: Path) -> InstallationError:
    """What to tell the user of a program that failed."""
    if _NO_ROOM.search(words):
        return PlaceError(full(environment))
    if refused := _NO_WRITING.search(words):
        return PlaceError(f"{refused['path']} cannot be written; mend that and start again")
    return InstallationError(cause(words, log))


def cause(words: str, log: str = "") -> str:
    """The known cause behind a program's words, or the last of its errors; and how to mend it."""
    missing = _NOT_FOUND.search(words)
    pages = [line for line in log.splitlines() if missing and f"/{_normal(missing['name'])}/" in line.lower()]
    return (
        _answer(words)
        or _answer("\n".join(line for line in pages if " 404 " not in line))
        or _no_answer(words, pages)
        or (_no_index("\n".join(pages)) if "(from versions: none)" in words else "")
        or _cut(words)
        or f"{_last_error(words)}; mend that and start again"
    )


def _answer(words: str) -> str:
    """That an index answered, and with what."""
    found = _EXHAUSTED.search(words) or _PROXY.search(words) or _REFUSED.search(words)
    if found is None:
        return ""
    code = int(found["code"])
    return f"{found['url']} answered {code} ({responses.get(code, 'no known code')}); {HINTS.get(code, OUT_OF_ORDER)}"


def _no_answer(words: str, pages: list[str]) -> str:
    if not (_NO_ANSWER.search(words) or any(_UNREACHED.search(line) for line in pages)):
        return ""
    return "no package index answers; connect to the network, which only this first start needs, and start again"


def _no_index(pages: str) -> str:
    """That what answered is a page, but none of an index: those link packages, and say so by their type."""
    if other := _OTHER_KIND.search(pages):
        return f"{other['url']} answered with {other['kind']}, as no package index does; {HOTSPOT}"
    page = _PAGE.search(pages)
    if page is None or "Found link" in pages:
        return ""
    return f"{page['url']} answered with a page that lists no packages; {HOTSPOT}"


def _cut(words: str) -> str:
    if not _CUT.search(words):
        return ""
    return f"a download was cut short, or something else came in its place; start again, or {HOTSPOT}"


def _last_error(words: str) -> str:
    errors = _ERROR.findall(words) or words.strip().splitlines()
    return errors[-1].rstrip(".") if errors else "pip was stopped"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
