"""Which recorded runs a round of tests makes again: what is stale, then the others in turn, until its time is spent.

Nothing is written down between rounds, so turns go by the calendar: every day another run stands first, and within as
many days as there are reproductions each has stood there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Due:
    """A recorded run: whether it is stale, and the seconds that it took when it was recorded."""

    name: str
    stale: bool
    seconds: float


def in_turn(runs: Sequence[Due], today: date) -> list[Due]:
    """The order in which they are made again: stale ones first, the others as the day has it."""
    by_name = sorted(runs, key=lambda run: run.name)
    first = today.toordinal() % len(by_name) if by_name else 0
    return sorted(by_name[first:] + by_name[:first], key=lambda run: not run.stale)


@dataclass
class Budget:
    """The time of a round, in seconds; how slow this machine is shows in what the runs before took."""

    seconds: float
    spent: float = 0.0
    _recorded: float = field(default=0.0)

    @property
    def pace(self) -> float:
        """How many times as long as recorded runs take here."""
        return self.spent / self._recorded if self._recorded else 1.0

    def allows(self, run: Due) -> bool:
        """Whether there is time left for a run; the first one always has it."""
        return not self.spent or self.spent + run.seconds * self.pace <= self.seconds

    def pay(self, run: Due, seconds: float) -> None:
        """A run has taken so long."""
        self.spent += seconds
        self._recorded += run.seconds
