"""An explorer as one file: what a run of one's own left is looked at in a browser, without the site or a server."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

from picks.site.explorers import SHARED
from reproductions.common.explorers import KINDS
from reproductions.common.files import write_text

ASSETS = Path(__file__).parents[3] / "site" / "assets"
STYLES = ("picks", "explorers")
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
html {{ font-size: 125%; }}
body {{ max-width: 61rem; margin: 1rem auto; padding: 0 .6rem; font: .8rem/1.5 system-ui, sans-serif;
  background: var(--paper); color: var(--ink); }}
{styles}
</style>
</head>
<body data-md-color-scheme="default">
<main class="md-typeset">
<h1>{title}</h1>
<p>{about}</p>
<div id="explorer" class="explorer" data-kind="{kind}">
<form class="filter" aria-label="What to show">
<div class="filter-row"><label hidden>Run <select name="run"><option value="own" data-source="{source}" \
data-file="">own</option></select></label></div>
<input type="hidden" name="at"><input type="hidden" name="table">
</form>
<div class="explorer-view"></div>
</div>
</main>
{scripts}
</body>
</html>
"""


def write(folder: Path) -> list[Path]:
    """A page beside each data file of a run that says of which kind it is."""
    found = []
    for path in sorted((folder / "data").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf8"))
        if isinstance(content, dict) and content.get("kind") in KINDS:
            found.append(path.with_suffix(".html"))
            write_text(found[-1], page(content))
    return found


def page(content: dict[str, Any]) -> str:
    """The page of what an explorer is fed with, with all styles, scripts and data inside."""
    named = ["page", *(f"explorers/{name}" for name in (*SHARED, content["kind"]))]
    scripts = [f"<script>\n{_asset(f'js/{name}.js')}</script>" for name in named]
    left = base64.b64encode(f"window.EXPLORER = {json.dumps(content)};".encode()).decode()
    return PAGE.format(
        title=escape(content["title"]),
        about=escape(content["about"]),
        kind=content["kind"],
        styles="\n".join(_asset(f"css/{name}.css") for name in STYLES),
        source=f"data:text/javascript;base64,{left}",
        scripts="\n".join(scripts),
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf8")
