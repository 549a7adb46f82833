"""The command line of `tools/site`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from picks.site import command
from tests.fixtures import mini_site

# tools/site on another root
COMMAND = """
import pathlib, sys
from picks.site.command import main
sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1])))
"""


def test_help_names_every_command_quickly(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("build", "serve", "offline", "announce"))


@pytest.mark.parametrize("arguments", [[], ["bild"], ["announce"], ["serve", "--port", "x"]])
def test_bad_input_is_refused_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_announce_prints_the_post_for_every_network(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["announce", "2501.00001"], root) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"--- (\w+), at most", shown) == ["X", "Bluesky", "Mastodon"]


def test_an_unknown_paper_is_no_traceback(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["announce", "2501.77777"], root) == 2
    assert capsys.readouterr().err.startswith("tools/site: 2501.77777 is not among the papers here")


def test_serve_prints_its_address_and_follows_changes(tmp_path: Path) -> None:
    root = mini_site.build(tmp_path)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(mini_site.CODE), str(mini_site.CODE / "tools")])}
    arguments = [sys.executable, "-c", COMMAND, str(root), "serve", "--port", "8517"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            assert "On the fairness of coins" in _eventually(f"{address}papers/2501.00001/", "On the fairness")
            fields = mini_site.tame_entries()["2501.00001"] | {"title": "On the unfairness of coins"}
            mini_site.write_entry(root, "2501.00001", fields)
            assert "On the unfairness of coins" in _eventually(f"{address}papers/2501.00001/", "unfairness")
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode == 0


def _eventually(url: str, text: str) -> str:
    """A page once it has a text in it; what it has after a minute in any case."""
    shown = ""
    for _ in range(120):
        try:
            with urlopen(url, timeout=60) as answer:
                shown = answer.read().decode("utf8")
        except OSError:
            pass
        if text in shown:
            break
        time.sleep(0.5)
    return shown


def test_results_json_tells_programs_every_verdict(html: Path) -> None:
    content = json.loads((html / "results.json").read_text(encoding="utf8"))
    rows = [row for row in content["results"] if row["paper"] == "2501.00002"]
    assert content["schema"] == 2
    assert len(rows) == 18
    assert {row["verdict"] for row in rows} == {"holds", "cannot tell", "opposite", "not tested", None}
    first = rows[0]
    assert (first["value"], first["n"], first["control"], first["sought"]) == (0.9, 12, 0.5, "above 0.5")
    assert first["interval"][0] < 0.9 < first["interval"][1]
    assert (first["claim"]["kind"], first["claim"]["paper"]["effect"]) == ("paper", [0.7, 0.9])
    assert {row["claim"]["id"] for row in rows if not row["speaks_for_fact"]} == {"C6"}
    assert {row["claim"]["paper"] for row in rows if row["claim"]["kind"] == "ours"} == {None}
