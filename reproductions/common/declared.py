"""Metrics as `reproduction.yml` declares them before the run: in groups that say once what all their members share.

    - unit: correlation
      mean_over: relations
      tolerance: 0.03
      why: a pair whose target lies at the k-th place can flip with the last bit of a product
      over: {context: {alone: head attending to the source alone, prompt: head in the prompt as it is}}
      controls: {shuffled: static scores for shuffled targets}
      titles:
        "r_{context}": "Pearson's r of static and dynamic scores, {context}"

This declares `r_alone`, `r_prompt`, `r_alone_shuffled` and `r_prompt_shuffled`: `over` fills names with its keys and
titles with its words; each metric gets a companion for each control, whose title stands alone. What fills blanks of
several groups stands in an `over` of the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from reproductions.common.schema import Loaded

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
BLANK = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class MetricSpec:
    """A metric declared before the run; `tolerance` is how far it may move from its record, and `why` says why.

    mean_over: what its units are where it is a mean, such as relations. chaotic: whether its units are the outcome of
    training, which rounding changes as other seeds do.
    """

    name: str
    title: str
    unit: str
    tolerance: float | None
    why: str = ""
    mean_over: str = ""
    chaotic: bool = False

    @property
    def unit_in_full(self) -> str:
        """`correlation, mean over relations`."""
        return f"{self.unit}, mean over {self.mean_over}" if self.mean_over else self.unit


def declared(file: Loaded) -> dict[str, MetricSpec]:
    """All metrics by name, in the order of the groups.

    Raises:
        FileError: with the place, for a name twice, a name that is none, a blank that nothing fills, a tolerance
            without its reason, or what is chaotic without a tolerance.
    """
    specs: dict[str, MetricSpec] = {}
    for index, group in enumerate(file.content["metrics"]):
        where = ("metrics", index)
        if "tolerance" in group and "why" not in group:
            raise file.error("a tolerance needs its `why`: say what may move these numbers", *where)
        if "chaotic" in group and "tolerance" not in group:
            raise file.error("what is chaotic needs a `tolerance` too, for numbers whose units are all alike", *where)
        for template in group["titles"]:
            _check_blanks(file, template, index)
            for spec in _members(template, group, _over(file, group)):
                if spec.name in specs or not NAME.fullmatch(spec.name):
                    problem = f"{spec.name} is declared twice" if spec.name in specs else f"{spec.name!r} is no name"
                    raise file.error(f"{problem}; names are small words joined by _", *where, "titles", template)
                specs[spec.name] = spec
    return specs


def _over(file: Loaded, group: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What fills the blanks of a group: name -> words, for each blank."""
    return {**file.content.get("over", {}), **group.get("over", {})}


def _members(template: str, group: Mapping[str, Any], over: Mapping[str, Mapping[str, str]]) -> Iterator[MetricSpec]:
    """What one line of a group stands for, each metric followed by its controls."""
    tolerance = group.get("tolerance")
    shared = {key: group[key] for key in ("unit", "why", "mean_over", "chaotic") if key in group}
    used = [key for key in over if key in BLANK.findall(template)]
    for chosen in product(*(over[key] for key in used)):
        names = dict(zip(used, chosen, strict=True))
        name = template.format(**names)
        title = group["titles"][template].format(**{key: over[key][value] for key, value in names.items()})
        yield MetricSpec(name, title, tolerance=tolerance, **shared)
        for suffix, what in group.get("controls", {}).items():
            allowed = group.get("control_tolerance", tolerance)
            yield MetricSpec(f"{name}_{suffix}", f"{title}: {what}", tolerance=allowed, **shared)


def _check_blanks(file: Loaded, template: str, index: int) -> None:
    group, where = file.content["metrics"][index], ("metrics", index, "titles", template)
    over, title = _over(file, group), group["titles"][template]
    for blank in [*BLANK.findall(template), *BLANK.findall(title)]:
        if blank not in over:
            raise file.error(f"nothing fills {{{blank}}}; the group's `over` says what does", *where)
    if unnamed := set(BLANK.findall(title)) - set(BLANK.findall(template)):
        raise file.error(f"{{{unnamed.pop()}}} is in the title and not in the name", *where)
