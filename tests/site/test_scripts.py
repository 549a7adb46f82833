"""The site's scripts are linted, formatted, and type-checked where they say `@ts-check`, without being built."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

deno = pytest.importorskip("deno", reason="Deno is not installed")

SCRIPTS = Path(__file__).parents[2] / "site" / "assets" / "js"
CHECKED = "// @ts-check\n"
FIRST = ("page.js", "explorer.js", "sheet.js", "list.js")  # before those that extend what is in them
OPTIONS = {
    "compilerOptions": {
        "checkJs": True,
        "strict": True,
        "noImplicitAny": False,
        "noImplicitOverride": False,
        "lib": ["dom", "dom.iterable", "esnext"],
    },
    "lint": {"rules": {"exclude": ["no-window", "no-window-prefix", "no-unused-vars", "no-var"]}},
    "fmt": {"lineWidth": 120},
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs Deno with our options; what it found wrong, or nothing."""
    options = tmp_path / "deno.json"
    options.write_text(json.dumps(OPTIONS))

    def call(command: str, *arguments: Path | str) -> str:
        line = [deno.find_deno_bin(), command, "--config", options, *arguments]
        environment = {"NO_COLOR": "1", "DENO_DIR": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    return call


@pytest.mark.parametrize("command", [("lint",), ("fmt", "--check")], ids=["linted", "formatted"])
def test_scripts_are_sound(run, command):
    assert not run(*command, *sorted(SCRIPTS.rglob("*.js")))


def test_types_agree(run, tmp_path):
    """Classic scripts share what they define, which a checker of modules sees in one file alone."""
    checked = [path for path in SCRIPTS.rglob("*.js") if path.read_text(encoding="utf8").startswith(CHECKED)]
    ordered = sorted(
        checked, key=lambda path: (path.name not in FIRST, [*FIRST, path.name].index(path.name), path.name)
    )
    lines = [(path, number, line) for path in ordered for number, line in _lines(path)]
    whole = tmp_path / "whole.js"
    whole.write_text("\n".join(line for _, _, line in lines), encoding="utf8")

    def place(found: re.Match[str]) -> str:
        path, number, _ = lines[int(found[1]) - 1]
        return f"{path.relative_to(SCRIPTS)}:{number}:"

    assert len(ordered) > len(FIRST)
    assert not re.sub(r"file://\S*/whole\.js:(\d+):", place, run("check", whole))


def _lines(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(encoding="utf8").splitlines(), 1))
