"""Claims as drawings: where marks stand, and why a verdict is what it is, in few words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from picks.site.claims import why
from picks.site.plots import Axis, drawing, scale
from picks.site.results import Finding
from reproductions.common.claims import Claim, PaperValue, PositiveControl
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.verdicts import judge_claim

PAPER = PaperValue("0.9", "big", "table 1", "read", effect=(0.8, 0.9), comparable=True)
CLAIM = Claim(
    id="C1", kind="paper", fact="f", statement="So it is.", scale="-", paper=PAPER, metric="r", control="shuffled"
)


def finding(units: tuple[float, ...], claim: Claim = CLAIM, profile: str = "full", control: float = 0.0) -> Finding:
    spread = (control - 0.1, control, control + 0.1)
    metrics: dict[str, Metric] = {"r": mean_of("r", units), "shuffled": mean_of("shuffled", spread)}
    return Finding(judge_claim(claim, metrics, profile), metrics["r"], {}, None)


def unmeasured() -> Finding:
    """As a record has it: a number that is none."""
    found = finding(())
    return replace(found, judgement=replace(found.judgement, value=None))


STRONG, NOTHING = (0.8, 0.85, 0.9, 0.86), (-0.2, 0.1, 0.15, -0.1)


def test_an_axis_has_room_for_all_that_is_drawn() -> None:
    axis = Axis.over([finding(STRONG), finding(NOTHING)])
    for shown in (0.0, 0.9, *finding(NOTHING).judgement.interval):  # type: ignore[misc]
        assert 8 < axis.at(shown) < 292
    assert axis.at(-99) == 8
    assert axis.at(99) == 292
    assert axis.at((axis.low + axis.high) / 2) == 150


@pytest.mark.parametrize(("low", "high", "ticks"), [(-0.1, 1.05, [0, 0.5, 1.0]), (0, 5, [0, 1, 2, 3, 4, 5])])
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high).ticks == pytest.approx(ticks)


def test_the_scale_writes_its_numbers_alike_and_with_a_true_minus() -> None:
    assert re.findall(r">([^<]+)</text>", scale(Axis(-0.11, 0.11))) == ["−0.10", "−0.05", "0.00", "0.05", "0.10"]


def test_a_drawing_says_what_it_shows_and_marks_it() -> None:
    found = finding(STRONG)
    drawn = drawing(found, Axis.over([found]), thin=False)
    told = "0.85 [0.79, 0.92]; must be above 0; control 0.00; the authors have 0.80 to 0.90"
    assert f'aria-label="{told}"' in drawn.replace("&#45;", "-").replace("&#91;", "[").replace("&#93;", "]")
    assert 'class="plot plot--holds"' in drawn
    assert drawn.count("h0") == 4  # a dot for each unit
    assert 'class="plot-authors"' in drawn


def test_where_there_is_no_side_or_too_much_nothing_is_drawn_of_it() -> None:
    plain = replace(CLAIM, paper=replace(PAPER, comparable=False))
    found = finding(tuple(0.5 + 0.001 * k for k in range(120)), plain)
    drawn = drawing(found, Axis.over([found]), thin=False)
    assert "plot-units" not in drawn and "plot-authors" not in drawn
    assert "plot-units" not in drawing(finding(STRONG), Axis(-1, 1), thin=True)


SEEN = {"positive_control": PositiveControl("r", -9), "control": None, "no_control": "none"}


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (finding(STRONG), "holds", "all above 0"),
        (finding((0.2, 0.3, 0.25, 0.28)), "holds, weaker", "above 0, below the authors'"),
        (finding(NOTHING), "cannot tell", "spans 0"),
        (finding(STRONG, control=2.0), "cannot tell", "the control does it too"),
        (finding((-0.8, -0.9, -0.85, -0.8), replace(CLAIM, **SEEN)), "cannot tell", "all below 0, unconfirmed"),
        (finding(STRONG, replace(CLAIM, direction="within", bound=0.1)), "cannot tell", "all beyond 0.1, unconfirmed"),
        (unmeasured(), "not tested", "no such case here"),
        (finding(STRONG, replace(CLAIM, full_only="few"), "quick"), "not tested", "in the full profile only"),
    ],
)
def test_why_in_few_words(found: Finding, verdict: str, words: str) -> None:
    assert found.verdict == verdict
    assert why(found) == words
