"""What a notebook reports: metrics, figures and data, written so that the runner finds either all or nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reproductions.common import numbers, plots
from reproductions.common.claims import ClaimError, Claims
from reproductions.common.files import sha256, write_json
from reproductions.common.metrics import Metric
from reproductions.common.usage import cpu_seconds, peak_memory
from reproductions.common.verdicts import Judgement, judge

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.figure import Figure

Found = TypeVar("Found")

FILE = re.compile(r"[a-z][a-z0-9_]{0,60}(\.(light|dark))?\.(png|json)")


class Report:
    """Collects what a run found and writes it to `out`; with `out=""` to a fresh temporary folder."""

    def __init__(self, out: str, claims: Claims, profile: str = "quick") -> None:
        self.folder = Path(out) if out else Path(tempfile.mkdtemp(prefix="daily-picks-"))
        self.claims = claims
        self.profile = profile
        self.metrics: dict[str, Metric] = {}
        self._figures: list[dict[str, str]] = []
        self._data: list[dict[str, str]] = []

    def add(self, *metrics: Metric) -> None:
        """Report numbers.

        Raises:
            ClaimError: claims.yml does not declare a metric of this name.
        """
        for metric in metrics:
            if metric.name not in self.claims.metrics:
                raise ClaimError(f"the metric '{metric.name}' is not declared in claims.yml; declare it first")
            self.metrics[metric.name] = metric

    def step(self, name: str, compute: Callable[[], Found]) -> Found:
        """An expensive part of a run, under a name of its own; after an interruption it is not computed again."""
        from reproductions.common.steps import step  # brings torch, which readers of reports do without

        return step(self.folder, name, compute)

    def steps(self, computations: Mapping[str, Callable[[], Found]]) -> list[Found]:
        """Several such parts that do not need each other, side by side where there are processors for it."""
        from reproductions.common.steps import steps

        return steps(self.folder, computations)

    def figure(self, name: str, draw: Callable[[], Figure], alt: str) -> Image:
        """Draw and save a figure for dark and for light pages, with a text alternative; returns the light one."""
        from IPython.display import Image

        from reproductions.common.workers import side_by_side  # brings torch

        paths = {theme: self._path("figures", f"{name}.{theme}.png") for theme in plots.THEMES}
        side_by_side([partial(plots.save, draw, theme, path) for theme, path in paths.items()])
        self._figures += [
            {"name": name, "theme": theme, "file": f"figures/{path.name}", "alt": alt, "sha256": sha256(path)}
            for theme, path in paths.items()
        ]
        return Image(self.folder / "figures" / f"{name}.light.png", alt=alt)

    def data(self, name: str, content: Any) -> None:
        """Save what an explorer on the site will draw as `data/<name>.json`."""
        path = self._path("data", f"{name}.json")
        write_json(path, content)
        self._data.append({"name": name, "file": f"data/{path.name}", "sha256": sha256(path)})

    def metric_table(self, names: Iterable[str]) -> str:
        """Some of the reported numbers as a Markdown table."""
        return table(("", "value", "95 % interval", "n", "unit"), [self._row(self.metrics[name]) for name in names])

    def _row(self, metric: Metric) -> tuple[object, ...]:
        spec, (value, interval) = self.claims.metrics[metric.name], numbers.with_interval(metric.value, metric.interval)
        return spec.title, value, interval, metric.n, spec.unit

    def verdict_table(self, judgements: Iterable[Judgement]) -> str:
        """The verdicts as a Markdown table: what was claimed, what would have to be true, what was found, and why."""
        rows = [
            (
                j.claim.id,
                j.claim.statement,
                j.claim.paper.value,
                j.claim.sought if j.claim.metric else "-",
                " ".join(numbers.with_interval(j.value, j.interval)),
                numbers.number(j.control),
                f"**{j.verdict}**" if j.verdict else "-",
                j.reason,
            )
            for j in judgements
        ]
        return table(("", "claim", "paper", "has to be", "here", "control", "verdict", "why"), rows)

    def finish(self, **environment: Any) -> tuple[Judgement, ...]:
        """Write `reported.json` and return the verdicts; `environment` adds to what is recorded of the machine."""
        judgements = judge(self.claims, self.metrics, self.profile)
        reported = {
            "metrics": [metric.to_json() for metric in self.metrics.values()],
            "figures": self._figures,
            "data": self._data,
            "environment": {"cpu_s": round(cpu_seconds(), 1), "peak_memory_mib": peak_memory()} | environment,
        }
        write_json(self.folder / "reported.json", reported)
        return judgements

    def _path(self, kind: str, file: str) -> Path:
        if not FILE.fullmatch(file):
            raise ValueError(f"{file!r} cannot name a file: use small letters, digits and underscores")
        (self.folder / kind).mkdir(parents=True, exist_ok=True)
        return self.folder / kind / file


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    heads = [str(cell) for cell in header]
    lines = [heads, ["---"] * len(heads), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
