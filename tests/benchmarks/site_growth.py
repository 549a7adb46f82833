"""How the site grows: 100, 1,000 and 10,000 synthetic entries, built and weighed.

    PYTHONPATH=.:tools .venv/bin/python tests/benchmarks/site_growth.py 100 1000 10000

Prints for each size the processor seconds for the pages and for the whole build, the bytes of a first visit to the
home page, of the search index and of the list behind the filter (all compressed), and, where Chromium is found, the
milliseconds that the filter takes from a keystroke to the shorter list, and the milliseconds of the page's processor
time that the search takes from an untouched page to its first hit. The build should grow with the entries, the first
visit not.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import random
import resource
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from picks.site.build import build, write_pages
from tests.fixtures import mini_site
from tests.fixtures.built_site import page

if TYPE_CHECKING:
    from playwright.sync_api import Page

WORDS = 3000
AUTHORS = 0.6  # different authors for each entry
TAGS = (
    "circuits",
    "steering",
    "probing",
    "evaluation",
    "logit lens",
    "neurons",
    "tools",
    "syntax",
    "reasoning",
    "safety",
)
KINDS = ("method", "analysis", "benchmark", "tool", "survey", "position")


def synthetic(folder: Path, count: int) -> Path:
    """A project with so many entries."""
    root = mini_site.build(folder)
    source = random.Random(count)
    vocabulary = ["".join(source.choices("aeioulnrst", k=source.randint(3, 10))) for _ in range(WORDS)]
    people = [f"{_word(source, vocabulary)} {_word(source, vocabulary)}" for _ in range(int(count * AUTHORS) + 5)]
    for index in range(count):
        paper_id = f"{18 + index // 1200:02}{1 + index // 100 % 12:02}.{index % 100 + 10000:05}"
        earlier = [
            f"{18 + i // 1200:02}{1 + i // 100 % 12:02}.{i % 100 + 10000:05}"
            for i in (index // 2, index // 3)
            if i < index
        ]
        fields = mini_site.entry(
            " ".join(_word(source, vocabulary) for _ in range(9)),
            authors=source.sample(people, 4),
            published=f"20{paper_id[:2]}-{paper_id[2:4]}-{index % 28 + 1:02}",
            summary=" ".join(source.choices(vocabulary, k=80)) + ".",
            why=" ".join(source.choices(vocabulary, k=15)) + ".",
            tags=source.sample(TAGS, 3),
            kind=source.choice(KINDS),
            venue=f"ACL {2018 + index // 1200}",
            collection={"order": index + 10},
            builds_on=list(dict.fromkeys(earlier)),
        )
        mini_site.write_entry(root, paper_id, fields)
    return root


def _word(source: random.Random, vocabulary: list[str]) -> str:
    return source.choice(vocabulary).capitalize()


def measure(count: int) -> dict[str, float]:
    """Build a site of so many entries, and weigh it."""
    with tempfile.TemporaryDirectory() as folder:
        root = synthetic(Path(folder), count)
        started = _processor_time()
        write_pages(root, root / "build" / "html")
        written = _processor_time()
        built = build(root)  # finds the pages as they are, so it adds the reading and MkDocs
        done = _processor_time()
        html = built.folder
        return {
            "entries": count,
            "pages": built.pages,
            "pages s": written - started,
            "build s": done - written,
            "first visit kB": _first_visit(html) / 1e3,
            "search index kB": _compressed(html / "search" / "search_index.json") / 1e3,
            "picks.js kB": _compressed(html / "assets" / "data" / "picks.js") / 1e3,
            "filter ms": _in_browser(html, _filter_time),
            "first hit ms": _in_browser(html, _first_hit_time),
        }


def _processor_time() -> float:
    """Seconds of this process and of those it started; other work on the machine does not count."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _first_visit(html: Path) -> int:
    home = html / "index.html"
    links = page(home).xpath("//script/@src | //link[@rel='stylesheet' or @rel='icon']/@href")
    files = [home, *(html / "assets" / "fonts").glob("*.woff2"), *(html / link for link in links)]
    return sum(map(_compressed, files))


def _compressed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))


def _in_browser(html: Path, measured: Callable[[Page], float]) -> float:
    """What is measured on the home page; nan without a browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return float("nan")
    from playwright.sync_api import sync_playwright

    handler = functools.partial(_Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(bypass_csp=True)  # the test looks in; the page may not
        tab.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        took = measured(tab)
        browser.close()
        server.shutdown()
    return took


def _filter_time(tab: Page) -> float:
    """Milliseconds from a word in the filter to the shorter list, the data being there."""
    tab.fill("#picks-filter input[type=search]", "zzz")
    tab.wait_for_function("document.querySelectorAll('#picks-list > li').length === 0")
    return float(tab.evaluate(FILTER))


def _first_hit_time(tab: Page) -> float:
    """Milliseconds of the page's own processor time to the first hit, nothing having been loaded before."""
    watch = tab.context.new_cdp_session(tab)
    watch.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = watch.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    before = spent()
    tab.fill(".md-search__input", "coins")
    tab.wait_for_selector(".md-search-result__item")
    return (spent() - before) * 1e3


FILTER = """async () => {
  const input = document.querySelector('#picks-filter input[type=search]');
  const list = document.querySelector('#picks-list');
  const started = performance.now();
  input.value = 'coins';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  while (!list.children.length) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ["100"]):
        print("  ".join(f"{name} {value:,.6g}" for name, value in measure(size).items()), flush=True)
