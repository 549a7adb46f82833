"""What a notebook reports: metrics, figures and data, written so that the runner finds either all or nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reproductions.common import numbers, plots
from reproductions.common.claims import ClaimError, Claims
from reproductions.common.files import sha256, write_json, write_text
from reproductions.common.metrics import Metric
from reproductions.common.usage import cpu_seconds, peak_memory
from reproductions.common.verdicts import Judgement, judge

if TYPE_CHECKING:
    from IPython.display import SVG, Markdown
    from matplotlib.figure import Figure

Found = TypeVar("Found")

FILE = re.compile(r"[a-z][a-z0-9_]{0,60}(\.(light|dark))?\.(png|svg|json)")
VERDICT_HEADER = ("", "claim", "paper", "has to be", "here", "control", "verdict", "why")


class Report:
    """Collects what a run found and writes it to `out`; with `out=""` to a fresh temporary folder.

    machine: what is recorded of the machine that runs the model (`models.machine`).
    What `show`, `table`, `figure`, `data` and `verdicts` return displays itself at the end of a cell.
    """

    def __init__(
        self, out: str, claims: Claims, profile: str = "quick", machine: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = Path(out) if out else Path(tempfile.mkdtemp(prefix="daily-picks-"))
        self.claims = claims
        self.profile = profile
        self.machine = dict(machine or {})
        self.metrics: dict[str, Metric] = {}
        self._figures: list[dict[str, str]] = []
        self._data: list[dict[str, str]] = []

    def add(self, *metrics: Metric) -> None:
        """Report numbers.

        Raises:
            ClaimError: reproduction.yml does not declare a metric of this name.
        """
        for metric in metrics:
            if metric.name not in self.claims.metrics:
                raise ClaimError(f"the metric '{metric.name}' is not declared in reproduction.yml; declare it first")
            self.metrics[metric.name] = metric

    def step(self, name: str, compute: Callable[[], Found]) -> Found:
        """An expensive part of a run, under a name of its own; after an interruption it is not computed again."""
        from reproductions.common.steps import step  # brings torch, which readers of reports do without

        return step(self.folder, name, compute)

    def steps(self, computations: Mapping[str, Callable[[], Found]]) -> list[Found]:
        """Several such parts that do not need each other, side by side where there are processors for it."""
        from reproductions.common.steps import steps

        return steps(self.folder, computations)

    def show(self, *metrics: Metric) -> Markdown:
        """Report numbers, and show them as a table.

        Raises:
            ClaimError: reproduction.yml does not declare a metric of this name.
        """
        self.add(*metrics)
        return self.table(("", "value", "95 % interval", "n", "unit"), map(self._row, metrics))

    def table(self, header: Iterable[object], rows: Iterable[Iterable[object]]) -> Markdown:
        """Show a table."""
        from IPython.display import Markdown

        return Markdown(table(header, rows))

    def figure(self, name: str, draw: Callable[[], Figure], alt: str) -> SVG:
        """Draw a figure, keep it as `figures/<name>.svg` with a text alternative, and show it."""
        from IPython.display import SVG

        path = self._path("figures", f"{name}.svg")
        plots.save(draw, path)
        self._figures.append({"name": name, "file": f"figures/{path.name}", "alt": alt, "sha256": sha256(path)})
        return SVG(filename=path)

    def data(self, name: str, content: Mapping[str, Any], kind: str) -> Markdown:
        """Keep what an explorer on the site will draw as `data/<name>.json`.

        kind: of explorer, `grid`, `cards`, `graph` or `curves`; the content is held against that kind's schema.

        Raises:
            ValueError: the content is not what an explorer of that kind draws.
        """
        from IPython.display import Markdown

        from reproductions.common import explorers

        path = self._path("data", f"{name}.json")
        write_text(path, explorers.text(kind, content))
        self._data.append({"name": name, "file": f"data/{path.name}", "sha256": sha256(path)})
        return Markdown(f"Kept for the explorer on the site: `{path.name}`, {path.stat().st_size / 1024:,.0f} KiB.")

    def verdicts(self) -> Markdown:
        """Judge every claim, write what was found, and show the verdicts; the last thing that a notebook does."""
        return self.table(VERDICT_HEADER, map(_verdict_row, self.finish()))

    def finish(self) -> tuple[Judgement, ...]:
        """Write `reported.json` and return the verdicts; a number that is missing is a fault only to the runner."""
        judgements = judge(self.claims, self.metrics, self.profile, chosen=True)
        reported = {
            "metrics": [metric.to_json() for metric in self.metrics.values()],
            "figures": self._figures,
            "data": self._data,
            "environment": {"cpu_s": round(cpu_seconds(), 1), "peak_memory_mib": peak_memory(), **self.machine},
        }
        write_json(self.folder / "reported.json", reported)
        return judgements

    def _row(self, metric: Metric) -> tuple[object, ...]:
        spec, (value, interval) = self.claims.metrics[metric.name], numbers.with_interval(metric.value, metric.interval)
        return spec.title, value, interval, metric.n, spec.unit_in_full

    def _path(self, kind: str, file: str) -> Path:
        if not FILE.fullmatch(file):
            raise ValueError(f"{file!r} cannot name a file: use small letters, digits and underscores")
        (self.folder / kind).mkdir(parents=True, exist_ok=True)
        return self.folder / kind / file


def _verdict_row(judgement: Judgement) -> tuple[object, ...]:
    claim = judgement.claim
    return (
        claim.id,
        claim.statement,
        claim.paper.value,
        claim.sought if claim.metric else "-",
        " ".join(numbers.with_interval(judgement.value, judgement.interval)),
        numbers.number(judgement.control),
        f"**{judgement.verdict}**" if judgement.verdict else "-",
        judgement.reason,
    )


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    heads = [str(cell) for cell in header]
    lines = [heads, ["---"] * len(heads), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
