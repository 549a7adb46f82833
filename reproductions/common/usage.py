"""What a run has used of the machine so far, with the workers that have ended."""

from __future__ import annotations

import os
import resource
import sys


def cpu_seconds() -> float:
    """Processor time of this process and of its workers."""
    return sum(os.times()[:4])


def peak_memory() -> int:
    """The most memory that this process has held, or any one of its workers, which share most of it: MiB."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(max(resource.getrusage(who).ru_maxrss for who in both) / unit)
