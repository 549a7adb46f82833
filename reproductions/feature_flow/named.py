"""What is compared, as rows: a row's key names it in metrics, steps and dicts, and its label in figures and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Named:
    """A place, a method, a way to steer; hashed by what it is called."""

    key: str
    label: str


@dataclass(frozen=True)
class Measure(Named):
    """What is told of an outcome, a property of it by the name of the key."""

    def of(self, outcome: Any) -> Tensor:
        """Its values."""
        found: Tensor = getattr(outcome, self.key)
        return found
