"""Groups of metrics say once what their members share, and stand for exactly these."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproductions.common.declared import MetricSpec, declared
from reproductions.common.schema import FileError, load

HEAD = """\
paper: "2412.11965"
models: [smollm2-135m]
deadline: {quick: 60, full: 120}
parameters: {}
claims: [{id: C1, kind: ours, fact: f, statement: s, scale: s, paper: {value: v, model: m, source: s, seen: s}}]
"""
METRICS = """\
metrics:
  - unit: correlation
    tolerance: 0.03
    control_tolerance: 0.05
    why: bits flip
    over: {context: {alone: head alone, prompt: head in the prompt}}
    controls: {shuffled: targets shuffled}
    titles:
      "r_{context}_{sign}": "Correlation of {sign} scores, {context}"
      r_plain: Correlation of all
  - unit: p
    titles: {p_value: The p-value}
over: {sign: {promoted: promotion}}
"""


def _read(folder: Path, metrics: str) -> dict[str, MetricSpec]:
    path = folder / "reproduction.yml"
    path.write_text(HEAD + metrics, encoding="utf8")
    return declared(load(path, "reproduction"))


def test_a_group_stands_for_all_its_members(tmp_path: Path) -> None:
    specs = _read(tmp_path, METRICS)
    assert list(specs) == [
        *("r_alone_promoted", "r_alone_promoted_shuffled", "r_prompt_promoted", "r_prompt_promoted_shuffled"),
        *("r_plain", "r_plain_shuffled", "p_value"),
    ]
    assert specs["r_prompt_promoted_shuffled"] == MetricSpec(
        "r_prompt_promoted_shuffled",
        "Correlation of promotion scores, head in the prompt: targets shuffled",
        "correlation",
        0.05,
        "bits flip",
    )
    assert specs["r_plain"].tolerance == 0.03
    assert (specs["p_value"].tolerance, specs["p_value"].why) == (None, "")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("    why: bits flip\n", "", 7, "a tolerance needs its `why`"),
        ("  - unit: p\n", "  - unit: p\n    chaotic: true\n", 16, "needs a `tolerance` too"),
        ('"r_{context}_{sign}"', '"r_{contxt}_{sign}"', 14, "nothing fills {contxt}"),
        ("scores, {context}", "scores, {place}", 14, "nothing fills {place}"),
        ('"r_{context}_{sign}"', '"r_{context}"', 14, "{sign} is in the title and not in the name"),
        ("r_plain:", "r_alone_promoted:", 15, "r_alone_promoted is declared twice"),
        ("p_value:", "P-value:", 17, "'P-value' is no name"),
        ("{shuffled: targets shuffled}", "{shuffled: 1}", 12, "must be text"),
        ("titles: {p_value: The p-value}", "titles: {}", 17, "titles"),
        ("  - unit: p\n", "  - units: p\n", 16, "'units': did you mean unit?"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, why: str) -> None:
    assert old in METRICS
    with pytest.raises(FileError) as refusal:
        _read(tmp_path, METRICS.replace(old, new, 1))
    assert f"reproduction.yml:{line}:" in str(refusal.value)
    assert why in str(refusal.value)
