"""Dates that are known to the day, to the month or to the year: 2024-12-16, 2024-12, 2024."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")


def today() -> date:
    """The day it is in UTC."""
    return datetime.now(UTC).date()


def first_day(text: str) -> date:
    """The first day of such a date.

    Raises:
        ValueError: it is none.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date")
    year, month, day = (int(part or 1) for part in found.groups())
    return date(year, month, day)
