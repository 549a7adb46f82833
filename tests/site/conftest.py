"""A small site, built twice – to be served and to be opened from a disk – and a browser to read it with."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from picks.site.build import build
from tests.conftest import missing
from tests.fixtures import mini_explorers, mini_site

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000  # milliseconds; machines may be busy
WIDE, PHONE = (1280, 900), (390, 844)
FILLERS = 40


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: reads the built site in Chromium ($CHROMIUM may name it)")


@dataclass(frozen=True)
class Site:
    """A built site and where a browser finds it."""

    folder: Path
    base: str
    offline: bool

    def url(self, page: str = "", query: str = "") -> str:
        """The address of a page such as `papers/2501.00002`, or `tags/` for the index of a folder."""
        folder = not page or page.endswith("/")
        if self.offline:
            return f"{self.base}{page}{'index' if folder else ''}.html{query}"
        return f"{self.base}{page}{'' if folder else '/'}{query}"


@dataclass(frozen=True)
class Reader:
    """Opens pages, and keeps what went wrong on them."""

    context: BrowserContext
    faults: list[str]

    def open(self, url: str) -> Page:
        """A page, when its scripts have run."""
        page = self.context.new_page()
        page.on("console", lambda line: line.type in {"error", "warning"} and self.faults.append(line.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(url)
        return page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without it, see `missing`."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        missing("Chromium", "install it, or name it in $CHROMIUM")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def project(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the small site: more entries than the home page shows at first, and an explorer of each kind."""
    root = mini_site.build(tmp_path_factory.mktemp("site"))
    for number in range(FILLERS):
        title = f"Filler {number:02} on state-of-the-art dice"
        fields = mini_site.entry(title, published=f"2024-{number % 12 + 1:02}-03", tags=["survey", "tools"])
        mini_site.write_entry(root, f"2401.{number + 100:05}", fields)
    results = root / "reproductions" / mini_site.NAME / "results"
    for path in results.glob("*.json"):
        _name_figure(path)
    mini_explorers.add(results)
    mini_explorers.add_one_curve(root / "reproductions" / mini_site.HOSTILE_NAME / "results" / "smollm2-135m.full.json")
    return root


def _name_figure(record: Path) -> None:
    content = json.loads(record.read_text())
    if "claims" in content:
        content["claims"][0]["claim"]["figure"] = "toss"
        record.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def served(project: Path) -> Iterator[Site]:
    """The site as the web has it."""
    folder = build(project).folder
    handler = functools.partial(QuietHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(folder, f"http://127.0.0.1:{server.server_port}/", offline=False)
    server.shutdown()


@pytest.fixture(scope="session")
def offline(project: Path) -> Site:
    """The site as it is on a disk."""
    folder = build(project, offline=True).folder
    return Site(folder, f"{folder.as_uri()}/", offline=True)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(params=["served", "offline"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of the two."""
    built: Site = request.getfixturevalue(request.param)
    return built


@pytest.fixture
def reader(browser: Browser) -> Iterator[Callable[..., Reader]]:
    """Makes readers; in the end nothing may have failed, run unbidden, or asked another host for anything."""
    readers: list[Reader] = []

    def make(site: Site, size: tuple[int, int] = WIDE, **options: Any) -> Reader:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        faults: list[str] = []
        context.on("request", lambda asked: asked.url.startswith((site.base, "data:")) or faults.append(asked.url))
        readers.append(Reader(context, faults))
        return readers[-1]

    yield make
    for one in readers:
        ran = [page.url for page in one.context.pages if page.evaluate("window.hacked")]
        one.context.close()
        assert not one.faults
        assert not ran
