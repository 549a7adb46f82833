"""Results side by side: each claim in a row, each model in a column, with what its fullest run found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picks.site.collection import Pick
from picks.site.results import Finding, Reproduced, Run
from reproductions.common.verdicts import VERDICTS


@dataclass(frozen=True)
class Row:
    """A claim, and by the name of a model the run and what it found; models on which it was not run are left out."""

    cells: Mapping[str, tuple[Run, Finding]]

    @property
    def first(self) -> Finding:
        """What the first model's run says."""
        return next(iter(self.cells.values()))[1]

    @property
    def verdicts(self) -> list[str]:
        """The different verdicts that were given."""
        given = {finding.verdict for _, finding in self.cells.values()}
        return [verdict for verdict in VERDICTS if verdict in given]

    @property
    def differs(self) -> bool:
        """Whether models on which it was tested came out differently."""
        return len({finding.verdict for _, finding in self.cells.values() if finding.measured}) > 1


@dataclass(frozen=True)
class Sheet:
    """A paper's rows: what it claims, or what we checked besides."""

    pick: Pick
    own: bool
    rows: tuple[Row, ...]


def sheets(reproductions: Sequence[tuple[Pick, Reproduced]]) -> list[Sheet]:
    """Every paper with its claims, each followed by our own checks of it."""
    found = []
    for pick, reproduced in reproductions:
        rows = _rows(reproduced)
        for own in (False, True):
            kept = tuple(row for row in rows if row.first.ours is own)
            found += [Sheet(pick, own, kept)] * bool(kept)
    return found


def _rows(reproduced: Reproduced) -> list[Row]:
    cells: dict[str, dict[str, tuple[Run, Finding]]] = {}
    for run in reproduced.best_by_model:
        for finding in run.findings:
            cells.setdefault(finding.id, {})[run.model] = run, finding
    return [Row(own) for own in cells.values()]


def rank(finding: Finding) -> int:
    """The place of its verdict in the order of verdicts, for sorting; what has none comes last."""
    return VERDICTS.index(finding.verdict) if finding.verdict else len(VERDICTS)
