"""What can be run, on what, how long it takes, and what it found last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from picks.run.judgements import judgements
from picks.run.parameters import PROFILES, load_schema
from picks.run.record import recorded
from picks.run.reproductions import Reproduction, load_all
from picks.run.staleness import why_stale
from reproductions.common.files import dump_json
from reproductions.common.verdicts import count_facts, in_words


def show_list(root: Path, *, as_json: bool) -> int:
    """Print every reproduction with its models, and what its recorded runs took and found."""
    entries = [_entry(reproduction) for reproduction in load_all(root)]
    if as_json:
        print(dump_json(entries))
    else:
        _print_entries(Console(), entries)
    return 0


def _print_entries(console: Console, entries: Iterable[Mapping[str, Any]]) -> None:
    if not entries:
        console.print("there is nothing to run yet")
    for entry in entries:
        console.print(Text.assemble((entry["name"], "bold"), f"  {entry['paper']}  {entry['title']}"))
        columns = [Column(overflow="fold") for _ in range(4)]  # a name cut short tells nothing
        table = Table(*columns, box=None, show_header=False, padding=(0, 2, 0, 2))
        for run in entry["runs"]:
            table.add_row(run["model"], run["profile"], _duration(run), _found(run))
        console.print(table)


def _entry(reproduction: Reproduction) -> dict[str, Any]:
    schema = load_schema(reproduction.file)
    return {
        "name": reproduction.name,
        "paper": reproduction.paper.id,
        "title": reproduction.paper.title,
        "runs": [
            _run(reproduction, model, profile) | {"deadline_s": schema.deadline[profile]}
            for model in schema.models
            for profile in PROFILES
        ],
    }


def _run(reproduction: Reproduction, model: str, profile: str) -> dict[str, Any]:
    """What is recorded of a run, and whether today's code must find it again."""
    asked = {"model": model, "profile": profile}
    record = recorded(reproduction, model, profile)
    if record is None:
        return asked | dict.fromkeys(("wall_s", "found", "stale", "stale_because", "attested"))
    why = why_stale(reproduction, record)
    return asked | {
        "wall_s": record["provenance"]["wall_s"],
        "found": in_words(count_facts(judgements(record["claims"]))),
        "stale": bool(why),
        "stale_because": why or None,
        "attested": {name: record["attested"][name] for name in ("commit", "date")} if "attested" in record else None,
    }


def _found(run: Mapping[str, Any]) -> str:
    if run["found"] is None:
        return "not recorded yet"
    return f"{run['found']}\nstale: {run['stale_because']}" if run["stale"] else str(run["found"])


def _duration(run: Mapping[str, Any]) -> str:
    seconds = run["wall_s"] or run["deadline_s"]
    shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"about {shown}" if run["wall_s"] else f"up to {shown}"
