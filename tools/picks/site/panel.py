"""What the reproduction's part of a paper's page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picks.site import notebooks
from picks.site.claims import Claim, blocks, claims_of
from picks.site.collection import Pick
from picks.site.explorers import explorers_of
from picks.site.formats import duration, memory
from picks.site.own_code import own_code
from picks.site.results import Figure, Reproduced, Run
from picks.site.settings import Settings

FOLDER = "daily-picks"


def panel(pick: Pick, settings: Settings) -> Mapping[str, Any]:
    """The values of its templates; nothing where there is no reproduction."""
    reproduced = pick.reproduced
    if reproduced is None:
        return {}
    claims = claims_of(reproduced)
    key = key_figure(reproduced)
    return {
        "blocks": blocks(claim for claim in claims if not claim.first.ours),
        "own_blocks": blocks(claim for claim in claims if claim.first.ours),
        "shown_by": _shown_by(claims),
        "key_figure": key,
        "more_figures": [found for found in _figures(reproduced.headline) if found != key],
        "differences": notebooks.differences(reproduced.notebook),
        "explorers": explorers_of(reproduced),
        "clone": _clone(settings),
        "cost": _cost(reproduced),
        "own_code": own_code(reproduced.notebook.parent),
        "executed": [(run, executed_page(run)) for run in reproduced.best_by_model if run.executed],
    }


def key_figure(reproduced: Reproduced) -> tuple[Run, Figure] | None:
    """The figure that carries the finding, of the run that speaks for the reproduction."""
    named = (found for found in _figures(reproduced.headline) if found[1].name == reproduced.key_figure)
    return next(named, None)


def executed_page(run: Run) -> str:
    """The page of a run's notebook."""
    return f"notebooks/{run.reproduction}/{run.key}.md"


def _figures(run: Run | None) -> list[tuple[Run, Figure]]:
    return [(run, figure) for figure in run.figures] if run else []


def _shown_by(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """By a figure's name, the claims that it shows."""
    shown: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.figure:
            shown.setdefault(claim.figure[1].name, []).append(claim)
    return shown


def _clone(settings: Settings) -> str:
    if settings.repository is None:
        return ""
    return f"git clone {settings.repository} {FOLDER} && cd {FOLDER}\n"


def _cost(reproduced: Reproduced) -> str:
    """What the quick profile takes, from its record."""
    quick = next((run for run in reproduced.runs if run.profile == "quick"), None)
    if quick is None:
        return ""
    origin = quick.provenance
    ram = f", {memory(origin['peak_memory_mib'])} of memory" if origin.get("peak_memory_mib") else ""
    threads = origin["threads"]
    return (
        f"The quick profile took {duration(origin['wall_s'])} on {threads} CPU thread{'s' * (threads != 1)}{ram}. "
        "The first start makes an environment of 2 GB and fetches a model; from then on no network is needed. "
        "--profile full runs what the figures here show."
    )
