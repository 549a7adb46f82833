"""What the site publishes for programs: the list behind the filter, every verdict, and what explorers draw."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picks.papers import Paper
from picks.site.addresses import Addresses, paper_page
from picks.site.collection import Library, Pick
from picks.site.formats import day, picked, tally
from picks.site.markup import plain
from picks.site.results import Finding, Run

RESULTS_SCHEMA = 2
RESULTS_SCHEMA_FILE = Path(__file__).with_name("results.schema.json")


def picks_script(library: Library, addresses: Addresses, aliases: Sequence[Sequence[str]]) -> bytes:
    """`window.PICKS = {...}`: what filter and search know. A script, because pages opened from a disk may not fetch.

    The picks stand newest first; an alias is a group of names that mean the same.
    """
    picks = [_listed(pick, addresses) for pick in library.picks.values()]
    return _script("PICKS", {"aliases": aliases, "picks": picks})


def explorer_script(path: Path) -> bytes:
    """`window.EXPLORER = {...}`, from a recorded run's JSON."""
    return _script("EXPLORER", json.loads(path.read_text(encoding="utf8")))


def results_json(library: Library, addresses: Addresses) -> bytes:
    """Every claim of every recorded run, with its numbers and its verdict."""
    results = [
        _result(pick.paper, run, finding, addresses)
        for pick, reproduced in library.reproduced
        for run in reproduced.runs
        for finding in run.findings
    ]
    return dumped({"schema": RESULTS_SCHEMA, "results": results})


COLUMNS = (
    *("paper", "reproduction", "claim", "kind", "fact", "model", "profile", "measured", "unit", "value", "low", "high"),
    *("n", "null", "sought", "control", "verdict", "reason", "signature", "url"),
)


def results_csv(library: Library, addresses: Addresses) -> bytes:
    """The same in a table: a row for each claim, model and profile."""
    rows = [
        _row(_result(pick.paper, run, finding, addresses))
        for pick, reproduced in library.reproduced
        for run in reproduced.runs
        for finding in run.findings
    ]
    return _csv([COLUMNS, *rows])


def _row(result: dict[str, Any]) -> list[Any]:
    claim, (low, high) = result["claim"], result["interval"] or (None, None)
    own = {"claim": claim["id"], "kind": claim["kind"], "fact": claim["fact"], "null": claim["null"]}
    flat = result | own | {"low": low, "high": high}
    return [flat[column] for column in COLUMNS]


def units_csv(finding: Finding) -> bytes:
    """The values that a claim's number is made of, one a row; `against` where they are subtracted."""
    metric = finding.metric
    assert metric is not None
    sides = (("value", metric.units), ("against", metric.against))
    rows = [(place, side, f"{number:.5g}") for side, values in sides for place, number in enumerate(values, 1)]
    return _csv([("unit", "side", finding.unit), *rows])


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    """Comma-separated values; no text of others becomes a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_tame(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf8", "replace")


def _tame(cell: Any) -> Any:
    return f"'{plain(cell)}" if isinstance(cell, str) and cell[:1] in "=+@\t\r" and cell else cell


def dumped(content: Any) -> bytes:
    """JSON for people to read as well."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf8", "replace")


def _listed(pick: Pick, addresses: Addresses) -> dict[str, Any]:
    paper = pick.paper
    return {
        "id": paper.id,
        "title": paper.title,
        "authors": ", ".join(paper.authors),
        "titles": list(paper.titles),
        "date": paper.published_as,
        "day": day(paper.published_as),
        "picked": picked(paper) if paper.picked else "",
        "status": paper.status.word if paper.status else "",
        "order": paper.collection.order,
        "upvotes": paper.collection.upvotes,
        "kind": paper.kind,
        "venue": paper.venue.short if paper.venue else None,
        "models": [*paper.models, *paper.data],
        "tags": list(paper.tags),
        "why": paper.why,
        "url": addresses.of(paper_page(paper.id)),
        "notebook": pick.reproduced is not None,
        "thread": bool(paper.threads),
        "verdicts": pick.verdicts,
        "found": tally(pick.verdicts) if pick.verdicts else "",
        "text": f"{plain(paper.finding)} {plain(paper.summary)}",
        "claims": " ".join(_statements(pick)),
    }


def _statements(pick: Pick) -> Sequence[str]:
    """What was tested, in the words of the claims, each once."""
    runs = pick.reproduced.runs if pick.reproduced else ()
    return list(dict.fromkeys(plain(finding.claim.statement) for run in runs for finding in run.findings))


def _result(paper: Paper, run: Run, finding: Finding, addresses: Addresses) -> dict[str, Any]:
    """A claim as it was declared, what was measured and how it was judged, where it comes from and where it stands."""
    claim, spec = finding.claim, finding.spec(finding.claim.metric)
    judged = asdict(finding.judgement)
    return {
        "paper": paper.id,
        "title": paper.title,
        "reproduction": run.reproduction,
        "model": run.model,
        "profile": run.profile,
        "claim": judged.pop("claim") | ({"paper": None} if finding.ours else {}),
        "speaks_for_fact": finding.under is None,
        "sought": claim.sought if finding.verdict and claim.metric else None,
        "measured": spec.title if spec else None,
        "unit": spec.unit_in_full if spec else None,
        **judged,
        "started": run.provenance["started"],
        "signature": run.signature,
        "url": addresses.public(paper_page(paper.id)) + f"#{finding.anchor}",
    }


def _script(name: str, content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"window.{name} = {text};\n".encode("utf8", "replace")
